"""Files of songs into the catalogue: rows -> judge -> staging -> merge, in one transaction, each row counted."""

import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shelflist.shared.folding import fold

from . import models
from .judge import Judge, Judgement, ModelFile
from .problems import TooManyRows
from .rows import Checked, RowError, SongRow

MAX_ROWS = 1_000_000
MAX_ROWS_AT_ONCE = 20_000
"""Rows of a file that is judged while its sender waits; larger ones become jobs."""
MAX_REJECTED = 1_000
"""Reasons that a report names; beyond, rows are counted only."""
BLOCK = 1_000
"""Rows that are judged at once: what waits for the judge meanwhile has its turn behind them."""

_STATEMENT_SECONDS = 900
# PostgreSQL's binary COPY format: signature, flags, no extension; then for each row the count of its fields, and each
# field with its length before it. https://www.postgresql.org/docs/current/sql-copy.html
_COPY_START = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_COPY_END = struct.pack(">h", -1)
_FIELDS = struct.pack(">h", 7)
_LENGTH = struct.Struct(">i")
_FLOAT8 = 701
# An element of an array: its length, and the place of a number in network order.
_ELEMENT = struct.pack(">id", 8, 0)


@dataclass(frozen=True)
class Options:
    """How a file is taken in.

    `state_directory` keeps the model's file, `lock_seconds` bounds the wait for another file with the same songs, and
    `told` hears after each block that there is progress.
    """

    state_directory: Path
    is_dry_run: bool = False
    keeps_predictions: bool = True
    lock_seconds: float = 60
    told: Callable[[], None] = lambda: None


@dataclass
class Report:
    """What became of the rows: every row is counted once, and rejected rows say why."""

    model_version: str
    is_dry_run: bool
    rows: int = 0
    rows_missing: int = 0
    rows_rejected: int = 0
    created: int = 0
    updated: int = 0
    errors: list[RowError] = field(default_factory=list)
    error_count: int = 0
    predictions: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, errors: Iterable[RowError]) -> None:
        """Note the errors of one row."""
        self.rows_rejected += 1
        self.rows_missing += any(error.code == "missing-value" for error in errors)
        for error in errors:
            self.error_count += 1
            if len(self.errors) < MAX_REJECTED:
                self.errors.append(error)

    def body(self) -> dict[str, Any]:
        """Return the report as the API answers it, without predictions."""
        added = self.created + self.updated
        return {
            "model_version": self.model_version,
            "dry_run": self.is_dry_run,
            "total_rows_uploaded": self.rows,
            "total_rows_w_na": self.rows_missing,
            "total_rows_added_to_db": added,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.rows - self.rows_rejected - added,
            "total_rows_rejected": self.rows_rejected,
            "rejected": [asdict(error) for error in self.errors],
            "rejected_truncated": self.error_count > len(self.errors),
        }


def store_rows(connection: sa.Connection, rows: Iterator[Checked], judge: Judge, options: Options) -> Report:
    """Judge and take in the rows, inside the open transaction, and return what became of each.

    All are judged by the model that is active at the beginning. A dry run undoes all it did. Raises TooManyRows,
    NoModel, and ServiceUnavailable where the songs cannot be judged; the caller must roll back then.
    """
    with _undone(connection) if options.is_dry_run else _kept():
        _set_limits(connection, options)
        model = models.active_model(connection)
        file = ModelFile.of(model, options.state_directory, lambda: _artefact(connection.engine, model.version))
        report = Report(model.version, options.is_dry_run)
        connection.execute(sa.text(_STAGING))
        for block, judgement in _judged(_blocks(rows, report), judge, file):
            _copy(connection, _packed(block, judgement))
            if options.keeps_predictions:
                report.predictions += _predictions(block, judgement)
            options.told()
        _merge(connection, report)
    return report


@contextmanager
def _undone(connection: sa.Connection) -> Iterator[None]:
    savepoint = connection.begin_nested()
    yield
    savepoint.rollback()


@contextmanager
def _kept() -> Iterator[None]:
    yield


def _set_limits(connection: sa.Connection, options: Options) -> None:
    limits = {"statement_timeout": _STATEMENT_SECONDS, "lock_timeout": options.lock_seconds}
    for name, seconds in limits.items():
        connection.execute(sa.select(sa.func.set_config(name, f"{int(seconds * 1000)}ms", True)))


def _blocks(rows: Iterator[Checked], report: Report) -> Iterator[list[SongRow]]:
    def good() -> Iterator[SongRow]:
        for row in rows:
            if report.rows >= MAX_ROWS:
                raise TooManyRows(f"the file has more than {MAX_ROWS} rows: send it in parts")
            report.rows += 1
            if isinstance(row, SongRow):
                yield row
            else:
                report.reject(row)

    found = good()
    while block := list(islice(found, BLOCK)):
        yield block


def _judged(
    blocks: Iterator[list[SongRow]], judge: Judge, file: ModelFile
) -> Iterator[tuple[list[SongRow], Judgement]]:
    """Yield each block with its judgement; while one is judged, the one before is stored and the next is read."""
    with ThreadPoolExecutor(1) as pool:
        before: tuple[list[SongRow], Future[Judgement]] | None = None
        for block in blocks:
            asked = pool.submit(judge.judge, file, [row.song for row in block])
            if before is not None:
                yield before[0], before[1].result()
            before = block, asked
        if before is not None:
            yield before[0], before[1].result()


def _artefact(engine: sa.Engine, version: str) -> bytes:
    # Asked for beside the thread that stores rows, whose connection is its own.
    with engine.begin() as connection:
        return models.artefact(connection, version)


def _predictions(block: list[SongRow], judgement: Judgement) -> Iterator[dict[str, Any]]:
    for row, (genre, probability) in zip(block, judgement.best(), strict=True):
        yield {"trackid": row.song.trackid, "title": row.song.title, "genre": genre, "probability": probability}


def _packed(block: list[SongRow], judgement: Judgement) -> bytes:
    """Return the rows of a block as COPY reads them."""
    parts = [_COPY_START]
    audio = _arrays([row.song.audio for row in block])
    probabilities = _arrays(judgement.probabilities)
    for row, numbers, chances, (genre, _) in zip(block, audio, probabilities, judgement.best(), strict=True):
        song = row.song
        parts.append(_FIELDS)
        for text in (song.trackid, song.title, fold(song.title), song.tags, genre):
            raw = text.encode()
            parts += (_LENGTH.pack(len(raw)), raw)
        parts += (numbers, chances)
    parts.append(_COPY_END)
    return b"".join(parts)


def _arrays(rows: Sequence[Sequence[float]]) -> Iterator[bytes]:
    """Yield each row of numbers, all of one length, as a field of COPY: an array of double precision."""
    width = len(rows[0])
    numbers = array("d")
    for row in rows:
        numbers.extend(row)
    if sys.byteorder == "little":
        numbers.byteswap()
    raw = numbers.tobytes()
    elements = bytearray(_ELEMENT * len(numbers))
    for place in range(8):
        elements[4 + place :: len(_ELEMENT)] = raw[place::8]
    # One dimension, no nulls, so many elements counted from 1.
    head = struct.pack(">iiiii", 1, 0, _FLOAT8, width, 1)
    size = width * len(_ELEMENT)
    start = _LENGTH.pack(len(head) + size) + head
    for begin in range(0, len(elements), size):
        yield start + elements[begin : begin + size]


def _copy(connection: sa.Connection, block: bytes) -> None:
    # The driver would begin a transaction of its own, and SQLAlchemy's commit would not know of it.
    assert connection.in_transaction()
    cursor: Any = connection.connection.cursor()
    with closing(cursor):
        cursor.copy_expert("COPY pg_temp.song_rows FROM STDIN (FORMAT binary)", BytesIO(block), 1 << 16)


def _merge(connection: sa.Connection, report: Report) -> None:
    merged = connection.execute(sa.text(_MERGE), {"model_version": report.model_version}).one()
    report.created, report.updated = merged.created, merged.updated


_STAGING = """
    CREATE TEMPORARY TABLE song_rows (
        trackid         text COLLATE "C",
        title           text,
        title_key       text,
        tags            text,
        predicted_genre text,
        audio           double precision[],
        probabilities   double precision[]
    ) ON COMMIT DROP
"""

# Rows go in by trackid, so that nobody who does the same waits for us while we wait for them. A row that is replaced
# was locked before, which leaves its mark in xmax; a new one has none.
_MERGE = """
    WITH merged AS (
        INSERT INTO songs (
            trackid, title, title_key, tags, audio, predicted_genre, probability, probabilities, model_version
        )
        SELECT
            trackid,
            title,
            title_key,
            tags,
            audio,
            predicted_genre,
            (SELECT max(chance) FROM unnest(probabilities) AS chance),
            probabilities,
            :model_version
        FROM pg_temp.song_rows
        ORDER BY trackid
        ON CONFLICT (trackid) DO UPDATE SET
            title = excluded.title,
            title_key = excluded.title_key,
            tags = excluded.tags,
            audio = excluded.audio,
            predicted_genre = excluded.predicted_genre,
            probability = excluded.probability,
            probabilities = excluded.probabilities,
            model_version = excluded.model_version,
            predicted_at = clock_timestamp(),
            updated_at = clock_timestamp()
        WHERE (
            songs.title, songs.tags, songs.audio, songs.predicted_genre, songs.probabilities, songs.model_version
        ) IS DISTINCT FROM (
            excluded.title,
            excluded.tags,
            excluded.audio,
            excluded.predicted_genre,
            excluded.probabilities,
            excluded.model_version
        )
        RETURNING songs.xmax = 0 AS is_new
    )
    SELECT
        count(*) FILTER (WHERE is_new) AS created,
        count(*) FILTER (WHERE NOT is_new) AS updated
    FROM merged
"""
