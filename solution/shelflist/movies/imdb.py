"""The load of IMDb's files into movies: fetch, check, stage, merge, record."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from uuid6 import uuid7

from shelflist.ingest import ledger
from shelflist.ingest.errors import LoadError
from shelflist.ingest.ledger import DatasetLoad
from shelflist.ingest.reporter import Reporter
from shelflist.ingest.sessions import recorded_load
from shelflist.ingest.sources import sha256_of
from shelflist.ingest.tsv import open_tsv
from shelflist.shared.settings import Settings

from .imdb_files import BASICS, RATINGS, Origin, is_sample
from .imdb_merge import MergeCounts, merge
from .imdb_rows import BASICS_REQUIRED, RATINGS_NAMES
from .imdb_staging import stage

Outcome = Literal["loaded", "unchanged", "kept", "already running"]


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
    unless `force`; `force` also accepts any share of rejected rows. One load runs at a time.
    Raises LoadError after recording it in the ledger; nothing has changed then.
    """
    started = time.monotonic()
    origin = Origin.chosen(source, settings)
    load_id = str(uuid7())
    loads = [DatasetLoad(load_id, dataset, origin.ledger_name(dataset)) for dataset in (BASICS, RATINGS)]
    outcome: Outcome = "kept"
    if source is None and settings.imdb_source is None and _serves_another_source(engine):
        return _ended(outcome, loads, started, reporter)
    with recorded_load(engine, loads) as connection:
        outcome = "already running"
        if connection is not None:
            outcome = _Load(connection, settings, origin, loads, force, reporter).run()
    return _ended(outcome, loads, started, reporter)


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

    connection: sa.Connection
    settings: Settings
    origin: Origin
    loads: list[DatasetLoad]
    force: bool
    reporter: Reporter

    def run(self) -> Outcome:
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
            staged = self._stage(files)
        self._check(staged)
        self._merge()
        return "loaded"

    def _is_intact(self) -> bool:
        """Tell whether the rows that the current load left are still there, and no shadow has lifted."""
        current = ledger.current(self.connection, BASICS)
        imdb, user = self.connection.execute(sa.text(_PRESENT)).one()
        return current is not None and imdb == current.rows_kept and user >= current.rows_shadowed

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

    def _stage(self, files: dict[str, Path]) -> int:
        basics, ratings = self.loads
        limit = self.settings.imdb_max_bytes
        with open_tsv(files[BASICS], limit) as basics_file, open_tsv(files[RATINGS], limit) as ratings_file:
            # Both, before anything is written.
            basics_file.require(BASICS_REQUIRED)
            ratings_file.require(RATINGS_NAMES)
            return stage(self.connection, (basics_file, basics), (ratings_file, ratings), self.reporter)

    def _check(self, staged: int) -> None:
        basics, ratings = self.loads
        if staged == 0:
            raise LoadError("title.basics holds no movie that can be loaded")
        for load, looked_at in ((basics, staged + basics.rejections.count), (ratings, ratings.rows_read)):
            share = load.rejections.count / max(looked_at, 1)
            if share > self.settings.imdb_max_rejected_share and not self.force:
                raise LoadError(
                    f"{share:.1%} of the rows of {load.dataset} are bad, "
                    f"more than the {self.settings.imdb_max_rejected_share:.1%} allowed"
                )

    def _merge(self) -> None:
        with self.reporter.phase("merging"):
            counts = merge(self.connection, self._record)
            self.reporter.advance(counts.changed)
        if counts.changed:
            with self.reporter.phase("analyzing"):
                self._analyze()

    def _record(self, counts: MergeCounts) -> None:
        basics, ratings = self.loads
        basics.rows_kept, ratings.rows_kept = counts.kept, counts.rated
        basics.rows_shadowed = counts.shadowed
        basics.rows_inserted, basics.rows_updated = counts.inserted, counts.updated
        basics.rows_deleted = counts.deleted
        ledger.finish(self.connection, self.loads, "loaded")

    def _analyze(self) -> None:
        # The load has ended well: where somebody's lock is in the way, autovacuum will do it.
        with suppress(DBAPIError):
            self.connection.execute(sa.text("ANALYZE movies, movie_genres, genres"))
            self.connection.commit()


_PRESENT = """
SELECT
    count(*) FILTER (WHERE source = 'imdb') AS imdb,
    count(*) FILTER (WHERE source = 'user' AND imdb_id IS NOT NULL) AS users
FROM movies
"""
