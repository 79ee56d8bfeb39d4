"""Queueing: with the caller's transaction, once for the same work, and no more than a limit."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api

from shelflist.shared.jobs import enqueue
from shelflist.shared.problems import ServiceUnavailable
from shelflist.shared.tables import jobs

QUEUED = sa.text("SELECT args ->> 'job_id' FROM procrastinate.procrastinate_jobs WHERE status = 'todo' ORDER BY id")


def queued(api: Api) -> list[str]:
    """Return the ids that workers will be given."""
    with api.engine.begin() as connection:
        return list(connection.scalars(QUEUED))


def test_a_job_is_queued_with_the_transaction_it_belongs_to(api: Api) -> None:
    with api.engine.connect() as connection:
        before = connection.scalar(sa.text("SHOW search_path"))
        enqueue(connection, "count", {"number": 1})
        assert connection.scalar(sa.text("SHOW search_path")) == before
        connection.rollback()
        assert queued(api) == []
        row = enqueue(connection, "count", {"number": 1})
        connection.commit()
    assert queued(api) == [row.id]


def test_the_same_work_is_queued_once(api: Api) -> None:
    with api.engine.begin() as connection:
        first = enqueue(connection, "count", {"a": 1, "b": [2]})
        again = enqueue(connection, "count", {"b": [2], "a": 1})
        other = enqueue(connection, "count", {"a": 2})
    assert again.id == first.id
    assert queued(api) == [first.id, other.id]


def test_finished_work_may_be_done_again(api: Api) -> None:
    with api.engine.begin() as connection:
        first = enqueue(connection, "count", {})
        connection.execute(jobs.update().values(state="succeeded", finished_at=sa.func.now()))
        assert enqueue(connection, "count", {}).id != first.id


def test_callers_at_the_same_time_get_the_same_job(api: Api) -> None:
    barrier = Barrier(4)

    def ask(_: int) -> str:
        with api.engine.begin() as connection:
            connection.execute(sa.select(1))
            barrier.wait(10)
            return str(enqueue(connection, "count", {"number": 1}).id)

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(ask, range(4)))
    assert len(found) == 1
    assert queued(api) == list(found)


def test_a_limit_refuses_what_is_too_much_but_not_what_is_there(api: Api) -> None:
    with api.engine.begin() as connection:
        first = enqueue(connection, "count", {"number": 1}, limit=1)
        assert enqueue(connection, "count", {"number": 1}, limit=1).id == first.id
        assert enqueue(connection, "sum", {"number": 2}, limit=1).id != first.id
        with pytest.raises(ServiceUnavailable) as refused:
            enqueue(connection, "count", {"number": 2}, limit=1)
    assert refused.value.headers == {"Retry-After": "10"}
