"""The moment of a schedule that a worker is given becomes its job, whatever else is wrong."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from shelflist import worker
from shelflist.shared.database import create_engine
from shelflist.shared.job_queue import queue_schema
from shelflist.shared.schedules import Schedule
from shelflist.shared.settings import load_settings
from shelflist.shared.tables import jobs

Begin = Callable[[str], worker._Worker]


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    made = create_engine(database_url, "tests")
    yield made
    made.dispose()


@pytest.fixture
def given(engine: sa.Engine, database_url: str) -> Begin:
    """Puts the moment of a schedule into the queue, and returns a worker of default settings to take it."""

    def put(name: str) -> worker._Worker:
        worker.register_kinds()
        entry = sa.text(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, args, queueing_lock)"
            " VALUES ('default', :name, jsonb_build_object('timestamp', 1), :name)"
        )
        with engine.begin() as connection, queue_schema(connection):
            connection.execute(entry, {"name": name})
        settings = load_settings(_env_file=None)
        return worker._Worker(settings, database_url, (), worker.Timing(polling=0.1))

    return put


def work_until_queued(made: worker._Worker, engine: sa.Engine, kind: str) -> None:
    """Let the worker hold a session until a job of this kind is there."""

    def is_queued() -> bool:
        with engine.begin() as connection:
            return bool(connection.scalar(sa.select(sa.func.count()).select_from(jobs).where(jobs.c.kind == kind)))

    async def session() -> None:
        task = asyncio.ensure_future(made._session())
        for _ in range(300):
            if await asyncio.to_thread(is_queued):
                break
            await asyncio.sleep(0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(session())
    assert is_queued()


def test_a_worker_queues_what_its_own_settings_do_not_want(engine: sa.Engine, given: Begin) -> None:
    made = given("imdb-reload")
    work_until_queued(made, engine, "load-imdb")


def test_a_database_error_while_queueing_costs_no_period(
    engine: sa.Engine, given: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = given("keep-harvest")
    queue, calls = made._queue, []

    def fail_once(schedule: Schedule) -> None:
        calls.append(schedule.name)
        if calls.count("keep-harvest") == 1:
            raise sa.exc.OperationalError("INSERT", {}, Exception("the server closed the connection"))
        queue(schedule)

    monkeypatch.setattr(made, "_queue", fail_once)
    work_until_queued(made, engine, "keep-harvest")
    assert calls.count("keep-harvest") >= 2
