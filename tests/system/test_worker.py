"""Real worker processes over a real database: shared work, stops, crashes, failures, cancelling."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shelflist.shared.database import create_engine
from shelflist.shared.jobs import cancel_job, enqueue
from shelflist.shared.settings import PROJECT_DIRECTORY, environment_with
from shelflist.shared.tables import jobs

Start = Callable[[], subprocess.Popen[bytes]]

SCRIPT = PROJECT_DIRECTORY / "tests" / "fixtures" / "worker_process.py"


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """The engine of this test's database."""
    made = create_engine(database_url, "tests")
    yield made
    made.dispose()


@pytest.fixture
def start(database_url: str) -> Iterator[Start]:
    """Starts a worker; those that still run at the end are killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start_one() -> subprocess.Popen[bytes]:
        environment = environment_with(DATABASE_URL=database_url, JOB_RETRY_SECONDS="0.2", PYTHONPATH="")
        started.append(subprocess.Popen([sys.executable, str(SCRIPT)], env=environment))
        return started[-1]

    yield start_one
    for worker in started:
        if worker.poll() is None:
            worker.kill()
        worker.wait()


def add(engine: sa.Engine, kind: str, **arguments: Any) -> str:
    """Queue a job and return its id."""
    with engine.begin() as connection:
        return str(enqueue(connection, kind, arguments).id)


def job(engine: sa.Engine, job_id: str) -> sa.Row[Any]:
    """Return the job's row as it is now."""
    with engine.begin() as connection:
        return connection.execute(sa.select(jobs).where(jobs.c.id == job_id)).one()


def wait_for(engine: sa.Engine, job_id: str, is_there: Callable[[sa.Row[Any]], bool]) -> sa.Row[Any]:
    """Return the job's row once it is as it should be; fails after 20 seconds."""
    deadline = time.monotonic() + 20
    while True:
        row = job(engine, job_id)
        if is_there(row):
            return row
        assert time.monotonic() < deadline, row
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Return whether the process runs."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return not stat.rsplit(")", 1)[1].startswith(" Z")


def wait_for_end(pid: int) -> None:
    """Return once the process has ended; fails after five seconds."""
    deadline = time.monotonic() + 5
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} goes on"
        time.sleep(0.02)


def is_told(row: sa.Row[Any]) -> bool:
    return row.state == "running" and row.progress == 0.25


def test_two_workers_share_jobs_and_run_each_once(engine: sa.Engine, start: Start, tmp_path: Path) -> None:
    found = [add(engine, "note", number=number, folder=str(tmp_path), seconds=0.3) for number in range(20)]
    start()
    start()
    rows = [wait_for(engine, job_id, lambda row: row.state == "succeeded") for job_id in found]
    assert {row.attempts for row in rows} == {1}
    assert len({row.result["pid"] for row in rows}) == 2
    lines = [(tmp_path / str(number)).read_text(encoding="utf-8").splitlines() for number in range(20)]
    assert [len(of_one) for of_one in lines] == [1] * 20


@pytest.mark.parametrize("kind", ["sleep", "patience"])
def test_a_stopped_worker_gives_its_job_to_another(kind: str, engine: sa.Engine, start: Start, tmp_path: Path) -> None:
    job_id = add(engine, kind, folder=str(tmp_path))
    first = start()
    wait_for(engine, job_id, is_told)
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    given_back = job(engine, job_id)
    assert (given_back.state, given_back.attempts, given_back.progress) == ("queued", 0, 0)
    [pid] = map(int, (tmp_path / "pids").read_text(encoding="utf-8").split())
    assert not is_alive(pid)
    (tmp_path / "go").touch()
    start()
    row = wait_for(engine, job_id, lambda row: row.state == "succeeded")
    assert (row.attempts, row.progress, row.result) == (1, 1, {"attempt": 2})


def test_the_job_of_a_killed_worker_is_finished_by_another(engine: sa.Engine, start: Start, tmp_path: Path) -> None:
    job_id = add(engine, "sleep", folder=str(tmp_path))
    first = start()
    wait_for(engine, job_id, is_told)
    start()
    first.kill()
    wait_for_end(int((tmp_path / "pids").read_text(encoding="utf-8")))
    (tmp_path / "go").touch()
    row = wait_for(engine, job_id, lambda row: row.state == "succeeded")
    assert (row.attempts, row.result) == (2, {"attempt": 2})


def test_a_failing_job_is_tried_again_and_tells_why(engine: sa.Engine, start: Start) -> None:
    job_id = add(engine, "fail", table="x")
    start()
    waiting = wait_for(engine, job_id, lambda row: row.next_attempt_at is not None)
    assert waiting.state == "queued"
    assert waiting.problem["status"] == 500
    row = wait_for(engine, job_id, lambda row: row.state == "failed")
    assert row.attempts == 3
    assert row.finished_at is not None
    assert row.problem == {
        "type": "/problems/internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": "the job could not be completed; the log tells why under the id of the job",
    }


def test_cancelling_ends_the_process_of_a_running_job(engine: sa.Engine, start: Start, tmp_path: Path) -> None:
    job_id = add(engine, "sleep", folder=str(tmp_path))
    start()
    wait_for(engine, job_id, is_told)
    with engine.begin() as connection:
        cancel_job(connection, job_id, caller=None)
    wait_for_end(int((tmp_path / "pids").read_text(encoding="utf-8")))
    row = job(engine, job_id)
    assert (row.state, row.result, row.problem) == ("cancelled", None, None)


def test_a_job_whose_process_dies_is_tried_again(engine: sa.Engine, start: Start, tmp_path: Path) -> None:
    job_id = add(engine, "sleep", folder=str(tmp_path))
    start()
    wait_for(engine, job_id, is_told)
    os.kill(int((tmp_path / "pids").read_text(encoding="utf-8")), signal.SIGKILL)
    (tmp_path / "go").touch()
    row = wait_for(engine, job_id, lambda row: row.state == "succeeded")
    assert (row.attempts, row.result, row.problem) == (2, {"attempt": 2}, None)


def test_a_worker_comes_through_cut_connections(engine: sa.Engine, start: Start, tmp_path: Path) -> None:
    worker = start()
    before = add(engine, "note", number=1, folder=str(tmp_path))
    wait_for(engine, before, lambda row: row.state == "succeeded")
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'shelflist-worker' AND datname = current_database()"
            )
        )
    after = add(engine, "note", number=2, folder=str(tmp_path))
    wait_for(engine, after, lambda row: row.state == "succeeded")
    assert worker.poll() is None
