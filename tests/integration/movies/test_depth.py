"""What a page costs at any depth, in pages of tables and indexes that PostgreSQL reads for it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.catalogues import catalogue, store
from tests.fixtures.api import Api
from tests.fixtures.statements import statements

from shelflist.movies import queries
from shelflist.movies.queries import SORT_TYPES, MovieFilters
from shelflist.shared.database import autocommitting
from shelflist.shared.paging import Position

ROWS = 12_000
PAGE_SIZE = 10
LEVEL = 3
"""Pages by which two walks along the same indexes may differ: a leaf or two more, and one more of the table."""

ORDERS = [(sort, desc) for sort in SORT_TYPES for desc in (False, True)]
SHELVES: dict[str, dict[str, Any]] = {"all": {}, "genre": {"genre": ["Drama"]}}


@pytest.fixture(scope="module")
def shelves(running_api: Api) -> Iterator[sa.Connection]:
    store(running_api.engine, catalogue(ROWS))
    with autocommitting(running_api.engine) as connection:
        yield connection
    running_api.empty()


def buffers(connection: sa.Connection, filters: dict[str, Any], sort: str, desc: bool, after: Position | None) -> int:
    """Return how many pages PostgreSQL reads for one page of the list, wherever it finds them."""
    arguments = {"sort": sort, "desc": desc, "after": after, "page_size": PAGE_SIZE}
    with statements() as sent:
        page = queries.list_movies(connection, MovieFilters(filters), **arguments)
    assert len(page.rows) == PAGE_SIZE
    read = 0
    for statement in sent:
        if statement.startswith("PREPARE"):
            continue
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement.replace("%", "%%")
        explained = connection.exec_driver_sql(explain).scalar_one()
        [plan] = explained if isinstance(explained, list) else json.loads(explained)
        read += plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    return read


def position(connection: sa.Connection, filters: dict[str, Any], sort: str, desc: bool, place: float) -> Position:
    """Return the position at a share of the whole list, or so many rows before its segment of nulls."""
    column, direction = SORT_TYPES[sort][0], "DESC" if desc else "ASC"
    genre = "WHERE 'Drama' = ANY (genres)" if filters else ""
    counted = connection.execute(
        sa.text(f"SELECT count(*) AS rows, count({column}) AS valued FROM movies {genre}")
    ).one()
    skipped = round(counted.rows * place) if place > 0 else counted.valued + place
    order = f"ORDER BY {column} {direction} NULLS LAST, id {direction} OFFSET :skipped LIMIT 1"
    row = connection.execute(
        sa.text(f"SELECT id, {column} AS key FROM movies {genre} {order}"), {"skipped": skipped}
    ).one()
    return Position(row.key, str(row.id))


@pytest.mark.parametrize("shelf", SHELVES)
@pytest.mark.parametrize(("sort", "desc"), ORDERS)
def test_a_deep_page_reads_no_more_than_the_first(shelves: sa.Connection, sort: str, desc: bool, shelf: str) -> None:
    filters = SHELVES[shelf]
    first = buffers(shelves, filters, sort, desc, None)
    for place in (0.1, 0.4, 0.6, 0.9, 0.99):
        deep = buffers(shelves, filters, sort, desc, position(shelves, filters, sort, desc, place))
        assert deep <= first + LEVEL, place


@pytest.mark.parametrize("shelf", SHELVES)
@pytest.mark.parametrize(("sort", "desc"), [order for order in ORDERS if order[0] != "title"])
def test_the_page_that_reaches_into_the_nulls_reads_little_more_than_the_first(
    shelves: sa.Connection, sort: str, desc: bool, shelf: str
) -> None:
    filters = SHELVES[shelf]
    first = buffers(shelves, filters, sort, desc, None)
    for before in (1, 5, PAGE_SIZE):
        across = buffers(shelves, filters, sort, desc, position(shelves, filters, sort, desc, -before))
        # The index is looked into once more for the nulls, and once to count the values that are left; where nothing
        # has vacuumed the table yet, that looks at them again, too, but never at what is shown of them.
        assert across <= first + before + 3 * LEVEL, before


def test_a_page_of_few_among_many_reads_less_than_they_are(shelves: sa.Connection) -> None:
    filters = {"genre": ["Film-Noir", "War"]}
    few = shelves.scalar(sa.text("SELECT count(*) FROM movies WHERE genres @> ARRAY['Film-Noir', 'War']"))
    assert few is not None
    assert PAGE_SIZE < few < ROWS / 50
    assert buffers(shelves, filters, "votes", True, None) < ROWS / 10
