"""A whole list as one stream: batch by batch, as CSV that no spreadsheet runs, or as NDJSON."""

import csv
import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from .paging import Page, Position
from .session import snapshot

BATCH = 1_000
"""Rows that an export reads at once."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Body = Mapping[str, Any]


def whole_list(
    read_page: Callable[[Position | None, int], Page], after: Position | None
) -> Iterator[Sequence[sa.Row[Any]]]:
    """Yield all rows in batches, all of one state of the database; it holds a connection until it ends or is closed."""
    with snapshot() as state:
        while True:
            with state.reads():
                page = read_page(after, BATCH)
            yield page.rows
            if page.next is None:
                return
            after = page.next


def as_ndjson(batches: Iterable[Sequence[Body]]) -> Generator[bytes]:
    """Yield one line of JSON a body, a batch at a time."""
    for bodies in batches:
        yield b"".join(orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE) for body in bodies)


def as_csv(columns: Sequence[str], batches: Iterable[Sequence[Body]]) -> Generator[bytes]:
    """Yield CSV after RFC 4180, a batch at a time; lists are joined by `|`, objects are JSON, nulls are empty.

    Texts that a spreadsheet would run as a formula are preceded by an apostrophe (OWASP, CSV injection).
    """
    yield _lines([columns])
    for bodies in batches:
        yield _lines([_cell(body[column]) for column in columns] for body in bodies)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "|".join(map(str, value))
    elif isinstance(value, dict):
        value = orjson.dumps(value).decode()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _lines(lines: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
