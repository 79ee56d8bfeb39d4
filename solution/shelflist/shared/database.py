"""Database plumbing: metadata, engines and connections as every process uses them."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import make_dsn, new_type, register_type
from sqlalchemy.orm import DeclarativeBase

from .notices import Notice
from .settings import Settings

OLDEST_POSTGRESQL = 140000
"""The oldest server that is served, as PostgreSQL writes its version number (14.0)."""

# PostgreSQL's own names for constraints, so that metadata and migrated database can be compared.
metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


class Base(DeclarativeBase):
    """The base that Flask-SQLAlchemy and plain SQLAlchemy share."""

    metadata = metadata


class DatabaseError(Notice):
    """The database cannot be used; the text is one line for the person who starts the process."""


# The type's number in every PostgreSQL (pg_type.dat).
_UUID_TEXT = new_type((2950,), "UUID_TEXT", lambda value, _cursor: value)

# admin_shutdown, crash_shutdown and their like.
_SHUTDOWN = "57P"

_KEEP_ALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def connect_arguments(settings: Settings, application: str) -> dict[str, object]:
    """Return libpq parameters: named, in UTC, with time-outs, and with keep-alives that notice a dead host."""
    milliseconds = int(settings.statement_seconds * 1000)
    return {
        "application_name": f"shelflist-{application}",
        "connect_timeout": 5,
        **_KEEP_ALIVES,
        "options": f"-c timezone=UTC -c statement_timeout={milliseconds} -c lock_timeout=5000",
    }


def create_engine(url: str, application: str) -> sa.Engine:
    """Return an engine for one process outside the web server: no statement time-out, few connections.

    Raises DatabaseError for a URL that nobody can connect with.
    """
    arguments = {
        "application_name": f"shelflist-{application}",
        "connect_timeout": 5,
        **_KEEP_ALIVES,
        # The server's as well: the locks of a machine that is gone are not held for hours.
        "options": "-c timezone=UTC -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3",
    }
    try:
        engine = sa.create_engine(url, connect_args=arguments, pool_size=2, max_overflow=2, pool_pre_ping=True)
        make_dsn(**engine.dialect.create_connect_args(engine.url)[1])
    except psycopg2.ProgrammingError as error:
        raise DatabaseError(f"DATABASE_URL cannot be used: {str(error).strip()}") from error
    except (sa.exc.ArgumentError, ValueError):
        # Their texts may quote the URL, password included.
        raise DatabaseError(
            "DATABASE_URL cannot be read: it is postgresql://user:password@host:port/database, with %-escapes"
        ) from None
    return engine


def read_uuids_as_text(connection: Any, _record: Any = None) -> None:
    """Have a driver's connection leave UUIDs the text that they come as, and that answers carry."""
    register_type(_UUID_TEXT, connection)


def notice_lost_connections(engine: sa.Engine) -> None:
    """Replace connections whose server has gone when they are taken from the pool; without a round trip for each.

    A server that stops, crashes or ends a session closes the socket, and what is closed can be read. Only where
    something can be, it is asked: it may be no more than a notice.
    """

    @sa.event.listens_for(engine, "checkout")
    def check(connection: Any, _record: Any, _proxy: Any) -> None:
        try:
            is_alive = not _is_readable(connection.fileno()) or engine.dialect.do_ping(connection)
        except (psycopg2.Error, OSError):
            is_alive = False
        if not is_alive:
            # The others have gone with it, as a rule.
            raise sa.exc.InvalidatePoolError


def is_connection_lost(error: BaseException) -> bool:
    """Tell whether `error` says that the server closed the connection, so that a new one may do."""
    if isinstance(error, sa.exc.DBAPIError):
        return error.connection_invalidated
    # SQLAlchemy lets some of the driver's own through.
    is_disconnect = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError) and error.pgcode is None
    return is_disconnect or (isinstance(error, psycopg2.Error) and str(error.pgcode).startswith(_SHUTDOWN))


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


@contextmanager
def autocommitting(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Lend a connection for single statements: each sees one snapshot, and BEGIN and COMMIT cost nothing."""
    with engine.connect() as connection:
        # Not SQLAlchemy's isolation_level: that is set back while the connection returns to the pool, and where the
        # server has gone by then, the error leaves the pool with a place less for ever.
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.autocommit = True
        try:
            yield connection
        finally:
            _end_autocommit(connection, driver)


def is_autocommitting(connection: sa.Connection) -> bool:
    """Tell whether each statement is a transaction of its own, as within `autocommitting`."""
    return bool(getattr(connection.connection.dbapi_connection, "autocommit", False))


def _end_autocommit(connection: sa.Connection, driver: Any) -> None:
    if connection.closed or connection.invalidated:
        return
    try:
        driver.autocommit = False
    except psycopg2.Error:
        connection.invalidate()


def transaction_lock(connection: sa.Connection, name: str) -> None:
    """Wait for the lock called `name` and hold it until the open transaction ends."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))


@contextmanager
def advisory_lock(connection: sa.Connection, name: str, *, wait: bool) -> Iterator[bool]:
    """Hold the session lock called `name` on `connection`; yields False where it is taken and `wait` is off."""
    key = sa.func.hashtextextended(name, 0)
    if wait:
        connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
        held = True
    else:
        held = bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))))
    try:
        yield held
    finally:
        # A closed or invalidated connection has given its locks back already.
        if held and not connection.closed and not connection.invalidated:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
