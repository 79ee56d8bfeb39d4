"""The web's database: Flask-SQLAlchemy over the plain metadata, with one connection for reading or writing."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

import psycopg2
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from .database import Base, autocommitting
from .event_loop import current_connection, leave_event_loop

db = SQLAlchemy(model_class=Base)


_pinned: ContextVar[sa.Connection | None] = ContextVar("pinned", default=None)


@contextmanager
def reading() -> Iterator[sa.Connection]:
    """Lend a connection for single statements: each sees one snapshot, and BEGIN and COMMIT cost nothing.

    Within a `Snapshot.reads` they all see that one.
    """
    # On the event loop, one that prepared statements alone may be asked on.
    given = _pinned.get() or cast("sa.Connection | None", current_connection())
    if given is not None:
        yield given
        return
    with autocommitting(db.engine) as connection:
        yield connection


class Snapshot:
    """One state of the database, for an answer that needs many statements."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    @contextmanager
    def reads(self) -> Iterator[None]:
        """Let `reading` within the block see this state."""
        token = _pinned.set(self._connection)
        try:
            yield
        finally:
            _pinned.reset(token)


@contextmanager
def snapshot() -> Iterator[Snapshot]:
    """Hold a connection, and on it the state of the database at its first statement, until the block ends."""
    leave_event_loop()
    with db.engine.connect() as connection:
        # The pool's places are for answers that end soon; this one may wait for a slow reader.
        connection.detach()
        # Not SQLAlchemy's isolation_level, for the reason that `autocommitting` gives.
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        yield Snapshot(connection)


@contextmanager
def writing() -> Iterator[sa.Connection]:
    """Lend a connection for one transaction, committed at the end and rolled back by any exception."""
    leave_event_loop()
    with db.engine.connect() as connection:
        # Asked, and replaced where it has gone: unlike a read, a write is not done again by itself.
        try:
            db.engine.dialect.do_ping(connection.connection)
        except psycopg2.Error:
            connection.invalidate()
        with connection.begin():
            yield connection
