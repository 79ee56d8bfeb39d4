"""The least that a load can take here: unpacking and searching the files, COPY of ready rows, the same indexes.

    .venv/bin/python benchmarks/load_floor.py [--files DIR] [--rows 11500000] [--rounds 3]

Before the clock starts, a catalogue is loaded, and its movies and movie_genres are written as binary COPY streams. The
clock then covers: one thread that unpacks both files and searches them for movies, beside the COPY of the ready rows on
two connections into tables without indexes; the same indexes and keys as the catalogue's, on two connections; ANALYZE.
Nothing is parsed, joined, checked, compared or recorded. Of ours it uses the settings of the sessions, so that the
server treats both alike, and the list of indexes and keys, from the catalogue of the migrated database.
"""

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isal import igzip
from load_runs import FILES, Server, add_options, load_imdb, measured, prepared

from shelflist.ingest.sessions import second_session
from shelflist.shared.database import create_engine

NEEDLE = b"\tmovie\t"
BLOCK_BYTES = 1 << 20
CONNECTIONS = 2

TABLES = ("movies", "movie_genres")
PARTS = ("scanning beside COPY", "scanning", *(f"COPY {table}" for table in TABLES), "indexes", "keys", "ANALYZE")

# The server's own clock fills these in, here as there.
DEFAULTED = ("created_at", "updated_at")

COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL(%s)
"""
# What takes longest comes first, so that neither connection is left with it at the end.
INDEXES = """
SELECT pg_get_indexdef(x.indexrelid)
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am am ON am.oid = i.relam
WHERE x.indrelid IN ('public.movies'::regclass, 'public.movie_genres'::regclass)
ORDER BY am.amname <> 'gin', x.indrelid = 'public.movies'::regclass, x.indnatts DESC, i.relname
"""
KEYS = """
SELECT format(
    'ALTER TABLE %s ADD CONSTRAINT %I %s',
    conrelid::regclass,
    conname,
    CASE contype
        WHEN 'p' THEN format('PRIMARY KEY USING INDEX %I', conname)
        WHEN 'u' THEN format('UNIQUE USING INDEX %I', conname)
        ELSE pg_get_constraintdef(oid)
    END
)
FROM pg_constraint
WHERE conrelid IN ('public.movies'::regclass, 'public.movie_genres'::regclass)
  AND contype IN ('p', 'u', 'f')
ORDER BY contype = 'f', conname
"""


@dataclass(frozen=True)
class Floor:
    """One run: seconds in all and of each part, and the peak memory of its process (MB)."""

    seconds: float
    parts: dict[str, float]
    peak: float


def write_ready(url: str, ready: Path) -> None:
    """Write the rows of a loaded catalogue as binary COPY streams, and its genres, which the keys need."""
    ready.mkdir(exist_ok=True)
    with second_session(create_engine(url, "benchmark")) as session, session.cursor() as cursor:
        for table in ("genres", *TABLES):
            cursor.execute(COLUMNS, (table, list(DEFAULTED)))
            columns = cursor.fetchone()[0]
            (ready / f"{table}.columns").write_text(columns)
            with (ready / f"{table}.copy").open("wb") as file:
                cursor.copy_expert(f"COPY (SELECT {columns} FROM {table}) TO STDOUT WITH (FORMAT BINARY)", file)


def fresh_floor(server: Server, files: Path, ready: Path) -> Floor:
    """Run once, in a fresh database and a process of its own."""
    with server.database() as url:
        command = [sys.executable, __file__, "--ready", str(ready), "--files", str(files)]
        run = measured(command, DATABASE_URL=url)
    parts = json.loads(run.output.splitlines()[-1])
    return Floor(parts.pop("total"), parts, run.peak)


class Filling:
    """A freshly migrated database that is filled by the shortest way."""

    def __init__(self, url: str, files: Path, ready: Path) -> None:
        self._engine = create_engine(url, "floor")
        self._files = files
        self._ready = ready
        self._parts: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        """Return the seconds of each part and the total; ends the benchmark where the outcome is not the same."""
        with self._session() as cursor:
            indexes, keys = self._listed(cursor)
            # The new tables get the names; the old ones stay as their model.
            cursor.execute("CREATE SCHEMA model")
            for table in TABLES:
                cursor.execute(f"ALTER TABLE {table} SET SCHEMA model")
            self._copy(cursor, "genres")
        started = time.perf_counter()
        with self._part("scanning beside COPY"):
            self._scan_beside_copy()
        with self._part("indexes"):
            self._side_by_side(indexes)
        with self._part("keys"):
            self._side_by_side(keys)
        with self._part("ANALYZE"):
            self._side_by_side([f"ANALYZE {table}" for table in TABLES])
        total = time.perf_counter() - started
        with self._session() as cursor:
            if self._listed(cursor) != (indexes, keys):
                raise SystemExit("the indexes and keys are not those of the migrated database")
        return {**self._parts, "total": total}

    def _scan_beside_copy(self) -> None:
        together([self._timed("scanning", self._scan), *(self._timed(f"COPY {t}", self._fill, t) for t in TABLES)])

    def _scan(self) -> None:
        movies = sum(_count(self._files / name) for name in FILES)
        if movies == 0:
            raise SystemExit("the files hold no movies")

    def _fill(self, table: str) -> None:
        with self._session() as cursor:
            cursor.execute(f"CREATE TABLE {table} (LIKE model.{table} INCLUDING ALL EXCLUDING INDEXES)")
            self._copy(cursor, table, ", FREEZE")

    def _copy(self, cursor: Any, table: str, option: str = "") -> None:
        columns = (self._ready / f"{table}.columns").read_text()
        with (self._ready / f"{table}.copy").open("rb") as file:
            cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN WITH (FORMAT BINARY{option})", file, BLOCK_BYTES)

    def _side_by_side(self, statements: Sequence[str]) -> None:
        waiting = list(reversed(statements))

        def work() -> None:
            with self._session(is_autocommitting=True) as cursor:
                while waiting:
                    try:
                        statement = waiting.pop()
                    except IndexError:
                        # The other connection has taken the last one meanwhile.
                        return
                    cursor.execute(statement)

        together([work] * min(CONNECTIONS, len(statements)))

    @contextmanager
    def _session(self, *, is_autocommitting: bool = False) -> Iterator[Any]:
        with second_session(self._engine) as session:
            session.autocommit = is_autocommitting
            with session.cursor() as cursor:
                # Keys of one table wait for each other.
                cursor.execute("SET lock_timeout = 0")
                yield cursor
            if not is_autocommitting:
                session.commit()

    @staticmethod
    def _listed(cursor: Any) -> tuple[list[str], list[str]]:
        found = []
        for query in (INDEXES, KEYS):
            cursor.execute(query)
            found.append([row[0] for row in cursor.fetchall()])
        return found[0], found[1]

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._parts[name] = time.perf_counter() - started

    def _timed(self, name: str, act: Callable[..., None], *arguments: str) -> Callable[[], None]:
        def work() -> None:
            with self._part(name):
                act(*arguments)

        return work


def together(works: Sequence[Callable[[], None]]) -> None:
    """Run each in a thread of its own; the first failure is raised when all have ended."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _count(path: Path) -> int:
    found, tail = 0, b""
    with igzip.open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            # Those that stand on both sides of a block's edge are only in the seam.
            found += block.count(NEEDLE) + (tail + block[: len(NEEDLE) - 1]).count(NEEDLE)
            tail = block[-(len(NEEDLE) - 1) :]
    return found


def print_parts(runs: Sequence[Floor]) -> None:
    """Print the median seconds of each part, and of what runs side by side in the first."""
    for name in sorted(runs[0].parts, key=PARTS.index):
        indent = "    " if name in PARTS[1:4] else "  "
        print(f"{indent}{name}: {statistics.median(run.parts[name] for run in runs):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--ready", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ready:
        # The process that load.py and this start for each run.
        print(json.dumps(Filling(os.environ["DATABASE_URL"], arguments.files, arguments.ready).run()))
        return
    with prepared(arguments) as (server, files, work):
        with server.database() as url:
            print(load_imdb(url, files, "loaded").summary)
            write_ready(url, work / "ready")
        runs = [fresh_floor(server, files, work / "ready") for _ in range(arguments.rounds)]
        totals = sorted(run.seconds for run in runs)
        print(f"the floor: {statistics.median(totals):.2f} s ({totals[0]:.2f} to {totals[-1]:.2f}); of that")
        print_parts(runs)


if __name__ == "__main__":
    main()
