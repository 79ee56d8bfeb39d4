"""Loads into a catalogue that is filled already: the day after, and the same files again; what they write."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from load_runs import Load, Server, load_imdb, measured

from shelflist.shared.database import autocommitting, create_engine

WRITTEN = """
SELECT relid, n_tup_ins + n_tup_upd + n_tup_del AS written
FROM pg_stat_user_tables
WHERE schemaname = 'public' AND relname IN ('movies', 'movie_genres', 'removed_movies')
"""
OTHERS = """
SELECT count(*)
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@dataclass(frozen=True)
class Later:
    """A load, the rows that it wrote to the served tables, and its write-ahead log (bytes)."""

    load: Load
    rows: int
    wal: int


@dataclass
class Days:
    """The first load of a database, and those that followed."""

    first: Later
    rows: int
    movies: int
    changed: str
    days: list[Later] = field(default_factory=list)
    unchanged: list[Load] = field(default_factory=list)


def later_loads(server: Server, files: Path, work: Path, rounds: int, only: set[str]) -> Days:
    """Load the files, then in each round the same ones again, and those of the other day."""
    next_day = work / "next-day"
    command = [sys.executable, str(Path(__file__).with_name("load_day.py")), str(files), str(next_day)]
    changed = measured(command).output.strip() if "day" in only else ""
    with server.database() as url:
        observed = Observed(server, url)
        first = observed.load(files)
        found = Days(
            first, observed.count("movies") + observed.count("movie_genres"), observed.count("movies"), changed
        )
        for number in range(rounds):
            if "unchanged" in only:
                found.unchanged.append(load_imdb(url, files if number % 2 == 0 else next_day, "unchanged"))
            if "day" in only:
                # There and back: the second round takes back what the first has changed.
                found.days.append(observed.load(next_day if number % 2 == 0 else files))
        observed.close()
    return found


class Observed:
    """A database whose counters are read before and after each load."""

    def __init__(self, server: Server, url: str) -> None:
        self._server = server
        self._url = url
        self._engine = create_engine(url, "observer")

    def load(self, files: Path) -> Later:
        # The first change of each page after a checkpoint logs the whole page: the most that a load can cost.
        self._server.checkpoint()
        before, wal = self._written(), self._wal()
        load = load_imdb(self._url, files, "loaded")
        wal = self._wal() - wal
        after = self._written()
        # A table that was exchanged is another one: all that was ever written to it, this load wrote.
        return Later(load, sum(written - before.get(table, 0) for table, written in after.items()), wal)

    def count(self, table: str) -> int:
        return int(self._value(f"SELECT count(*) FROM {table}"))

    def close(self) -> None:
        self._engine.dispose()

    def _written(self) -> dict[int, int]:
        # A session tells the counters at its end.
        while self._value(OTHERS):
            time.sleep(0.1)
        time.sleep(1)
        with autocommitting(self._engine) as connection:
            return {row.relid: int(row.written) for row in connection.execute(sa.text(WRITTEN))}

    def _wal(self) -> int:
        return int(self._value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def _value(self, statement: str) -> int:
        with autocommitting(self._engine) as connection:
            return int(connection.scalar(sa.text(statement)) or 0)
