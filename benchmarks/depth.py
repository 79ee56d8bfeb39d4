"""A page of GET /movies at the start, 300,000 movies further, where values end, and deep among those without one.

    .venv/bin/python benchmarks/depth.py [--times 50] [--folder DIR]

Reads the catalogue of catalogue.py: 720,000 movies. `ours` is `queries.list_movies` with its rows over an open
connection, the median of many times, and the pages of tables and indexes that PostgreSQL touches for it, from EXPLAIN.
Genres are read as deep in proportion. `peer` is the page by OFFSET. The goal: 1.5 times the first page at most.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from catalogue import catalogue

from shelflist.movies import queries
from shelflist.movies.tables import movies
from shelflist.shared.database import autocommitting, create_engine
from shelflist.shared.paging import Position
from shelflist.shared.prepared import plain_text
from shelflist.shared.texts import WALKING

PAGE_SIZE = 10
DEPTH, ALL = 300_000, 720_000
GOAL = 1.5
SHELVES = ({}, {"genre": ["Drama"]}, {"genre": ["Documentary"]})


@dataclass(frozen=True)
class Shelf:
    """One list: its filters and its order."""

    filters: dict[str, Any]
    sort: str
    desc: bool

    def page(self, connection: sa.Connection, after: Position | None) -> queries.Page:
        arguments = {"sort": self.sort, "desc": self.desc, "after": after, "page_size": PAGE_SIZE}
        return queries.list_movies(connection, queries.MovieFilters(self.filters), **arguments)

    def plain(self) -> sa.Select[Any]:
        """Return the same list from a statement that knows nothing of keysets."""
        column = movies.c[queries.SORT_TYPES[self.sort][0]]
        direction = sa.desc if self.desc else sa.asc
        statement = sa.select(movies, column.label("page_key"))
        if self.filters:
            statement = statement.where(movies.c.genres.contains(self.filters["genre"]))
        return statement.order_by(direction(column).nulls_last(), direction(movies.c.id))


def places(connection: sa.Connection, shelf: Shelf) -> dict[str, int]:
    """Return how many movies stand before each page that is asked for."""
    rows = shelf.plain().order_by(None).subquery()
    total, valued = connection.execute(sa.select(sa.func.count(), sa.func.count(rows.c.page_key))).one()
    found = {"first": 0, "deep": round(total * DEPTH / ALL)}
    if valued < total:
        found |= {"across": valued - PAGE_SIZE // 2, "nulls": (valued + total) // 2}
    return found


def position(connection: sa.Connection, shelf: Shelf, skipped: int) -> Position | None:
    if not skipped:
        return None
    row = connection.execute(shelf.plain().offset(skipped - 1).limit(1)).one()
    return Position(row.page_key, str(row.id))


@contextmanager
def noted() -> Iterator[list[str]]:
    """Yield a list that fills with the statements that are sent."""
    sent: list[str] = []

    def note(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        # EXPLAIN takes neither the lock that goes with an EXECUTE nor the setting that goes with a walk.
        plain = plain_text(statement).removeprefix(WALKING)
        sent.append(cursor.mogrify(plain, parameters).decode())

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def buffers(connection: sa.Connection, shelf: Shelf, after: Position | None) -> int:
    """Return the pages of tables and indexes that one page of the list touches, in memory or not."""
    with noted() as sent:
        shelf.page(connection, after)
    touched = 0
    for statement in sent:
        if statement.startswith("PREPARE"):
            continue
        explain = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement.replace("%", "%%")
        plan = connection.exec_driver_sql(explain).scalar_one()[0]["Plan"]
        touched += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return touched


def milliseconds(act: Callable[[], Any], first: Callable[[], Any], times: int) -> tuple[float, float]:
    """Return the median of what `act` and `first` take, by turns: what else the machine does slows both."""
    taken: list[tuple[float, float]] = []
    for _ in range(times + 5):
        pair = []
        for each in (act, first):
            started = time.perf_counter()
            each()
            pair.append((time.perf_counter() - started) * 1000)
        taken.append((pair[0], pair[1]))
    # The first find nothing warm, and nothing prepared.
    mine, theirs = zip(*(taken[5:] or taken), strict=True)
    return statistics.median(mine), statistics.median(theirs)


def measure(connection: sa.Connection, shelf: Shelf, times: int) -> float:
    """Print the figures of one list; return the greatest ratio of a page of it to its first."""
    name = f"{shelf.filters.get('genre', ['all'])[0]}, {shelf.sort} {'desc' if shelf.desc else 'asc'}"
    touched_first = buffers(connection, shelf, None)
    worst = 0.0
    for place, skipped in places(connection, shelf).items():
        after = position(connection, shelf, skipped)
        taken, taken_first = milliseconds(
            lambda: shelf.page(connection, after),  # noqa: B023 - called at once
            lambda: shelf.page(connection, None),
            times,
        )
        touched = buffers(connection, shelf, after)
        ratios = taken / taken_first, touched / touched_first
        started = time.perf_counter()
        rows = connection.execute(shelf.plain().offset(skipped).limit(PAGE_SIZE)).all()
        peer = (time.perf_counter() - started) * 1000
        if [str(row.id) for row in rows] != [str(row.id) for row in shelf.page(connection, after).rows]:
            raise SystemExit(f"the two ways differ: {name}, {place}")
        print(
            f"{name:26} {place:7}{skipped:8} before: {taken:6.2f} ms {touched:4} pages, "
            f"{ratios[0]:5.2f} and {ratios[1]:5.2f} times the first; peer {peer:8.1f} ms"
        )
        worst = max(worst, *ratios)
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="keeps the database for the next run")
    arguments = parser.parse_args()
    shelves = [
        Shelf(filters, sort, desc) for filters in SHELVES for sort in queries.SORT_TYPES for desc in (False, True)
    ]
    with catalogue(arguments.folder) as url, autocommitting(create_engine(url, "benchmark")) as connection:
        print(f"load of this machine {os.getloadavg()[0]:.1f}")
        worst = max(measure(connection, shelf, arguments.times) for shelf in shelves)
    verdict = "kept" if worst <= GOAL else "MISSED"
    print(f"the goal, {GOAL} times the first page at most, at any depth: {verdict} ({worst:.2f})")


if __name__ == "__main__":
    main()
