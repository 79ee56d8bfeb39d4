"""A day's captions are counted once for all processes, and no fault of the file lets more be spent."""

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from shelflist_vision.budget import Budget

DAY = date(2026, 11, 21)


class Clock:
    def __init__(self) -> None:
        self.day = DAY

    def __call__(self) -> date:
        return self.day


def test_no_more_than_the_days_calls_may_be_sent(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "state" / "vision", 3, Clock())
    assert [budget.spend() for _ in range(5)] == [True, True, True, False, False]


def test_what_is_spent_stays_spent_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    assert Budget(tmp_path, 2, clock).spend()
    again = Budget(tmp_path, 2, clock)
    assert not again.is_spent
    assert again.spend()
    assert not again.spend()
    assert again.is_spent


def test_a_new_day_begins_at_nothing(tmp_path: Path) -> None:
    clock = Clock()
    budget = Budget(tmp_path, 1, clock)
    assert [budget.spend(), budget.spend()] == [True, False]
    clock.day += timedelta(days=1)
    assert not budget.is_spent
    assert [budget.spend(), budget.spend()] == [True, False]


def test_a_larger_budget_counts_what_was_spent_before(tmp_path: Path) -> None:
    assert Budget(tmp_path, 1, Clock()).spend()
    larger = Budget(tmp_path, 3, Clock())
    assert [larger.spend() for _ in range(3)] == [True, True, False]


def test_a_budget_of_nothing_writes_nothing(tmp_path: Path) -> None:
    budget = Budget(tmp_path / "vision", 0, Clock())
    assert budget.is_spent
    assert not budget.spend()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\x00",
        b"null",
        b"[]",
        b"{}",
        b'{"day": "2026-11-21"}',
        b'{"day": "2026-11-21", "calls": -5}',
        b'{"day": "2026-11-21", "calls": "0"}',
        b'{"day": "2026-11-21", "calls": 0.5}',
        b'{"day": "2026-11-21", "calls": true}',
        b'{"day": "yesterday", "calls": 0}',
        b'{"day": 20261121, "calls": 0}',
        b'{"day": "2026-11-22", "calls": 0}',
        b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_damaged_count_counts_as_spent_until_the_next_day(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "captions.json"
    file.write_bytes(content)
    clock = Clock()
    assert not Budget(tmp_path, 2, clock).spend()
    assert json.loads(file.read_bytes()) == {"day": "2026-11-21", "calls": 2}
    clock.day += timedelta(days=1)
    assert Budget(tmp_path, 2, clock).spend()


def test_where_nothing_can_be_written_nothing_may_be_spent(tmp_path: Path) -> None:
    (tmp_path / "vision").write_bytes(b"a file where the folder should be")
    assert not Budget(tmp_path / "vision", 5, Clock()).spend()
    (tmp_path / "folder" / "captions.json").mkdir(parents=True)
    assert not Budget(tmp_path / "folder", 5, Clock()).spend()


def test_several_processes_spend_one_budget(tmp_path: Path) -> None:
    program = (
        "import sys; from datetime import date; from pathlib import Path; from shelflist_vision.budget import Budget\n"
        "budget = Budget(Path(sys.argv[1]), 50, lambda: date(2026, 11, 21))\n"
        "sys.stdout.write('\\n%d' % sum(budget.spend() for _ in range(30)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    spent = [int(process.communicate(timeout=60)[0].split()[-1]) for process in running]
    assert sum(spent) == 50
