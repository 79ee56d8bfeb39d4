from typing import Any

import pytest
from tests.fixtures.fake_youtube import START

from shelflist.fake_youtube.answers import Call
from shelflist.fake_youtube.script import BadScript, Script


def call(target: str = "youtube", operation: str = "search", key: str | None = None) -> Call:
    return Call(target, operation, "/", {}, key, START, "")


def script(**fault: Any) -> Script:
    return Script.from_json({"faults": [{"kind": "drop", **fault}]})


def happens(found: Script, asked: Call | None = None, elapsed: float = 0, is_success: bool = True) -> bool:
    return found.pick(asked or call(), elapsed, is_success) is not None


def test_a_fault_without_bounds_happens_to_every_call() -> None:
    assert all(happens(script(), call(target, operation)) for target in ("youtube", "a") for operation in ("search",))


def test_a_fault_happens_to_its_target_key_and_operation() -> None:
    assert not happens(script(target="youtube"), call("a"))
    assert happens(script(target="invidious"), call("a"))
    assert not happens(script(target="a"), call("b"))
    assert not happens(script(key="x"), call(key="y"))
    assert happens(script(key="x"), call(key="x"))
    assert not happens(script(operation="videos"), call())
    assert not happens(Script.from_json({"faults": [{"kind": "quota_exceeded"}]}), call("a"))
    assert not happens(Script.from_json({"faults": [{"kind": "bad_text"}]}), call(), is_success=False)


def test_a_fault_happens_in_its_time() -> None:
    found = script(from_seconds=10, to_seconds=20)
    assert [happens(found, elapsed=elapsed) for elapsed in (9.9, 10, 19.9, 20)] == [False, True, True, False]


def test_a_fault_happens_so_often() -> None:
    found = script(times=2)
    assert [happens(found) for _ in range(4)] == [True, True, False, False]
    found = script(every=3)
    assert [happens(found) for _ in range(6)] == [False, False, True, False, False, True]
    found = script(every=2, times=1)
    assert [happens(found) for _ in range(4)] == [False, True, False, False]


def test_a_share_is_the_same_for_the_same_seed() -> None:
    one, other = ([happens(found) for _ in range(400)] for found in (script(share=0.25), script(share=0.25)))
    assert one == other
    assert 60 < sum(one) < 140
    assert not any(happens(script(share=0)) for _ in range(20))


def test_the_first_fault_that_happens_wins_and_is_counted() -> None:
    found = Script.from_json({"faults": [{"kind": "drop", "times": 1}, {"kind": "stall"}]})
    picked = [found.pick(call(), 0, True) for _ in range(3)]
    assert [fault.kind for fault in picked if fault] == ["drop", "stall", "stall"]
    assert [(item["matched"], item["happened"]) for item in found.as_json()["faults"]] == [(3, 1), (2, 2)]


def test_a_script_that_was_read_can_be_handed_in_again() -> None:
    body = Script.from_json({"faults": [{"kind": "rate_limited", "retry_after": 7}, {"kind": "slow"}]}).as_json()
    assert Script.from_json(body).as_json() == body
    assert body["faults"][0]["retry_after"] == "7"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "a script is"),
        ({"faults": {}}, "a script is"),
        ({"faults": [], "other": 1}, "a script is"),
        ({"faults": ["drop"]}, "fault 1"),
        ({"faults": [{"kind": "explode"}]}, "explode"),
        ({"faults": [{"kind": "drop"}, {"kind": "drop", "seconds": 3}]}, "fault 2: drop has no seconds"),
        ({"faults": [{"kind": "drop", "times": "two"}]}, "times"),
        ({"faults": [{"kind": "drop", "times": True}]}, "times"),
        ({"faults": [{"kind": "drop", "every": 0}]}, "every"),
        ({"faults": [{"kind": "drop", "share": 1.5}]}, "share"),
        ({"faults": [{"kind": "drop", "from_seconds": -1}]}, "from_seconds"),
        ({"faults": [{"kind": "server_error", "status": 200}]}, "status"),
        ({"faults": [{"kind": "server_error", "format": "xml"}]}, "format"),
        ({"faults": [{"kind": "quota_exceeded", "target": "alpha"}]}, "answer of youtube"),
        ({"faults": [{"kind": "drop", "operation": "list"}]}, "operation"),
    ],
)
def test_a_wrong_script_is_refused_in_one_line(body: Any, reason: str) -> None:
    with pytest.raises(BadScript, match=reason) as refused:
        Script.from_json(body)
    assert "\n" not in str(refused.value)
