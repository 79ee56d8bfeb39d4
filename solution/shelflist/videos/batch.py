"""Files of labelled videos into the catalogue: rows -> staging -> merge, all in one transaction, each row counted."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any, Literal

import sqlalchemy as sa

from shelflist.shared.database import transaction_lock
from shelflist.shared.problems import FieldError, InvalidFile

from . import revisions
from .batch_rows import Checked, LabelledRow, RowError
from .problems import BatchRejected
from .tables import VECTOR_LENGTH

MAX_ROWS = 2_000_000
MAX_ERRORS = 1_000
"""Errors that a report names; beyond, they are counted only by their rows."""

OUTCOMES = ("created", "updated", "unchanged", "skipped", "rejected")

OnConflict = Literal["skip", "update", "error"]

_COPY_BYTES = 4_000_000
_STATEMENT_SECONDS = 900
# PostgreSQL's binary COPY format: signature, flags, no extension; then for each row the count of its fields, and each
# field with its length before it. https://www.postgresql.org/docs/current/sql-copy.html
_COPY_START = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_COPY_END = struct.pack(">h", -1)
_ROW_START = struct.Struct(">hiq")
_LENGTH = struct.Struct(">i")
_FLOAT4 = 700
# One dimension, no nulls, elements of float4, 256 of them counted from 1, each with its length before it.
_ARRAY_START = struct.pack(">iiiii", 1, 0, _FLOAT4, VECTOR_LENGTH, 1)
_VECTOR_LENGTH = _LENGTH.pack(len(_ARRAY_START) + 8 * VECTOR_LENGTH)


@dataclass(frozen=True)
class Options:
    """How a file is taken in; `lock_seconds` bounds the wait for another file that is being merged."""

    on_conflict: OnConflict = "skip"
    is_atomic: bool = False
    is_dry_run: bool = False
    lock_seconds: float = 60


@dataclass
class Report:
    """What became of the rows: every row is counted once, and rejected rows say why."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    errors: list[RowError] = field(default_factory=list)
    error_count: int = 0
    is_dry_run: bool = False

    def reject(self, errors: Iterable[RowError]) -> None:
        """Note the errors of one row."""
        self.counts["rejected"] += 1
        for error in errors:
            self.error_count += 1
            if len(self.errors) < MAX_ERRORS:
                self.errors.append(error)

    def body(self) -> dict[str, Any]:
        """Return the report as the API answers it."""
        return {
            "message": self._message(),
            "count_videos": sum(self.counts.values()),
            **self.counts,
            "errors": [asdict(error) for error in self.errors],
            "errors_truncated": self.error_count > len(self.errors),
        }

    def field_errors(self) -> list[FieldError]:
        """Return the errors as problems name them."""
        return [
            FieldError(", ".join(filter(None, (f"line {error.line}", error.column))), error.code, error.detail)
            for error in self.errors
        ]

    def _message(self) -> str:
        told = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items())
        return f"Dry run, nothing is stored: {told}." if self.is_dry_run else f"Videos: {told}."


def store_rows(connection: sa.Connection, rows: Iterator[Checked], options: Options) -> Report:
    """Take the rows in, inside the open transaction, and return what became of each.

    A dry run undoes all it did. Raises InvalidFile for too many rows, BatchRejected where `is_atomic` and a row is
    rejected; the caller must roll back then.
    """
    report = Report(is_dry_run=options.is_dry_run)
    with _undone(connection) if options.is_dry_run else _kept():
        _set_limits(connection, options)
        _stage(connection, rows, report)
        transaction_lock(connection, "shelflist-videos-batch")
        _merge(connection, options, report)
        if options.is_atomic and report.counts["rejected"]:
            raise _rejected(report)
        if report.counts["created"] or report.counts["updated"]:
            revisions.advance(connection)
    return report


@contextmanager
def _undone(connection: sa.Connection) -> Iterator[None]:
    savepoint = connection.begin_nested()
    yield
    savepoint.rollback()


@contextmanager
def _kept() -> Iterator[None]:
    yield


def _rejected(report: Report) -> BatchRejected:
    for outcome in ("created", "updated"):
        report.counts["skipped"] += report.counts[outcome]
        report.counts[outcome] = 0
    detail = f"{report.counts['rejected']} rows are rejected, so nothing is stored"
    return BatchRejected(detail, errors=report.field_errors(), extensions={"report": report.body()})


def _set_limits(connection: sa.Connection, options: Options) -> None:
    limits = {"statement_timeout": _STATEMENT_SECONDS, "lock_timeout": options.lock_seconds}
    for name, seconds in limits.items():
        connection.execute(sa.select(sa.func.set_config(name, f"{int(seconds * 1000)}ms", True)))


def _stage(connection: sa.Connection, rows: Iterator[Checked], report: Report) -> None:
    connection.execute(
        sa.text("""
            CREATE TEMPORARY TABLE batch_rows (
                line            bigint,
                content_id      text COLLATE "C",
                actual_label    text,
                predicted_label text,
                tvshow          text,
                feature_vector  real[]
            ) ON COMMIT DROP
        """)
    )
    for block in _blocks(rows, report):
        _copy(connection, block)
    connection.execute(sa.text("ANALYZE batch_rows (line, content_id)"))


def _blocks(rows: Iterator[Checked], report: Report) -> Iterator[bytes]:
    block = bytearray(_COPY_START)
    for count, row in enumerate(rows):
        if count >= MAX_ROWS:
            raise InvalidFile(f"the file has more than {MAX_ROWS} rows: send it in parts")
        if not isinstance(row, LabelledRow):
            report.reject(row)
            continue
        block += _copy_row(row)
        if len(block) > _COPY_BYTES:
            yield bytes(block + _COPY_END)
            block = bytearray(_COPY_START)
    yield bytes(block + _COPY_END)


def _copy_row(row: LabelledRow) -> bytes:
    parts = [_ROW_START.pack(6, 8, row.line)]
    for text in (row.content_id, row.actual_label, row.predicted_label, row.tvshow):
        raw = text.encode()
        parts += [_LENGTH.pack(len(raw)), raw]
    return b"".join([*parts, _VECTOR_LENGTH, _ARRAY_START, _with_lengths(row.vector)])


def _with_lengths(vector: bytes) -> bytes:
    elements = bytearray(_LENGTH.pack(4) * (2 * VECTOR_LENGTH))
    for offset in range(4):
        elements[4 + offset :: 8] = vector[offset::4]
    return bytes(elements)


def _copy(connection: sa.Connection, block: bytes) -> None:
    # The driver would begin a transaction of its own, and SQLAlchemy's commit would not know of it.
    assert connection.in_transaction()
    cursor: Any = connection.connection.cursor()
    with closing(cursor):
        cursor.copy_expert("COPY pg_temp.batch_rows FROM STDIN (FORMAT binary)", BytesIO(block), 1 << 16)


def _merge(connection: sa.Connection, options: Options, report: Report) -> None:
    for statement in _MERGE:
        connection.execute(sa.text(statement), {"on_conflict": options.on_conflict})
    if options.on_conflict == "update":
        for statement in _UPDATE:
            connection.execute(sa.text(statement))
    for outcome, count in connection.execute(sa.text(_COUNT)):
        report.counts[outcome] += count
        report.error_count += count if outcome == "rejected" else 0
    found = [_row_error(row) for row in connection.execute(sa.text(_ERRORS), {"limit": MAX_ERRORS}).mappings()]
    report.errors = sorted([*report.errors, *found], key=lambda error: error.line)[:MAX_ERRORS]


def _row_error(row: sa.RowMapping) -> RowError:
    if row["first_line"] != row["line"]:
        detail = f"the same content_id stands in line {row['first_line']}, which is taken"
        return RowError(row["line"], "content_id", "duplicate-in-file", row["content_id"], detail)
    return RowError(row["line"], "content_id", "exists", row["content_id"], "a video with this content_id is known")


# Rows go in by content_id, so that nobody who does the same waits for us while we wait for them.
_MERGE = (
    """
    CREATE TEMPORARY TABLE batch_firsts ON COMMIT DROP AS
    SELECT
        line,
        content_id,
        first_value(line) OVER (PARTITION BY content_id ORDER BY line) AS first_line
    FROM pg_temp.batch_rows
    """,
    "ANALYZE batch_firsts",
    'CREATE TEMPORARY TABLE batch_created (id bigint, content_id text COLLATE "C") ON COMMIT DROP',
    """
    WITH created AS (
        INSERT INTO videos (content_id, source, actual_label, predicted_label, tvshow)
        SELECT content_id, 'upload', actual_label, predicted_label, tvshow
        FROM pg_temp.batch_rows
        JOIN pg_temp.batch_firsts USING (line, content_id)
        WHERE line = first_line
        ORDER BY content_id
        ON CONFLICT (content_id) DO NOTHING
        RETURNING id, content_id
    )
    INSERT INTO pg_temp.batch_created
    SELECT id, content_id
    FROM created
    """,
    "ANALYZE batch_created",
    """
    INSERT INTO feature_vectors (video_id, feature_vector)
    SELECT created.id, batch_rows.feature_vector
    FROM pg_temp.batch_created AS created
    JOIN pg_temp.batch_firsts AS firsts ON firsts.content_id = created.content_id AND firsts.line = firsts.first_line
    JOIN pg_temp.batch_rows ON batch_rows.line = firsts.line
    ORDER BY created.id
    """,
    """
    SELECT count(*)
    FROM (
        SELECT 1
        FROM videos
        WHERE content_id IN (SELECT content_id FROM pg_temp.batch_firsts)
            AND content_id NOT IN (SELECT content_id FROM pg_temp.batch_created)
        ORDER BY content_id
        FOR NO KEY UPDATE
    ) AS locked
    """,
    """
    CREATE TEMPORARY TABLE batch_outcomes ON COMMIT DROP AS
    SELECT
        firsts.line,
        firsts.content_id,
        firsts.first_line,
        videos.id,
        CASE
            WHEN firsts.line <> firsts.first_line THEN 'rejected'
            WHEN created.id IS NOT NULL THEN 'created'
            WHEN :on_conflict = 'error' THEN 'rejected'
            WHEN (videos.actual_label, videos.predicted_label, videos.tvshow, feature_vectors.feature_vector)
                IS NOT DISTINCT FROM
                (batch_rows.actual_label, batch_rows.predicted_label, batch_rows.tvshow, batch_rows.feature_vector)
                THEN 'unchanged'
            WHEN :on_conflict = 'update' AND videos.id IS NOT NULL THEN 'updated'
            ELSE 'skipped'
        END AS outcome
    FROM pg_temp.batch_firsts AS firsts
    JOIN pg_temp.batch_rows USING (line)
    LEFT JOIN pg_temp.batch_created AS created ON created.content_id = firsts.content_id
    LEFT JOIN videos ON videos.content_id = firsts.content_id
    LEFT JOIN feature_vectors ON feature_vectors.video_id = videos.id
    """,
)

_UPDATE = (
    """
    UPDATE videos
    SET
        actual_label = batch_rows.actual_label,
        predicted_label = batch_rows.predicted_label,
        tvshow = batch_rows.tvshow,
        updated_at = clock_timestamp()
    FROM pg_temp.batch_outcomes AS outcomes
    JOIN pg_temp.batch_rows USING (line)
    WHERE videos.id = outcomes.id
        AND outcomes.outcome = 'updated'
    """,
    """
    INSERT INTO feature_vectors (video_id, feature_vector)
    SELECT outcomes.id, batch_rows.feature_vector
    FROM pg_temp.batch_outcomes AS outcomes
    JOIN pg_temp.batch_rows USING (line)
    WHERE outcomes.outcome = 'updated'
    ORDER BY outcomes.id
    ON CONFLICT (video_id) DO UPDATE SET feature_vector = excluded.feature_vector
    """,
)

_COUNT = "SELECT outcome, count(*) FROM pg_temp.batch_outcomes GROUP BY outcome"

_ERRORS = """
    SELECT line, content_id, first_line
    FROM pg_temp.batch_outcomes
    WHERE outcome = 'rejected'
    ORDER BY line
    LIMIT :limit
"""
