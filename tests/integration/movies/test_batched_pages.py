"""Pages that are read together for many who ask: along the index, and no more of it than each would read alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.catalogues import catalogue, store
from tests.fixtures.api import Api

from shelflist.movies import queries
from shelflist.movies.queries import SORT_TYPES, MovieFilters
from shelflist.shared import prepared
from shelflist.shared.batching import MOST_AT_ONCE
from shelflist.shared.database import autocommitting
from shelflist.shared.paging import Position
from shelflist.shared.statements import Prepared

# With years unknown as often as all else.
ROWS = [{**row, "year": row["year"] if number % 8 else None} for number, row in enumerate(catalogue(12_000))]
GENRES = ("Drama", "Comedy")
PAGE_SIZE = 20
LIMIT = 21
ORDERS = [(sort, desc) for sort in SORT_TYPES for desc in (False, True)]
PLACES = ("start", "values", "nulls")
SHELVES: dict[str, Sequence[str | None]] = {"all": [None], "genre": GENRES}
Values = dict[str, Any]
Node = Mapping[str, Any]
Answers = Sequence[Sequence[sa.Row[Any]]]


@pytest.fixture(scope="module")
def connection(running_api: Api) -> Iterator[sa.Connection]:
    store(running_api.engine, ROWS)
    with autocommitting(running_api.engine) as connection:
        # As the sessions of the event loop have it.
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        yield connection
    running_api.empty()


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Values]:
    """A list that fills with the values of each prepared statement that is asked."""
    noted: list[Values] = []
    fetch = prepared.fetch_prepared

    def noting(connection: Any, key: Any, build: Any, parameters: Mapping[str, Any]) -> Any:
        noted.append(dict(parameters))
        return fetch(connection, key, build, parameters)

    monkeypatch.setattr(prepared, "fetch_prepared", noting)
    monkeypatch.setattr(queries, "fetch_prepared", noting)
    monkeypatch.setattr(prepared, "_STATEMENTS", {})
    return noted


def positions(sort: str, genre: str | None, place: str) -> Sequence[Position | None]:
    """Return places all over a list."""
    column = SORT_TYPES[sort][0]
    rows = [row for row in ROWS if genre is None or genre in row["genres"]]
    if place == "start":
        return [None]
    kept = [row for row in rows if (row[column] is None) == (place == "nulls")]
    key_type = SORT_TYPES[sort][1]
    keys = [None if row[column] is None else key_type(str(row[column])) for row in kept]
    return [Position(key, row["id"]) for key, row in list(zip(keys, kept, strict=True))[:: len(kept) // 8 + 1]]


def explained(connection: sa.Connection, statement: Prepared, values: Sequence[Values]) -> Sequence[Node]:
    """Return the nodes of the plan by which all who ask are answered, with what each has done."""
    texts = statement.of_many
    lists = {name: [each[name] for each in values] for name in statement.parameters}
    given = {**statement.constants, **lists}
    known = connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements WHERE name = %s", (texts.name,))
    if not known.scalar():
        connection.exec_driver_sql(texts.prepare)
    execute = texts.execute.partition("; ")[2]
    plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {execute}", given).scalar_one()
    return list(nodes_of(plan[0]["Plan"]))


def nodes_of(plan: Node) -> Iterator[Node]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes_of(below)


def rows_of(connection: sa.Connection, statement: Prepared, values: Sequence[Values]) -> Answers:
    """Return the rows of each who asks together with others."""
    lists = {name: [each[name] for each in values] for name in statement.parameters}
    answers: list[list[sa.Row[Any]]] = [[] for _ in values]
    for row in connection.exec_driver_sql(statement.of_many.plain, {**statement.constants, **lists}):
        answers[row.asked_place - 1].append(row)
    return answers


@pytest.mark.parametrize("shelf", SHELVES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("order", ORDERS)
def test_pages_are_read_together_along_the_index_and_no_further_than_they_go(
    connection: sa.Connection, asked: list[Values], order: tuple[str, bool], place: str, shelf: str
) -> None:
    sort, desc = order
    for genre in SHELVES[shelf]:
        filters = MovieFilters({"genre": [genre]} if genre else {})
        for after in positions(sort, genre, place):
            queries.list_movies(connection, filters, sort=sort, desc=desc, after=after, page_size=PAGE_SIZE)
    if (sort, place) == ("title", "nulls"):
        # Every movie has a title.
        assert asked == []
        return
    [statement] = prepared._STATEMENTS.values()
    nodes = explained(connection, statement, asked[:MOST_AT_ONCE])
    table = "movies" if shelf == "all" else "movie_genres"
    # The other walks run only where the values end.
    walk, *_ = [node for node in nodes if node.get("Index Name") == f"{table}_{SORT_TYPES[sort][0]}_idx"]
    assert walk["Node Type"] in ("Index Scan", "Index Only Scan")
    assert walk["Scan Direction"] == ("Backward" if desc else "Forward")
    assert walk["Actual Loops"] == len(asked)
    assert walk["Actual Rows"] <= LIMIT
    assert walk.get("Rows Removed by Filter", 0) == 0
    # The ledger of loads has few rows.
    kinds = {node["Node Type"] for node in nodes if node.get("Relation Name") != "dataset_loads"}
    assert not kinds & {"Sort", "Incremental Sort", "Seq Scan", "Hash", "Materialize"}


@pytest.mark.parametrize("shelf", SHELVES)
@pytest.mark.parametrize(("sort", "desc"), ORDERS)
def test_pages_that_are_read_together_are_those_that_are_read_alone(
    connection: sa.Connection, asked: list[Values], sort: str, desc: bool, shelf: str
) -> None:
    alone = []
    for genre in SHELVES[shelf]:
        filters = MovieFilters({"genre": [genre]} if genre else {})
        for after in positions(sort, genre, "values"):
            page = queries.list_movies(connection, filters, sort=sort, desc=desc, after=after, page_size=PAGE_SIZE)
            alone.append([str(row.id) for row in page.rows])
    [statement] = prepared._STATEMENTS.values()
    together = rows_of(connection, statement, asked)
    assert len(together) == len(alone) > 8 - len(SHELVES[shelf])
    for page_alone, rows in zip(alone, together, strict=True):
        # Of those that reach into the nulls it has the part before them.
        assert page_alone[: len(rows)] == [str(row.id) for row in rows[:PAGE_SIZE]]


@pytest.mark.parametrize("name", ["id", "imdb_id"])
def test_movies_are_looked_up_together_by_their_index(
    connection: sa.Connection, asked: list[Values], name: str
) -> None:
    given = [row[name] for row in ROWS if row[name] is not None][:MOST_AT_ONCE]
    for movie_id in given:
        queries.get_movie(connection, movie_id)
    [statement] = prepared._STATEMENTS.values()
    nodes = explained(connection, statement, asked)
    lookups = [node for node in nodes if "Index Name" in node and node["Relation Name"] == "movies"]
    assert [node["Actual Loops"] for node in lookups] == [len(given)]
    assert not {node["Node Type"] for node in nodes} & {"Sort", "Hash", "Materialize"}
    found = [[getattr(row, name) for row in rows] for rows in rows_of(connection, statement, asked)]
    assert [list(map(str, names)) for names in found] == [[movie_id] for movie_id in given]
