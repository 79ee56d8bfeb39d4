"""GET /datasets."""

from datetime import timedelta

from tests.factories.loads import START, add_load
from tests.fixtures.api import Api


def add_loads(api: Api, count: int) -> None:
    """Store loads that began in pairs at the same moment; the last one is served."""
    with api.engine.begin() as connection:
        for number in range(count):
            add_load(connection, is_current=number == count - 1, started_at=START + timedelta(hours=number // 2))


def test_a_load_has_exactly_the_documented_fields(api: Api) -> None:
    add_loads(api, 1)
    body = api.get("/datasets").json()
    [load] = body["datasets"]
    assert body["current"] == [load]
    assert load.pop("id") != load.pop("load_id")
    assert load == {
        "dataset": "title.basics",
        "source": "sample",
        "etag": None,
        "last_modified": None,
        "sha256": None,
        "outcome": "loaded",
        "reason": None,
        "is_current": True,
        "rows_read": 0,
        "rows_kept": 0,
        "rows_rejected": 0,
        "rows_shadowed": 0,
        "rows_inserted": 0,
        "rows_updated": 0,
        "rows_deleted": 0,
        "rejected_counts": {},
        "rejected_sample": [],
        "overridden_gates": [],
        "phases": [],
        "started_at": "2026-11-21T09:30:00.000Z",
        "served_at": None,
        "finished_at": "2026-11-21T09:30:01.250Z",
        "seconds": 1.25,
    }


def test_a_load_tells_what_each_phase_took_what_was_overridden_and_every_defect(api: Api) -> None:
    told = {
        "phases": [{"phase": "reading title.basics", "seconds": 0.75}, {"phase": "merging", "seconds": 0.5}],
        "overridden_gates": ["fewer-rows", "rejected-share"],
        "rejected_counts": {"not-a-whole-number": 250, "out-of-range": 1},
    }
    with api.engine.begin() as connection:
        add_load(connection, served_at=START + timedelta(microseconds=750_999), **told)
    [load] = api.get("/datasets").json()["datasets"]
    assert {name: load[name] for name in told} == told
    assert load["served_at"] == "2026-11-21T09:30:00.750Z"


def test_a_load_that_runs_has_no_end_yet(api: Api) -> None:
    with api.engine.begin() as connection:
        add_load(connection, outcome="running", finished_at=None)
    [load] = api.get("/datasets").json()["datasets"]
    assert (load["finished_at"], load["served_at"], load["seconds"]) == (None, None, None)


def test_the_ledger_is_walked_newest_first_each_load_once(api: Api) -> None:
    add_loads(api, 9)
    walked, url = [], "/datasets?page_size=2"
    while url:
        answer = api.get(url)
        walked += answer.json()["datasets"]
        url = answer.links.get("next", {}).get("url")
    assert len({load["id"] for load in walked}) == len(walked) == 9
    assert [load["started_at"] for load in walked] == sorted((load["started_at"] for load in walked), reverse=True)


def test_a_cursor_of_movies_is_not_one_of_datasets(api: Api) -> None:
    add_loads(api, 3)
    cursor = api.get("/datasets?page_size=1").json()["next_cursor"]
    assert api.get("/movies", params={"cursor": cursor}).json()["type"] == "/problems/cursor-mismatch"
    assert api.get("/datasets", params={"cursor": cursor, "desc": "false"}).status_code == 400
