"""The load of IMDb's files into movies: fetch, check, stage, merge, record."""

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from uuid6 import uuid7

from shelflist.ingest import ledger
from shelflist.ingest.blueprints import beside
from shelflist.ingest.errors import DatabaseLost, LoadError, LoadRefused
from shelflist.ingest.gates import check_gates
from shelflist.ingest.janitor import janitor
from shelflist.ingest.ledger import DatasetLoad
from shelflist.ingest.reporter import Reporter
from shelflist.ingest.sessions import recorded_load, wait_for_database
from shelflist.ingest.sources import sha256_of
from shelflist.ingest.standby import Standby, create_schema, drop_schema
from shelflist.ingest.tsv import Caps, open_tsv
from shelflist.shared.settings import Settings

from . import imdb_merge
from .imdb_exchange import TABLES, Exchange, Read, fill_from_staged, keep_times, put_in_place
from .imdb_files import BASICS, RATINGS, Origin, is_sample
from .imdb_gates import Before, imdb_gates
from .imdb_genres import GenreLists
from .imdb_merge import STAGED, MergeCounts
from .imdb_rows import BASICS_REQUIRED, RATINGS_NAMES
from .imdb_staging import Destination, Source, Staged, stage

Outcome = Literal["loaded", "unchanged", "kept", "already running"]

EXCHANGE_ROWS, EXCHANGE_SHARE = 20_000, 0.1
"""So many movies, and such a share of all, must differ before whole tables are exchanged instead of changed."""

NEW_TIMES, BYTES_OF_MOVIE = 5, 2_000
"""A file that is likely to bring so many times the movies that are served fills new tables at once.

A movie takes 430 bytes of IMDb's packed file, and 1,500 of the unpacked one.
"""


@dataclass(frozen=True)
class LoadResult:
    """How a load that did not fail ended; the figures are the ledger's."""

    outcome: Outcome
    basics: DatasetLoad
    ratings: DatasetLoad
    seconds: float

    def summary(self) -> str:
        """Return one line for the person who started the load."""
        if self.outcome == "already running":
            return "already running: another load is at work, this one did nothing"
        if self.outcome == "kept":
            return "kept: no source is named, so what another source gave stays (IMDB_SOURCE=sample wants the sample)"
        if self.outcome == "unchanged":
            return f"unchanged: these files are what is served already ({self.seconds:.1f} s)"
        basics, ratings = self.basics, self.ratings
        rejected = basics.rejections.count + ratings.rejections.count
        return (
            f"loaded: {basics.rows_kept:,} movies kept ({ratings.rows_kept:,} rated), {rejected:,} rows rejected; "
            f"{basics.rows_inserted:,} inserted, {basics.rows_updated:,} updated, {basics.rows_deleted:,} deleted "
            f"in {self.seconds:.1f} s"
        )


def load_imdb(
    engine: sa.Engine, settings: Settings, *, source: str | None = None, force: bool = False, reporter: Reporter
) -> LoadResult:
    """Make IMDb's rows in the catalogue equal to those of a source: a directory, an http(s) address, or the sample.

    Without `source` it is the setting IMDB_SOURCE, without that the generated sample, which never replaces what
    another source gave unless it is named. Users' movies stay. Files that are served already are not loaded again,
    unless `force`; `force` also overrides the gates. One load runs at a time.
    Raises LoadError after recording it in the ledger; nothing has changed then.
    """
    started = time.monotonic()
    origin = Origin.chosen(source, settings)
    if source is None and settings.imdb_source is None and _serves_another_source(engine):
        return _ended("kept", _loads(origin, reporter), started, reporter)
    attempt = partial(_attempt, engine, settings, origin, force, reporter)
    try:
        outcome, loads = attempt()
    except DatabaseLost:
        # A server that is restarted: once more from the start, with the files that are here already.
        wait_for_database(engine)
        reporter.phases.clear()
        outcome, loads = attempt()
    return _ended(outcome, loads, started, reporter)


def _attempt(
    engine: sa.Engine, settings: Settings, origin: Origin, force: bool, reporter: Reporter
) -> tuple[Outcome, list[DatasetLoad]]:
    loads = _loads(origin, reporter)
    with janitor(engine), recorded_load(engine, loads) as connection:
        if connection is None:
            return "already running", loads
        return _Load(engine, connection, settings, origin, loads, force, reporter).run(), loads


def _loads(origin: Origin, reporter: Reporter) -> list[DatasetLoad]:
    load_id = str(uuid7())
    return [
        DatasetLoad(load_id, dataset, origin.ledger_name(dataset), phases=reporter.phases)
        for dataset in (BASICS, RATINGS)
    ]


def _ended(outcome: Outcome, loads: list[DatasetLoad], started: float, reporter: Reporter) -> LoadResult:
    basics, ratings = loads
    result = LoadResult(outcome, basics, ratings, time.monotonic() - started)
    reporter.finish(result.summary())
    return result


def _serves_another_source(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        served = ledger.current(connection, BASICS)
    return served is not None and not is_sample(served.source)


@dataclass(frozen=True)
class _Load:
    """One load that holds the lock."""

    engine: sa.Engine
    connection: sa.Connection
    settings: Settings
    origin: Origin
    loads: list[DatasetLoad]
    force: bool
    reporter: Reporter

    def run(self) -> Outcome:
        drop_schema(self.connection)
        may_be_unchanged = not self.force and self._is_intact()
        if may_be_unchanged:
            for load in self.loads:
                load.validators = ledger.known_validators(self.connection, load)
        # A download is long: no transaction stays open meanwhile.
        self.connection.commit()
        with self.origin.files(self.loads, self.reporter) as files:
            if files is None:
                return self._end_unchanged()
            for load in self.loads:
                load.sha256 = sha256_of(files[load.dataset])
            if may_be_unchanged and self._is_served():
                return self._end_unchanged()
            create_schema(self.connection)
            try:
                self._load(files)
                ledger.mark_visible(self.connection, self.loads)
            finally:
                self._clean_up()
        return "loaded"

    def _is_intact(self) -> bool:
        """Tell whether the rows that the current load left are still there, and no shadow has lifted."""
        current = ledger.current(self.connection, BASICS)
        if current is None:
            return False
        kept, shadowing = self.connection.execute(sa.text(_PRESENT), {"shadowed": current.shadowed_ids}).one()
        return bool(kept == current.rows_kept and shadowing == current.rows_shadowed)

    def _is_served(self) -> bool:
        served = [ledger.current(self.connection, load.dataset) for load in self.loads]
        return all(now is not None and now.sha256 == load.sha256 for now, load in zip(served, self.loads, strict=True))

    def _end_unchanged(self) -> Outcome:
        for load in self.loads:
            current = ledger.current(self.connection, load.dataset)
            load.sha256 = current.sha256 if current else None
        ledger.finish(self.connection, self.loads, "unchanged")
        self.connection.commit()
        return "unchanged"

    def _clean_up(self) -> None:
        """Remove what was built and not put in place; where the database is gone, the next load does it."""
        with suppress(DBAPIError, LoadError):
            self.connection.rollback()
            drop_schema(self.connection, patience_seconds=0)

    def _load(self, files: dict[str, Path]) -> None:
        standby = Standby(self.engine, self.connection, TABLES)
        is_possible = standby.is_possible()
        if is_possible and self._is_mostly_new(files[BASICS]):
            staged = self._stage(files, *(Destination(standby.table_statements(n), beside(n)) for n in TABLES))
            self._check(staged)
            self._exchange(standby, staged.genres, keep_times(self.connection, staged.movies))
            return
        staged = self._stage(files, Destination([_STAGED], STAGED, is_logged=False))
        self._check(staged)
        with self.reporter.phase("comparing"):
            differences = imdb_merge.compare(self.connection)
        if is_possible and differences.count >= EXCHANGE_ROWS and differences.share > EXCHANGE_SHARE:
            with self.reporter.phase("copying"):
                fill_from_staged(self.connection, standby, staged.genres)
            read = Read(differences.staged, differences.served, differences.changed)
            self._exchange(standby, staged.genres, read)
        else:
            self._merge(staged.genres)

    def _is_mostly_new(self, basics: Path) -> bool:
        """Tell whether the file is so large that it must bring far more movies than are served."""
        served = self.connection.scalar(sa.text("SELECT count(*) FROM movies WHERE source = 'imdb'")) or 0
        self.connection.commit()
        return served * NEW_TIMES * BYTES_OF_MOVIE < basics.stat().st_size

    def _stage(self, files: dict[str, Path], movies: Destination, links: Destination | None = None) -> Staged:
        basics, ratings = self.loads
        caps = Caps(self.settings.imdb_max_bytes, self.settings.imdb_max_ratio)
        with open_tsv(files[BASICS], caps) as basics_file, open_tsv(files[RATINGS], caps) as ratings_file:
            # Both, before anything is written.
            basics_file.require(BASICS_REQUIRED)
            ratings_file.require(RATINGS_NAMES)
            sources = (Source(basics_file, basics), Source(ratings_file, ratings))
            return stage(self.engine, GenreLists(self.connection), sources, (movies, links), self.reporter)

    def _check(self, staged: Staged) -> None:
        if staged.movies == 0:
            raise LoadRefused("title.basics holds no movie that can be loaded")
        served = ledger.current(self.connection, BASICS)
        # How many movies a sample has is a matter of taste.
        is_comparable = served is not None and not is_sample(served.source)
        before = Before(served, ledger.current(self.connection, RATINGS)) if served and is_comparable else None
        self.connection.commit()
        check_gates(imdb_gates(self.settings, staged, before, *self.loads), self.loads, force=self.force)

    def _merge(self, genres: GenreLists) -> None:
        with self.reporter.phase("merging"):
            counts = imdb_merge.merge(self.connection, genres, self._record)
        if counts.inserted + counts.updated + counts.deleted:
            with self.reporter.phase("analyzing"):
                self._analyze()

    def _exchange(self, standby: Standby, genres: GenreLists, read: Read) -> None:
        put_in_place(Exchange(self.connection, standby, genres, read), self.reporter, self._record)

    def _record(self, counts: MergeCounts) -> None:
        basics, ratings = self.loads
        basics.rows_kept, ratings.rows_kept = counts.kept, counts.rated
        basics.shadowed_ids = counts.shadowed
        basics.rows_inserted, basics.rows_updated = counts.inserted, counts.updated
        basics.rows_deleted = counts.deleted
        for load in self.loads:
            load.phases = self.reporter.phases_so_far()
        ledger.finish(self.connection, self.loads, "loaded")

    def _analyze(self) -> None:
        # The load has ended well: where somebody's lock is in the way, autovacuum will do it.
        with suppress(DBAPIError):
            self.connection.execute(sa.text("ANALYZE movies, movie_genres, genres"))
            self.connection.commit()


_PRESENT = """
SELECT
    (SELECT count(*) FROM movies WHERE source = 'imdb') AS kept,
    (SELECT count(*) FROM movies WHERE source = 'user' AND imdb_id = ANY(CAST(:shadowed AS text[]))) AS shadowing
"""
# Written without the write-ahead log: after a crash of the server it is empty, and the load has failed anyway.
_STAGED = f"CREATE UNLOGGED TABLE {STAGED} (LIKE movies INCLUDING DEFAULTS)"
