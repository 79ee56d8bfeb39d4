"""Statements that are planned once for each connection."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.movies import add_movies
from tests.fixtures.statements import statements

from shelflist.movies import queries
from shelflist.shared import prepared
from shelflist.shared.database import autocommitting, create_engine
from shelflist.shared.statements import Prepared

FILTERS = queries.MovieFilters({})


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    engine = create_engine(database_url, "tests")
    rows = [{"title": f"Movie {n:02}", "votes": n if n % 3 else None, "genres": ["100 % War"]} for n in range(30)]
    add_movies(engine, rows)
    with autocommitting(engine) as connection:
        yield connection
    engine.dispose()


def first_titles(connection: sa.Connection, sort: str = "title", *, desc: bool = False) -> list[str]:
    page = queries.list_movies(connection, FILTERS, sort=sort, desc=desc, after=None, page_size=10)
    return [row.title for row in page.rows]


def prepared_by(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() or 0)


def test_a_list_is_planned_once_for_a_connection(connection: sa.Connection) -> None:
    for _ in range(3):
        assert first_titles(connection) == [f"Movie {n:02}" for n in range(10)]
        assert prepared_by(connection) == 1
    first_titles(connection, desc=True)
    assert prepared_by(connection) == 2


def test_values_hold_whatever_they_hold(connection: sa.Connection) -> None:
    for name in ("100 % war", "100 % WAR", "100 %% War"):
        filters = queries.MovieFilters({"genre": [name]})
        page = queries.list_movies(connection, filters, sort="votes", desc=True, after=None, page_size=20)
        assert len(page.rows) == (0 if "%%" in name else 20)


def test_a_session_that_was_lent_to_others_reads_the_same(connection: sa.Connection) -> None:
    expected = first_titles(connection)
    connection.exec_driver_sql("DEALLOCATE ALL")
    assert first_titles(connection) == expected
    assert queries.get_movie(connection, str(connection.scalar(sa.text("SELECT id FROM movies LIMIT 1")))).title in (
        f"Movie {n:02}" for n in range(30)
    )


def test_a_connection_keeps_no_more_than_some(connection: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "MOST_PREPARED", 2)
    kinds = [(sort, desc) for sort in ("title", "votes") for desc in (False, True)]
    lists = {(sort, desc): first_titles(connection, sort, desc=desc) for sort, desc in kinds}
    assert prepared_by(connection) == 2
    monkeypatch.setattr(prepared, "MOST_PREPARED", 64)
    for (sort, desc), expected in lists.items():
        assert first_titles(connection, sort, desc=desc) == expected


def test_threads_that_begin_at_once_read_each_their_own_list(
    database_url: str, connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "_STATEMENTS", {})

    def slowly(*arguments: Any) -> Any:
        # So long that the others begin before the first has its name.
        time.sleep(0.01)
        return Prepared(*arguments)

    monkeypatch.setattr(prepared, "Prepared", slowly)
    expected = {(sort, desc): None for sort in queries.SORT_TYPES for desc in (False, True)}
    engine = sa.create_engine(database_url, pool_size=2, max_overflow=0)

    def read(wanted: tuple[str, bool]) -> list[str]:
        sort, desc = wanted
        with autocommitting(engine) as own:
            return first_titles(own, sort, desc=desc)

    with ThreadPoolExecutor(len(expected)) as threads:
        first = list(threads.map(read, expected))
    again = [read(wanted) for wanted in expected]
    monkeypatch.setattr(prepared, "MOST_PREPARED", 0)
    assert first == again == [first_titles(connection, sort, desc=desc) for sort, desc in expected]
    engine.dispose()


def test_in_a_transaction_nothing_is_prepared(connection: sa.Connection) -> None:
    with connection.engine.begin() as transaction:
        assert first_titles(transaction) == [f"Movie {n:02}" for n in range(10)]
        assert prepared_by(transaction) == 0


def test_tables_in_the_place_of_others_are_read(connection: sa.Connection) -> None:
    first_titles(connection)
    with connection.engine.begin() as transaction:
        for statement in (
            "CREATE SCHEMA other",
            "CREATE TABLE other.movies (LIKE movies INCLUDING ALL)",
            "INSERT INTO other.movies SELECT * FROM movies WHERE title > 'Movie 15'",
            "DROP TABLE movies CASCADE",
            "ALTER TABLE other.movies SET SCHEMA public",
        ):
            transaction.execute(sa.text(statement))
    assert first_titles(connection) == [f"Movie {n}" for n in range(16, 26)]


def test_a_session_that_another_process_had_is_not_taken_at_its_names(
    connection: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = first_titles(connection)
    with autocommitting(connection.engine) as lent:
        # Another process, which asks for another list first.
        monkeypatch.setattr(prepared, "_STATEMENTS", {})
        first_titles(lent, "votes")
        monkeypatch.undo()
        # A pooler gives the first process that session, where it believes to be on its own.
        lent.info["shelflist.prepared"] = set(connection.info["shelflist.prepared"])
        assert first_titles(lent) == expected


def test_a_column_that_became_another_type_is_read_as_it_is(connection: sa.Connection) -> None:
    expected = first_titles(connection)
    connection.exec_driver_sql("ALTER TABLE movies ALTER COLUMN original_title TYPE varchar(600)")
    for _ in range(3):
        assert first_titles(connection) == expected


def test_a_statement_that_a_pooler_lent_along_with_the_session_is_executed(connection: sa.Connection) -> None:
    expected = first_titles(connection)
    del connection.info["shelflist.prepared"]
    assert first_titles(connection) == expected
    with statements() as seen:
        assert first_titles(connection) == expected
    # Sent once: as one that is prepared.
    assert len(seen) == 1
