"""COPY of frames into PostgreSQL in its binary form, by a thread of its own while the next frame is made."""

import queue
import threading
from collections.abc import Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, Self

import polars as pl
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg2 import sql

_FRAMES_AHEAD = 2
"""Frames that wait to be sent: enough to keep the server busy, few enough to stay small."""


class BinaryCopy:
    """Rows on their way into one table, as a context: at its end they are in, inside the connection's transaction.

    Where the block raises, the COPY is cancelled; where the COPY fails, `write` or the end raises its psycopg2.Error.
    """

    def __init__(self, connection: Any, table: str, columns: list[str], *, freeze: bool = False) -> None:
        """Copy into `columns` of `table`, named as SQL names it.

        `freeze` needs a table that the transaction has created, and lets older snapshots see its rows.
        """
        self._connection = connection
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        options = sql.SQL("FORMAT BINARY, FREEZE" if freeze else "FORMAT BINARY")
        self._statement = sql.SQL("COPY {} ({}) FROM STDIN WITH ({})").format(sql.SQL(table), names, options)
        self._columns = columns
        self._frames: queue.Queue[pl.DataFrame | None] = queue.Queue(_FRAMES_AHEAD)
        self._error: BaseException | None = None
        self._is_cancelled = False
        self._thread = threading.Thread(target=self._copy, name="copying", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_cancelled = kind is not None
        self._put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def write(self, frame: pl.DataFrame) -> None:
        """Send the columns of `frame` that are copied; all frames must have the same types."""
        self._put(frame.select(self._columns))
        if self._error is not None:
            raise self._error

    def _put(self, frame: pl.DataFrame | None) -> None:
        while self._thread.is_alive():
            try:
                self._frames.put(frame, timeout=0.1)
            except queue.Full:
                continue
            return

    def _copy(self) -> None:
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.copy_expert(self._statement, _Reader(self._encoded()))
        except BaseException as error:  # it is raised again where the rows are written
            self._error = error

    def _encoded(self) -> Iterator[bytes]:
        encoder = None
        while (frame := self._frames.get()) is not None:
            table = frame.to_arrow()
            if encoder is None:
                encoder = ArrowToPostgresBinaryEncoder(table.schema)
                yield bytes(encoder.write_header())
            for batch in table.to_batches():
                yield bytes(encoder.write_batch(batch))
        if self._is_cancelled:
            raise InterruptedError("the rows to copy did not all come")
        if encoder is not None:
            yield bytes(encoder.finish())
        else:
            yield _NO_ROWS


# The signature, flags and extension length of the binary form, and its end (PostgreSQL's documentation of COPY).
_NO_ROWS = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\xff\xff"


class _Reader:
    """A file, as far as the driver reads one; it takes pieces of any length."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        # The encoder keeps small batches for later; an empty piece would be the end.
        self._pieces = filter(None, pieces)

    def read(self, _size: int) -> bytes:
        return next(self._pieces, b"")
