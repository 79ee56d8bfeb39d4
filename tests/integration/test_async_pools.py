"""The pool of an event loop: few connections for many who ask, none of which is ever lost to it."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from tests.fixtures.loops import on_a_loop, until
from tests.fixtures.server import free_port
from tests.fixtures.sessions import Sessions

from shelflist.shared import asynchronous
from shelflist.shared.asynchronous import AsyncPool
from shelflist.shared.database import create_engine, is_connection_lost

BUSY = "state = 'active'"
PATIENT = 60.0
SIZE = 3
Arguments = dict[str, Any]


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    with Sessions(database_url, "asynchronous") as sessions:
        yield sessions


def a_pool(sessions: Sessions, size: int = SIZE, **arguments: Any) -> AsyncPool:
    return AsyncPool({**sessions.arguments, **arguments}, size=size, patience=PATIENT)


async def ready(pool: AsyncPool) -> None:
    await until(pool.is_ready, "the pool has a connection")


async def ask(pool: AsyncPool, number: int, seconds: float = 0) -> tuple[int, int] | None:
    """Return `number` and the session that answered, `seconds` later; None where the pool has no connection for it."""
    connection = await pool.take()
    if connection is None:
        return None
    statement = "SELECT %(number)s, pg_backend_pid(), pg_sleep(%(seconds)s)"
    try:
        [(answered, session, _)] = await connection.execute(statement, {"number": number, "seconds": seconds})
    except asyncio.CancelledError:
        # Its answer is still to come.
        connection.close()
        raise
    finally:
        pool.give_back(connection)
    return answered, session


async def asked(pool: AsyncPool, number: int, seconds: float = 0) -> tuple[int, int]:
    """Return what `ask` does; fails where there is no connection."""
    answer = await ask(pool, number, seconds)
    assert answer is not None
    return answer


def test_many_at_once_are_all_served_by_no_more_connections_than_the_pool_may_have(sessions: Sessions) -> None:
    async def work() -> None:
        pool = a_pool(sessions)
        await ready(pool)
        for _ in range(3):
            answers = await asyncio.gather(*(asked(pool, number, 0.01) for number in range(60)))
            assert [number for number, _ in answers] == list(range(60))
        assert len({session for _, session in answers}) == SIZE == sessions.count()
        pool.close()

    on_a_loop(work)


def test_who_stops_waiting_takes_no_connection_along(sessions: Sessions) -> None:
    async def work() -> None:
        pool = a_pool(sessions, size=1)
        await ready(pool)
        for is_handed_over in (False, True):
            held = await pool.take()
            assert held is not None
            waiting = asyncio.create_task(pool.take())
            await asyncio.sleep(0)
            if is_handed_over:
                # In the same turn: it has one, and does not know yet.
                pool.give_back(held)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            if not is_handed_over:
                pool.give_back(held)
            assert (await asked(pool, 7))[0] == 7
        assert sessions.count() == 1
        pool.close()

    on_a_loop(work)


def test_who_has_waited_long_enough_is_given_none(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "WAIT_SECONDS", 0.05)

    async def work() -> None:
        pool = a_pool(sessions, size=1)
        await ready(pool)
        held = await pool.take()
        assert held is not None
        assert await asyncio.gather(*(ask(pool, number) for number in range(3))) == [None] * 3
        pool.give_back(held)
        assert (await asked(pool, 6))[0] == 6
        pool.close()

    on_a_loop(work)


def test_a_connection_that_its_user_closed_is_not_lent_again(sessions: Sessions) -> None:
    async def work() -> None:
        pool = a_pool(sessions, size=1)
        for number in range(3):
            await ready(pool)
            _, session = await asked(pool, 0)
            slow = asyncio.create_task(ask(pool, 100 + number, 60))
            await until(partial(sessions.count, f"{BUSY} AND pid = :pid", pid=session), "it runs")
            slow.cancel()
            await asyncio.wait([slow])
            assert slow.cancelled()
            await ready(pool)
            assert (await asked(pool, number))[0] == number
        pool.close()
        sessions.end()

    on_a_loop(work)


def test_who_waits_for_a_connection_that_is_lost_is_given_none(sessions: Sessions) -> None:
    async def work() -> None:
        pool = a_pool(sessions, size=1)
        await ready(pool)
        asking = [asyncio.create_task(ask(pool, number, 60)) for number in range(5)]
        await until(lambda: sessions.count(BUSY) == 1, "one of them is asked")
        sessions.end()
        lost, *others = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(lost, psycopg2.Error)
        assert is_connection_lost(lost)
        assert others == [None] * 4
        await ready(pool)
        assert (await asked(pool, 8))[0] == 8
        pool.close()

    on_a_loop(work)


def test_lost_connections_are_replaced(sessions: Sessions) -> None:
    async def work() -> None:
        pool = a_pool(sessions)
        before: set[int] = set()
        for _ in range(4):
            await ready(pool)
            answers = await asyncio.gather(*(asked(pool, number, 0.01) for number in range(30)))
            now = {session for _, session in answers}
            assert not now & before
            before = now
            sessions.end()
            await until(lambda: not pool.is_ready(), "the pool knows that they are gone")
        pool.close()

    on_a_loop(work)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each try to connect that has ended."""
    tries: list[int] = []
    connect = asynchronous._connected

    def counting(arguments: dict[str, Any]) -> Any:
        try:
            return connect(arguments)
        finally:
            tries.append(1)

    monkeypatch.setattr(asynchronous, "_connected", counting)
    return tries


def test_a_database_that_is_away_is_left_alone_for_a_while(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "RETRY_SECONDS", 3600)
    tries = counted(monkeypatch)

    async def work() -> None:
        pool = a_pool(sessions, host="127.0.0.1", port=free_port())
        await until(lambda: pool.is_ready() or pool._not_before, "the first try has failed")
        for _ in range(100):
            assert not pool.is_ready()
            assert await pool.take() is None
            await asyncio.sleep(0)

    on_a_loop(work)
    assert len(tries) == 1


def test_a_database_that_comes_back_is_asked_again(
    sessions: Sessions, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous, "RETRY_SECONDS", 0.05)
    tries = counted(monkeypatch)
    elsewhere = create_engine(server_url, "tests").execution_options(isolation_level="AUTOCOMMIT")

    def let_in(is_allowed: bool) -> None:
        with elsewhere.connect() as connection:
            statement = f"ALTER DATABASE {sessions.engine.url.database} ALLOW_CONNECTIONS {is_allowed}"
            connection.execute(sa.text(statement))

    async def work() -> None:
        pool = a_pool(sessions)
        let_in(False)
        await until(lambda: pool.is_ready() or len(tries) > 2, "it is tried again")
        assert not pool.is_ready()
        let_in(True)
        await ready(pool)
        assert (await asked(pool, 9))[0] == 9
        pool.close()

    on_a_loop(work)
    elsewhere.dispose()


def test_a_second_event_loop_starts_anew(sessions: Sessions) -> None:
    pool = a_pool(sessions, size=1)
    firsts: list[bool] = []

    async def work() -> int:
        firsts.append(pool.is_ready())
        await ready(pool)
        _, session = await asked(pool, 1)
        # Never given back: the loop ends before.
        assert await pool.take() is not None
        waiting = asyncio.create_task(pool.take())
        await asyncio.sleep(0)
        assert not waiting.done()
        return session

    assert len({on_a_loop(work) for _ in range(3)}) == 3
    assert firsts == [False] * 3


def test_a_connection_that_comes_after_the_end_is_not_kept(sessions: Sessions) -> None:
    async def work() -> None:
        pool = a_pool(sessions)
        await until(lambda: pool.is_ready() or pool._connecting is not None, "one is being made")
        pool.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        await until(lambda: sessions.count() == 0, "it is closed")
        assert not pool._free

    on_a_loop(work)
