"""Statements that are asked all the time: their text is made once, and each connection has PostgreSQL plan them once.

Making, compiling and planning the statement of a page takes several times as long as reading it.
"""

import asyncio
import hashlib
import re
from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from .asynchronous import AsyncConnection, AsyncPool, Rows
from .database import is_autocommitting, is_connection_lost
from .event_loop import LoopConnection, NeedsThread, wait_for
from .paging import Keyset, Page, Position, page_of, place_of
from .texts import text_of

MOST_PREPARED = 64
"""Statements that a connection keeps prepared, at some ten kilobytes each; further ones are planned each time."""

_PREPARED = "shelflist.prepared"
_PARAMETER = re.compile(r"%\((\w+)\)s")
_DUPLICATE = "42P05"
# invalid_sql_statement_name, duplicate_prepared_statement: somebody between us and PostgreSQL lends its sessions out;
# feature_not_supported: a column is of another type than when the statement was planned.
_SESSION_CHANGED = ("26000", _DUPLICATE, "0A000")


@dataclass(frozen=True)
class _Text:
    name: str
    plain: str
    prepare: str
    execute: str
    constants: Mapping[str, Any]


Key = tuple[tuple[str, ...], Hashable]
"""The tables that a statement reads and that loads may exchange, and what tells the statement apart from others."""

_TEXTS: dict[Key, _Text] = {}
_RECORDS: dict[str, Any] = {}


def fetch_prepared(
    connection: sa.Connection | LoopConnection,
    key: Key,
    build: Callable[[], sa.Select[Any]],
    parameters: Mapping[str, Any],
) -> Sequence[sa.Row[Any]]:
    """Return all rows of the statement that `build` returns, which is asked for it once for each `key`.

    Its values are parameters by name (`sa.bindparam`), all of which `parameters` gives. Rows hold what the driver makes
    of the columns. The plan is PostgreSQL's choice for any values: for statements that have but one good plan, whose
    LIMIT is no parameter.
    """
    tables, _ = key
    text = _TEXTS.get(key)
    if text is None:
        text = _TEXTS[key] = _make_text(tables, build(), connection.dialect)
    values = {**text.constants, **parameters}
    if isinstance(connection, LoopConnection):
        return wait_for(_fetch_on_loop(connection.pool, text, values))
    prepared: set[str] = connection.info.setdefault(_PREPARED, set())
    is_possible = text.name in prepared or len(prepared) < MOST_PREPARED
    # In a transaction, what fails could not be followed by another try.
    if not is_possible or not is_autocommitting(connection):
        return connection.exec_driver_sql(text.plain, values).all()
    try:
        if text.name not in prepared:
            connection.exec_driver_sql(text.prepare)
            prepared.add(text.name)
        return connection.exec_driver_sql(text.execute, values).all()
    except DBAPIError as error:
        code = getattr(error.orig, "pgcode", None)
        if code not in _SESSION_CHANGED:
            raise
        _note_change(prepared, text.name, code)
        return connection.exec_driver_sql(text.plain, values).all()


async def _fetch_on_loop(pool: AsyncPool, text: _Text, values: Mapping[str, Any]) -> Sequence[Any]:
    connection = await pool.take()
    if connection is None:
        raise NeedsThread
    try:
        rows = await _fetch_prepared_on_loop(connection, text, values)
        record: Any = _RECORDS.get(text.name)
        if record is None:
            record = _RECORDS[text.name] = namedtuple("Record", connection.names)
        return [record._make(row) for row in rows]
    except asyncio.CancelledError:
        # Its answer is still to come.
        connection.close()
        raise
    except psycopg2.Error as error:
        if is_connection_lost(error):
            raise NeedsThread from error
        raise
    finally:
        pool.give_back(connection)


async def _fetch_prepared_on_loop(connection: AsyncConnection, text: _Text, values: Mapping[str, Any]) -> Rows:
    try:
        if text.name not in connection.prepared:
            if len(connection.prepared) == MOST_PREPARED:
                return await connection.execute(text.plain, values)
            await connection.execute(text.prepare)
            connection.prepared.add(text.name)
        return await connection.execute(text.execute, values)
    except psycopg2.Error as error:
        if error.pgcode not in _SESSION_CHANGED:
            raise
        _note_change(connection.prepared, text.name, error.pgcode)
        return await connection.execute(text.plain, values)


def _note_change(prepared: set[str], name: str, code: str) -> None:
    # What has this name says the same, whoever prepared it.
    (prepared.add if code == _DUPLICATE else prepared.discard)(name)


def plain_text(statement: str) -> str:
    """Return what an EXECUTE that was sent executes, as a statement with the same parameters; any other as it is."""
    return next((text.plain for text in _TEXTS.values() if text.execute == statement), statement)


def _make_text(tables: Sequence[str], statement: sa.Select[Any], dialect: sa.Dialect) -> _Text:
    text = text_of(statement, dialect)
    plain = text.statement
    names = list(dict.fromkeys(_PARAMETER.findall(plain)))
    numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", plain).replace("%%", "%")
    # By what it says: a pooler may lend this session to another process, which has statements of its own.
    name = f"shelflist_{hashlib.sha256(numbered.encode()).hexdigest()[:24]}"
    given = ", ".join(f"%({parameter})s" for parameter in names)
    # Locked before, and until the end of both: EXECUTE chooses what it sees before it waits for a load that puts other
    # tables in the place of these, and would read the new ones as they were before they were served.
    lock = f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE"
    execute = f"{lock}; EXECUTE {name} ({given})" if names else f"{lock}; EXECUTE {name}"
    return _Text(name, plain, f"PREPARE {name} AS {numbered}", execute, text.constants)


Listing = tuple[Key, Callable[[], sa.Select[Any]], Mapping[str, Any]]
"""What tells a list apart from others, its statement as `Keyset.fetch` takes it, and the values of its parameters."""

_LIMITS = (11, 21, 51, 101)
"""Rows of a prepared page, one more than is asked for at least: each limit is a statement of its own."""


def fetch_prepared_page(
    connection: sa.Connection,
    keyset: Keyset,
    listing: Listing,
    after: Position | None,
    page_size: int,
) -> Page | None:
    """Return the page behind `after` by a prepared statement, None where that is not enough for it.

    None is returned for pages that are longer than usual, and for those that go on among the nulls: `Keyset.fetch` is
    what knows to.
    """
    limit = next((most for most in _LIMITS if most > page_size), None)
    if limit is None:
        return None
    (tables, name), statement, parameters = listing
    place = place_of(after)
    values = dict(parameters) if after is None else {**parameters, "after_key": after.key, "after_id": after.id}

    def build() -> sa.Select[Any]:
        return keyset.segment(statement(), keyset.parameters(place), sa.literal_column(str(limit)))

    if place == "nulls":
        del values["after_key"]
    rows = fetch_prepared(connection, (tables, (name, keyset.desc, place, limit)), build, values)
    is_whole = len(rows) > page_size or place == "nulls" or not keyset.sort.is_nullable
    return page_of(rows, page_size) if is_whole else None
