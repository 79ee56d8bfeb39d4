"""Questions that are asked of PostgreSQL together, where it takes long or goes away: nobody waits for ever."""

import asyncio
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from psycopg2 import errors
from tests.fixtures.loops import on_a_loop, until
from tests.fixtures.sessions import Sessions
from tests.fixtures.shelves import (
    DIALECT,
    GATED,
    GATED_SELECT,
    GENERIC,
    LOCKED,
    LONG,
    NUMBER,
    ROWS,
    SHELF,
    TITLE,
    Asker,
    a_pool,
    are_locked,
    asking,
    gate_closed,
    kinds,
    numbers_of,
    of,
    shelved,
    shown,
    titles_of,
)
from tests.fixtures.statements import statements

from shelflist.shared import asynchronous, batching
from shelflist.shared.batching import MOST_AT_ONCE, MOST_RUNNING, NeedsThread
from shelflist.shared.event_loop import LoopConnection, run_on_event_loop
from shelflist.shared.prepared import fetch_prepared


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    with shelved(database_url) as sessions:
        yield sessions


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be sent away for the time that they waited."""
    monkeypatch.setattr(batching, "WAIT_SECONDS", LONG)
    monkeypatch.setattr(asynchronous, "WAIT_SECONDS", LONG)


def test_sessions_that_end_send_all_to_threads(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            for _ in range(3):
                with gate_closed(sessions):
                    asked = await asker.running(sessions, 1)
                    asked += [asker.ask(GATED, number=number) for number in range(3 * MOST_AT_ONCE)]
                    await asyncio.sleep(0)
                    sessions.end()
                    ends = await asyncio.gather(*asked, return_exceptions=True)
                assert [type(end) for end in ends] == [NeedsThread] * len(asked)
                await asker.ready()
                assert await asker.titles(range(20)) == titles_of(range(20))

    on_a_loop(work)


def test_of_several_sessions_that_end_nobody_waits_for_ever(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions) as asker:
            with gate_closed(sessions):
                asked = await asker.running(sessions, MOST_RUNNING)
                waiting = [asker.ask(GATED, number=number) for number in range(3 * MOST_AT_ONCE)]
                sessions.end()
                ends = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(end) for end in ends] == [NeedsThread] * MOST_RUNNING
            # A connection that was made since may have answered them.
            await asyncio.wait(waiting)
            for number, answer in enumerate(waiting):
                assert isinstance(answer.exception(), NeedsThread) or numbers_of([answer.result()]) == [number]

    on_a_loop(work)


def test_a_session_that_ends_between_questions_keeps_nobody_waiting(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            assert await asker.titles([1]) == titles_of([1])
            sessions.end()
            # Whether or not the pool knows already.
            ends = await asker.titles(range(40))
            assert [type(end) for end in ends] == [NeedsThread] * 40

    on_a_loop(work)


def test_who_is_cancelled_disturbs_nobody(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            with gate_closed(sessions):
                first = await asker.running(sessions, 1)
                waiting = [asker.ask(GATED, number=number) for number in range(1, 10)]
                for cancelled in (*first, *waiting[::2]):
                    cancelled.cancel()
                assert sessions.count(LOCKED) == 1
            assert numbers_of(await asyncio.gather(*waiting[1::2])) == [2, 4, 6, 8]
            assert all(cancelled.cancelled() for cancelled in (*first, *waiting[::2]))
            # Nobody is left of these: still the next gets its own.
            asker.ask(GATED, number=20).cancel()
            [row] = await asker.ask(GATED, number=21)
            assert row.number == 21

    on_a_loop(work)


def test_a_handler_that_is_cancelled_disturbs_no_other(sessions: Sessions) -> None:
    key = ((SHELF.name,), "gated")

    async def work() -> None:
        async with asking(sessions) as asker:
            connection = LoopConnection(asker.pool, DIALECT)

            def asked(number: int) -> Any:
                return fetch_prepared(connection, key, lambda: GATED_SELECT, {"number": number})

            with gate_closed(sessions):
                handlers = [
                    asyncio.create_task(run_on_event_loop(connection, partial(asked, number)))
                    for number in range(2 * MOST_AT_ONCE)
                ]
                await until(partial(are_locked, sessions, 2), "they wait at the gate")
                for cancelled in handlers[::3]:
                    cancelled.cancel()
                await asyncio.wait(handlers[::3])
                assert all(cancelled.cancelled() for cancelled in handlers[::3])
            kept = [number for number in range(2 * MOST_AT_ONCE) if number % 3]
            assert numbers_of(await asyncio.gather(*(handlers[number] for number in kept))) == kept

    on_a_loop(work)


def test_what_takes_too_long_fails_once_for_all_in_it(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, options=f"{GENERIC} -c statement_timeout=200") as asker:
            with gate_closed(sessions), statements() as seen:
                ends = await asker.ends_of_numbers(GATED, range(5))
            assert [type(end) for end in ends] == [errors.QueryCanceled] * 5
            # Not one after the other: each would have waited for all before it.
            assert len(seen) == 1, seen
            assert numbers_of(await asker.ends_of_numbers(GATED, [5])) == [5]

    on_a_loop(work)


@pytest.mark.parametrize("count", [1, MOST_AT_ONCE, MOST_RUNNING * MOST_AT_ONCE + 1])
def test_who_has_waited_long_enough_for_two_that_run_is_sent_to_a_thread(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    async def work() -> None:
        async with asking(sessions) as asker:
            with gate_closed(sessions):
                first = await asker.running(sessions, MOST_RUNNING)
                monkeypatch.setattr(batching, "WAIT_SECONDS", 0.05)
                for _ in range(2):
                    ends = await asker.ends_of_numbers(GATED, range(count))
                    assert [type(end) for end in ends] == [NeedsThread] * count
                assert not any(answer.done() for answer in first)
            assert numbers_of(await asyncio.gather(*first)) == list(range(MOST_RUNNING))
            monkeypatch.setattr(batching, "WAIT_SECONDS", LONG)
            assert numbers_of(await asker.ends_of_numbers(GATED, [9] * count)) == [9] * count

    on_a_loop(work)


def test_who_is_left_over_when_others_are_taken_is_sent_to_a_thread(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "WAIT_SECONDS", 0.2)

    async def work() -> None:
        async with asking(sessions) as asker:
            with gate_closed(sessions):
                asked = [asker.ask(GATED, number=number) for number in range(MOST_RUNNING * MOST_AT_ONCE + 1)]
                await until(asked[-1].done, "nobody waits for statements that do not end", seconds=5)
            assert isinstance(asked[-1].exception(), NeedsThread)
            # Those who were taken are answered.
            assert numbers_of(await asyncio.gather(*asked[:MOST_AT_ONCE])) == list(range(MOST_AT_ONCE))
            await asyncio.wait(asked)
            assert {type(answer.exception()) for answer in asked} == {NeedsThread, type(None)}

    on_a_loop(work)


def test_nobody_is_sent_away_while_others_are_served(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "WAIT_SECONDS", 0.5)
    slow = of(sa.select(sa.cast(NUMBER, sa.Integer).label("number"), sa.func.pg_sleep(0.0125).label("slept")))
    # Whoever is last waits twice as long, at the least.
    numbers = range(MOST_RUNNING * 80)

    async def work() -> None:
        async with asking(sessions) as asker:
            assert numbers_of(await asker.ends_of_numbers(slow, numbers)) == list(numbers)

    on_a_loop(work)


def test_the_wait_of_those_who_were_sent_away_is_not_counted_against_others(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            with gate_closed(sessions):
                asked = await asker.running(sessions, 1)
                monkeypatch.setattr(batching, "WAIT_SECONDS", 1)
                asked += [asker.ask(GATED, number=number) for number in range(3)]
                sessions.end()
                ends = await asyncio.gather(*asked, return_exceptions=True)
                assert [type(end) for end in ends] == [NeedsThread] * len(asked)
                await asker.ready()
                monkeypatch.setattr(batching, "WAIT_SECONDS", LONG)
                asked = await asker.running(sessions, 1)
                asked += [asker.ask(GATED, number=number) for number in range(1, 4)]
                # Past the moment until which the others would have waited.
                await asyncio.sleep(1.2)
            assert numbers_of(await asyncio.gather(*asked)) == [0, 1, 2, 3]

    on_a_loop(work)


def test_no_more_than_two_statements_of_a_kind_run_and_others_are_not_kept_from_running(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=MOST_RUNNING + 2) as asker:
            with gate_closed(sessions):
                asked = await asker.running(sessions, MOST_RUNNING)
                for number in range(MOST_RUNNING, 40):
                    asked.append(asker.ask(GATED, number=number))
                    await asyncio.sleep(0)
                for _ in range(5):
                    assert await asker.titles(range(20)) == titles_of(range(20))
                    assert sessions.count(LOCKED) == MOST_RUNNING
            assert numbers_of(await asyncio.gather(*asked)) == list(range(40))

    on_a_loop(work)


def test_a_connection_whose_answer_is_still_to_come_is_lent_to_nobody(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            with gate_closed(sessions):
                await asker.running(sessions, 1)
                # As the end of an event loop does.
                [serving] = asker.batches._tasks
                serving.cancel()
                await asyncio.wait([serving])
                await asker.ready()
                assert await asker.titles(range(20)) == titles_of(range(20))
            assert numbers_of(await asker.ends_of_numbers(GATED, [5])) == [5]

    on_a_loop(work)


def test_a_second_event_loop_starts_anew(sessions: Sessions) -> None:
    asker = Asker(a_pool(sessions))

    async def work() -> None:
        await asker.ready()
        assert await asker.titles(range(20)) == titles_of(range(20))
        # Never answered: the loop ends before.
        await asker.running(sessions, MOST_RUNNING)
        for number in range(3 * MOST_AT_ONCE):
            asker.ask(GATED, number=number)

    with gate_closed(sessions):
        for _ in range(3):
            on_a_loop(work)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_everybody_gets_their_own_or_is_told(sessions: Sessions, seed: int) -> None:
    pick = random.Random(seed)
    of_kind = kinds(3)

    async def work() -> None:
        async with asking(sessions) as asker:
            asked = []
            for turn in range(1500):
                number = pick.choice((1, 2, 50, pick.randrange(len(ROWS)), 2**31))
                kind = pick.randrange(len(of_kind))
                # As those do who would go on in a thread otherwise.
                if asker.pool.is_ready():
                    asked.append((kind, number, asker.ask(of_kind[kind], number=number)))
                if pick.random() < 0.1 and asked:
                    pick.choice(asked[-20:])[2].cancel()
                if pick.random() < 0.2:
                    await asyncio.sleep(pick.choice((0, 0, 0.001)))
                if turn % 500 == 499:
                    sessions.end()
                    await asker.ready()
            await asyncio.wait([answer for _, _, answer in asked])
            await asyncio.gather(*asker.batches._tasks)
            answered = 0
            for kind, number, answer in asked:
                if answer.cancelled():
                    continue
                error = answer.exception()
                if error is None:
                    assert numbers_of([answer.result()]) == [kind + number]
                    answered += 1
                elif not isinstance(error, NeedsThread):
                    assert (number, type(error)) == (2**31, errors.NumericValueOutOfRange)
            assert answered > 0
            assert not asker.pool._lent
            assert [(line.running, line.waiting) for line in asker.batches._lines.values()] == [(0, [])] * len(of_kind)

    on_a_loop(work)


def test_a_session_that_was_lent_to_others_answers_the_same(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            for _ in range(3):
                assert await asker.titles(range(5)) == titles_of(range(5))
                assert await asker.prepared() == 1
                async with asker.connection() as connection:
                    await connection.execute("DEALLOCATE ALL")
                assert await asker.titles(range(5)) == titles_of(range(5))
                assert await asker.titles([6]) == titles_of([6])
                # A pooler lends the same session along with what it has prepared.
                async with asker.connection() as connection:
                    connection.prepared.clear()

    on_a_loop(work)


def test_a_session_keeps_no_more_than_some(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MOST_PREPARED", 2)

    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            for count in (1, 5):
                for kind, statement in enumerate(kinds(5)):
                    ends = await asker.ends_of_numbers(statement, range(count))
                    assert numbers_of(ends) == [kind + number for number in range(count)]
            assert await asker.prepared() == 2

    on_a_loop(work)


def test_who_waited_for_an_exchange_reads_what_was_put_in_place(sessions: Sessions) -> None:
    exchange = (
        "CREATE TABLE other (LIKE shelf INCLUDING ALL)",
        "INSERT INTO other SELECT * FROM shelf",
        "UPDATE other SET title_key = 'new ' || number WHERE number < 20",
        "DROP TABLE shelf",
        "ALTER TABLE other RENAME TO shelf",
    )

    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            assert await asker.titles(range(20)) == titles_of(range(20))
            with sessions.engine.begin() as connection:
                connection.execute(sa.text("LOCK TABLE shelf IN ACCESS EXCLUSIVE MODE"))
                asked = [asker.ask(TITLE, number=number) for number in range(20)]
                await until(partial(are_locked, sessions, 1), "PostgreSQL lets it wait")
                for statement in exchange:
                    connection.execute(sa.text(statement))
            expected = [[(number, f"new {number}")] for number in range(20)]
            assert [shown(answer) for answer in await asyncio.gather(*asked)] == expected
            assert await asker.titles(range(20)) == expected

    on_a_loop(work)


@pytest.mark.parametrize("change", ["title_key TYPE varchar(9999)", "number TYPE bigint", "number TYPE numeric"])
def test_a_column_that_became_another_type_is_read_as_it_is(sessions: Sessions, change: str) -> None:
    async def work() -> None:
        async with asking(sessions) as asker:
            assert await asker.titles(range(20)) == titles_of(range(20))
            with sessions.engine.begin() as connection:
                connection.execute(sa.text(f"ALTER TABLE shelf ALTER COLUMN {change}"))
            for _ in range(5):
                assert await asker.titles(range(20)) == titles_of(range(20))

    on_a_loop(work)
