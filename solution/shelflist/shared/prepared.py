"""Statements that are asked all the time: their text is made once, and each connection has PostgreSQL plan them once.

Making, compiling and planning the statement of a page takes several times as long as reading it.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from .database import is_autocommitting
from .event_loop import LoopConnection, wait_for
from .paging import Keyset, Page, Position, page_of, place_of
from .statements import MOST_PREPARED, SESSION_CHANGED, Prepared, note_change
from .texts import text_of

_PREPARED = "shelflist.prepared"

Key = tuple[tuple[str, ...], Hashable]
"""The tables that a statement reads and that loads may exchange, and what tells the statement apart from others."""

_STATEMENTS: dict[Key, Prepared] = {}


def fetch_prepared(
    connection: sa.Connection | LoopConnection,
    key: Key,
    build: Callable[[], sa.Select[Any]],
    parameters: Mapping[str, Any],
) -> Sequence[sa.Row[Any]]:
    """Return all rows of the statement that `build` returns, which is asked for it once for each `key`.

    Its values are parameters by name and type (`sa.bindparam`), all of which `parameters` gives. Rows hold what the
    driver makes of the columns. The plan is PostgreSQL's choice for any values: for statements that have but one good
    plan, whose LIMIT is no parameter.
    """
    tables, _ = key
    statement = _STATEMENTS.get(key)
    if statement is None:
        statement = _STATEMENTS[key] = Prepared(tables, text_of(build(), connection.dialect))
    if isinstance(connection, LoopConnection):
        return wait_for(connection.batches.ask(statement, parameters))
    texts, values = statement.of_one, {**statement.constants, **parameters}
    prepared: set[str] = connection.info.setdefault(_PREPARED, set())
    is_possible = texts.name in prepared or len(prepared) < MOST_PREPARED
    # In a transaction, what fails could not be followed by another try.
    if not is_possible or not is_autocommitting(connection):
        return connection.exec_driver_sql(texts.plain, values).all()
    try:
        if texts.name not in prepared:
            connection.exec_driver_sql(texts.prepare)
            prepared.add(texts.name)
        return connection.exec_driver_sql(texts.execute, values).all()
    except DBAPIError as error:
        code = getattr(error.orig, "pgcode", None)
        if code not in SESSION_CHANGED:
            raise
        note_change(prepared, texts.name, code)
        return connection.exec_driver_sql(texts.plain, values).all()


def plain_text(statement: str) -> str:
    """Return what an EXECUTE that was sent executes, as a statement with the same parameters; any other as it is."""
    texts = [texts for known in _STATEMENTS.values() for texts in (known.of_one, known.of_many)]
    return next((text.plain for text in texts if text.execute == statement), statement)


Listing = tuple[Key, Callable[[Position | None, int], sa.Select[Any]], Mapping[str, Any]]
"""What tells a list apart from others, what makes the statement of its first rows behind a position, as `Keyset.across`
does, and the values of its parameters."""

_LIMITS = (11, 21, 51, 101)
"""Rows of a prepared page, one more than is asked for at least: each limit is a statement of its own."""


def fetch_prepared_page(
    connection: sa.Connection,
    keyset: Keyset,
    listing: Listing,
    after: Position | None,
    page_size: int,
) -> Page | None:
    """Return the page behind `after` by a prepared statement; None for one that is longer than usual."""
    limit = next((most for most in _LIMITS if most > page_size), None)
    if limit is None:
        return None
    (tables, name), statement, parameters = listing
    place = place_of(after)
    values = dict(parameters) if after is None else {**parameters, "after_key": after.key, "after_id": after.id}

    def build() -> sa.Select[Any]:
        return statement(keyset.parameters(place), limit)

    if place == "nulls":
        del values["after_key"]
    rows = fetch_prepared(connection, (tables, (name, keyset.desc, place, limit)), build, values)
    return page_of(rows, page_size)
