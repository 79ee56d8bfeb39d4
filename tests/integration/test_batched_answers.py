"""Questions that are asked of PostgreSQL together: everybody gets their own answer, or is told alone."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from psycopg2 import errors
from tests.fixtures.loops import on_a_loop
from tests.fixtures.sessions import Sessions
from tests.fixtures.shelves import (
    ABSENT,
    GATED,
    IDS,
    LONG,
    MOMENTS,
    NUMBER,
    ROWS,
    SHELF,
    TITLE,
    VALUES,
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
from shelflist.shared.batching import MOST_AT_ONCE, NeedsThread
from shelflist.shared.statements import Prepared
from shelflist.shared.texts import parameter


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    with shelved(database_url) as sessions:
        yield sessions


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be sent away for the time that they waited."""
    monkeypatch.setattr(batching, "WAIT_SECONDS", LONG)
    monkeypatch.setattr(asynchronous, "WAIT_SECONDS", LONG)


def statements_on(column: sa.Column[Any]) -> Sequence[Prepared]:
    """Return statements of each form with a value of the column: some rows, all or none, in an order of their own."""
    value, number = parameter("value", column.type), SHELF.c.number
    return [
        of(sa.select(number).where(column == value).order_by(number.desc())),
        of(sa.select(number).where(column.is_not_distinct_from(value)).order_by(number)),
        of(sa.select(number).where(column > value).order_by(column, number).limit(4)),
        of(sa.select(number).where(column <= value).order_by(column.desc(), number.desc()).offset(1).limit(5)),
        of(sa.select(number).where(sa.tuple_(column, number) > sa.tuple_(value, 40)).order_by(column, number).limit(3)),
    ]


def alone(sessions: Sessions, statement: Prepared, value: Any) -> Sequence[int]:
    """Return the numbers that a thread is answered."""
    with sessions.engine.connect() as connection:
        rows = connection.exec_driver_sql(statement.of_one.plain, {**statement.constants, "value": value})
        return [row.number for row in rows]


@pytest.mark.parametrize("name", VALUES)
def test_everybody_gets_what_they_would_alone_in_the_order_of_the_statement(sessions: Sessions, name: str) -> None:
    # Most of them twice, and those without rows among them.
    given = [*VALUES[name], *ABSENT[name], None] * 2
    random.Random(1).shuffle(given)
    # Nobody gives a value at all.
    groups = (given, [None] * 3, [None], given[:1])

    async def work() -> None:
        async with asking(sessions) as asker:
            for statement in statements_on(SHELF.c[name]):
                for values in groups:
                    ends = await asker.ends_of([(statement, {"value": value}) for value in values])
                    answers = [[row.number for row in end] if isinstance(end, list) else end for end in ends]
                    expected = [alone(sessions, statement, value) for value in values]
                    assert list(zip(values, answers, strict=True)) == list(zip(values, expected, strict=True))

    on_a_loop(work)


def test_values_come_back_as_they_were_given(sessions: Sessions) -> None:
    columns = [SHELF.c.title_key, SHELF.c.year, SHELF.c.id]
    given = [sa.cast(parameter(column.name, column.type), column.type).label(column.name) for column in columns]
    questions = [{column.name: row[column.name] for column in columns} for row in ROWS]

    async def work() -> None:
        async with asking(sessions) as asker:
            statement = of(sa.select(*given))
            ends = await asker.ends_of([(statement, question) for question in questions])
            answers = [{column.name: getattr(row, column.name) for column in columns} for [row] in ends]
            assert answers == questions

    on_a_loop(work)


def test_several_rows_of_each_keep_their_order(sessions: Sessions) -> None:
    two = sa.select(SHELF.c.number, SHELF.c.title_key).where(SHELF.c.number >= NUMBER)
    statement = of(two.order_by(SHELF.c.title_key.desc().nulls_last(), SHELF.c.number.desc()))

    async def work() -> None:
        async with asking(sessions) as asker:
            ends = await asker.ends_of_numbers(statement, range(len(ROWS)))
            for number, end in enumerate(ends):
                rows = [(row["title_key"], row["number"]) for row in ROWS[number:]]
                titled = sorted((row for row in rows if row[0] is not None), reverse=True)
                untitled = sorted((row for row in rows if row[0] is None), key=lambda row: -row[1])
                assert [(title, own) for own, title in shown(end)] == titled + untitled

    on_a_loop(work)


def test_all_who_ask_the_same_get_the_same(sessions: Sessions) -> None:
    statement = of(sa.select(SHELF.c.number, SHELF.c.title_key).order_by(SHELF.c.number.desc()).limit(2))

    async def work() -> None:
        async with asking(sessions) as asker:
            for count in (1, 2, 3 * MOST_AT_ONCE):
                ends = await asker.ends_of([(statement, {})] * count)
                assert [shown(end) for end in ends] == [[*titles_of([89])[0], *titles_of([88])[0]]] * count

    on_a_loop(work)


def test_more_than_one_statement_answers_are_served(sessions: Sessions) -> None:
    numbers = [number % len(ROWS) for number in range(20 * MOST_AT_ONCE + 1)]

    async def work() -> None:
        async with asking(sessions) as asker:
            for _ in range(3):
                assert await asker.titles(numbers) == titles_of(numbers)

    on_a_loop(work)


@pytest.mark.parametrize("count", [1, 2, MOST_AT_ONCE])
def test_those_who_ask_at_the_same_time_are_answered_by_one_statement(sessions: Sessions, count: int) -> None:
    async def work() -> None:
        async with asking(sessions) as asker:
            for _ in range(3):
                with statements() as seen:
                    assert await asker.titles(range(count)) == titles_of(range(count))
                    # Whoever else was to serve them finds nobody.
                    await asyncio.gather(*asker.batches._tasks)
                assert len(seen) == 1, seen

    on_a_loop(work)


def test_those_who_have_been_served_by_others_cost_no_statement(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            with statements() as seen:
                async with asker.connection():
                    asked = [asker.ask(TITLE, number=number) for number in range(5)]
                    # Whoever is to serve them waits for the connection.
                    await asyncio.sleep(0)
                assert [shown(answer) for answer in await asyncio.gather(*asked)] == titles_of(range(5))
                await asyncio.gather(*asker.batches._tasks)
            assert len(seen) == 1, seen

    on_a_loop(work)


@pytest.mark.parametrize(
    "several",
    [kinds(10), [of(sa.select(SHELF.c.number + kind).where(SHELF.c.number == NUMBER)) for kind in range(10)]],
    ids=["other texts", "other constants"],
)
def test_statements_of_several_kinds_do_not_mix(sessions: Sessions, several: Sequence[Prepared]) -> None:
    asked = [(kind, number) for number in range(30) for kind in range(10)]

    async def work() -> None:
        async with asking(sessions) as asker:
            ends = await asker.ends_of([(several[kind], {"number": number}) for kind, number in asked])
            assert numbers_of(ends) == [kind + number for kind, number in asked]

    on_a_loop(work)


def test_answers_are_read_after_they_were_asked_for(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions) as asker:
            with gate_closed(sessions):
                before = await asker.running(sessions, 2)
                with sessions.engine.begin() as connection:
                    connection.execute(SHELF.insert(), [{"number": 1000}])
                after = [asker.ask(GATED, number=number) for number in range(3)]
            assert [(row.number, row.last) for [row] in await asyncio.gather(*before)] == [(0, 89), (1, 89)]
            # What runs had looked before; its answers are nobody else's, even to the same question.
            answers = [(row.number, row.last) for [row] in await asyncio.gather(*after)]
            assert answers == [(0, 1000), (1, 1000), (2, 1000)]

    on_a_loop(work)


REFUSED = [
    (SHELF.c.number, 1, 2**31, errors.NumericValueOutOfRange),
    (SHELF.c.number, 1, 10**40, errors.NumericValueOutOfRange),
    (SHELF.c.number, 1, "one", errors.InvalidTextRepresentation),
    (SHELF.c.title_key, "a", "a\0", ValueError),
    (SHELF.c.title_key, "a", "\ud800", UnicodeEncodeError),
    (SHELF.c.id, IDS[1], "no UUID", errors.InvalidTextRepresentation),
    (SHELF.c.at, MOMENTS[1], "2026-13-01", errors.DatetimeFieldOverflow),
    (SHELF.c.year, 1894, 2**15, errors.NumericValueOutOfRange),
    (SHELF.c.rating, Decimal("8.55"), "much", errors.InvalidTextRepresentation),
]


@pytest.mark.parametrize(("column", "good", "bad", "error"), REFUSED)
def test_who_has_a_value_that_is_refused_fails_alone(
    sessions: Sessions, column: sa.Column[Any], good: Any, bad: Any, error: type[Exception]
) -> None:
    value = parameter("value", column.type)
    statement = of(sa.select(SHELF.c.number, SHELF.c.title_key).where(column == value).order_by(SHELF.c.number))
    own = [(row["number"], row["title_key"]) for row in ROWS if row[column.name] == good]

    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            for values in ([good, bad, good, bad, good], [bad], [bad, bad], [good]):
                ends = [shown(end) for end in await asker.ends_of([(statement, {"value": each}) for each in values])]
                assert [end if isinstance(end, list) else type(end) for end in ends] == [
                    own if each is good else error for each in values
                ]

    on_a_loop(work)


def test_who_has_what_the_driver_knows_nothing_of_fails_alone(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions, size=1) as asker:
            ends = await asker.titles([1, object(), 2])  # type: ignore[list-item]
            assert isinstance(ends[1], psycopg2.ProgrammingError)
            # The driver gives the connection up.
            for end, own in zip(ends[::2], titles_of([1, 2]), strict=True):
                assert end == own or isinstance(end, NeedsThread)
            await asker.ready()
            assert await asker.titles([3]) == titles_of([3])

    on_a_loop(work)


def test_who_asks_what_fails_for_its_values_fails_alone(sessions: Sessions) -> None:
    statement = of(sa.select(SHELF.c.number, (100 / NUMBER).label("share")).where(SHELF.c.number == NUMBER))

    async def work() -> None:
        async with asking(sessions) as asker:
            first, second, third, fourth = await asker.ends_of_numbers(statement, [2, 0, 5, 0])
            assert numbers_of([first, third]) == [2, 5]
            assert [type(second), type(fourth)] == [errors.DivisionByZero] * 2

    on_a_loop(work)


def test_who_leaves_a_value_out_fails_alone(sessions: Sessions) -> None:
    async def work() -> None:
        async with asking(sessions) as asker:
            asked = [asker.ask(TITLE, number=1), asker.ask(TITLE), asker.ask(TITLE, number=2)]
            await asyncio.wait(asked, timeout=2)
            assert [answer.done() for answer in asked] == [True] * 3
            assert isinstance(asked[1].exception(), KeyError)
            assert [shown(answer.result()) for answer in asked[::2]] == titles_of([1, 2])

    on_a_loop(work)


@pytest.mark.parametrize(
    "statement",
    [
        of(sa.select(SHELF.c.number, SHELF.c.number).set_label_style(sa.LABEL_STYLE_NONE)),
        of(sa.select(SHELF.c.number.label("class")).where(SHELF.c.number == NUMBER)),
    ],
    ids=["two columns of one name", "a name that Python keeps"],
)
def test_who_asks_for_columns_that_rows_cannot_have_is_told(sessions: Sessions, statement: Prepared) -> None:
    async def work() -> None:
        async with asking(sessions) as asker:
            asked = asker.ask(statement, number=1)
            await asyncio.wait([asked], timeout=2)
            assert asked.done()
            assert isinstance(asked.exception(), ValueError)

    on_a_loop(work)
