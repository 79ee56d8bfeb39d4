"""Connections that an event loop waits for: they answer whole, end when their session does, and are never lost."""

import asyncio
import os
import random
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import psycopg2
import pytest
from psycopg2 import errors
from tests.fixtures.loops import on_a_loop, until
from tests.fixtures.sessions import Sessions

from shelflist.shared.asynchronous import AsyncConnection, open_connection
from shelflist.shared.database import is_connection_lost

BUSY = "state = 'active'"
PATIENT = 60.0


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    with Sessions(database_url, "asynchronous") as sessions:
        yield sessions


async def connected(sessions: Sessions, patience: float = PATIENT) -> AsyncConnection:
    connection = await open_connection(sessions.arguments, patience=patience)
    assert connection is not None
    return connection


async def assert_is_over(connection: AsyncConnection, descriptor: int) -> None:
    """Fail where the connection is still open, or the loop still watches what it was."""
    await until(lambda: not connection.is_open, "the connection knows that it is closed")
    loop = asyncio.get_running_loop()
    assert not loop.remove_reader(descriptor)
    assert not loop.remove_writer(descriptor)
    with pytest.raises(psycopg2.Error) as told:
        await connection.execute("SELECT 1")
    assert is_connection_lost(told.value)


def test_rows_come_with_the_names_of_their_columns(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions)
        rows = await connection.execute(
            "SELECT n AS number, %(text)s AS text, NULL AS nothing, 8.50 AS rating, ARRAY['a', 'é'] AS genres, "
            "CAST('00000000-0000-0000-0000-00000000000a' AS uuid) AS id FROM generate_series(1, 2) AS n",
            {"text": "100 % 'Ω"},
        )
        rest = ("100 % 'Ω", None, Decimal("8.50"), ["a", "é"], "00000000-0000-0000-0000-00000000000a")
        assert list(rows) == [(1, *rest), (2, *rest)]
        assert connection.names == ("number", "text", "nothing", "rating", "genres", "id")
        assert list(await connection.execute("SELECT 1 AS one WHERE false")) == []
        assert connection.names == ("one",)
        assert list(await connection.execute("SET application_name = 'other'")) == []
        assert connection.names == ()
        connection.close()

    on_a_loop(work)


def test_of_several_statements_in_one_text_the_last_gives_the_rows(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions)
        await connection.execute("PREPARE doubled AS SELECT 2 * $1::integer AS doubled")
        rows = await connection.execute(
            "LOCK TABLE movies IN ACCESS SHARE MODE; EXECUTE doubled (%(number)s)", {"number": 21}
        )
        assert (list(rows), connection.names) == ([(42,)], ("doubled",))
        connection.close()

    on_a_loop(work)


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT 1 / 0", errors.DivisionByZero),
        ("SELECT nothing", errors.UndefinedColumn),
        ("SELEKT", errors.SyntaxError),
        ("LOCK TABLE movies; SELECT 1 / 0", errors.DivisionByZero),
        ("SET LOCAL statement_timeout = 50; SELECT pg_sleep(60)", errors.QueryCanceled),
    ],
)
def test_a_statement_that_fails_leaves_its_connection_for_others(
    sessions: Sessions, statement: str, error: type[psycopg2.Error]
) -> None:
    async def work() -> None:
        connection = await connected(sessions)
        before = await connection.execute("SELECT pg_backend_pid()")
        with pytest.raises(error):
            await connection.execute(statement)
        assert connection.is_open
        assert await connection.execute("SELECT pg_backend_pid()") == before
        connection.close()

    on_a_loop(work)


def test_megabytes_arrive_whole_in_both_directions(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[bool] = []
    watch = AsyncConnection._watch_writing

    def noting(connection: AsyncConnection, is_writing: bool) -> None:
        watched.append(is_writing)
        watch(connection, is_writing)

    monkeypatch.setattr(AsyncConnection, "_watch_writing", noting)
    long = "é" + random.Random(1).randbytes(2_500_000).hex()

    async def work() -> None:
        connection = await connected(sessions)
        descriptor = connection._driver.fileno()
        with socket.socket(fileno=os.dup(descriptor)) as same:
            # However quickly PostgreSQL reads, it cannot take all at once.
            same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        for _ in range(2):
            [(answered, end)] = await connection.execute("SELECT %(long)s, 'end'", {"long": long})
            # Nothing that pytest would compare letter by letter to tell how they differ.
            is_whole = answered == long
            assert (is_whole, end) == (True, "end")
            assert any(watched)
            assert not asyncio.get_running_loop().remove_writer(descriptor)
            watched.clear()
        connection.close()

    on_a_loop(work)


def test_a_session_that_ends_while_nothing_is_asked_closes_its_connection(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions)
        descriptor = connection._driver.fileno()
        await connection.execute("SELECT 1")
        sessions.end()
        await assert_is_over(connection, descriptor)

    on_a_loop(work)


def test_a_session_that_ends_while_a_statement_runs_fails_it(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions)
        descriptor = connection._driver.fileno()
        answer = connection.execute("SELECT pg_sleep(60)")
        await until(lambda: sessions.count(BUSY) == 1, "the statement runs")
        sessions.end()
        with pytest.raises(psycopg2.Error) as told:
            await answer
        assert is_connection_lost(told.value)
        await assert_is_over(connection, descriptor)

    on_a_loop(work)


def test_who_is_not_answered_within_the_patience_is_told_and_the_connection_closed(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions, patience=0.2)
        descriptor = connection._driver.fileno()
        with pytest.raises(psycopg2.OperationalError) as told:
            await connection.execute("SELECT pg_sleep(60)")
        assert is_connection_lost(told.value)
        await assert_is_over(connection, descriptor)

    on_a_loop(work)


def test_the_patience_ends_with_its_statement(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions, patience=1)
        await connection.execute("SELECT 1")
        with pytest.raises(errors.DivisionByZero):
            await connection.execute("SELECT 1 / 0")
        # Past the moment at which either would have been given up.
        await asyncio.sleep(1.1)
        assert connection.is_open
        connection.close()

    on_a_loop(work)


@contextmanager
def many_descriptors(count: int) -> Iterator[None]:
    """Hold so many open files, as a server with as many callers does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * count:
        # Only root may raise that limit.
        pytest.skip(f"the system gives a process {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * count), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_with_many_callers_connects(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions)
        assert list(await connection.execute("SELECT 1")) == [(1,)]
        connection.close()

    with many_descriptors(1_100):
        on_a_loop(work)


def test_a_value_that_python_cannot_hold_fails_at_once(sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions)
        with pytest.raises(ValueError, match="year"):
            await connection.execute("SELECT CAST('10000-01-01' AS date)")

    on_a_loop(work)


@pytest.mark.parametrize("value", ["\0", "\ud800"])
def test_a_value_that_cannot_be_sent_leaves_the_connection_as_it_was(value: str, sessions: Sessions) -> None:
    async def work() -> None:
        connection = await connected(sessions, patience=0.5)
        with pytest.raises(ValueError):
            await connection.execute("SELECT %(value)s", {"value": value})
        # Nothing is left that would end the connection later.
        await asyncio.sleep(1)
        assert list(await connection.execute("SELECT 1")) == [(1,)]
        connection.close()

    on_a_loop(work)
