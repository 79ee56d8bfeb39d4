"""One load at a time: the database session that holds the lock, its ledger rows begun and ended, and its helpers."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg2
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from shelflist.shared.database import advisory_lock

from . import ledger
from .errors import LoadError, as_load_error, published_reason
from .ledger import DatasetLoad

LOCK_NAME = "shelflist-load"

LOCK_PATIENCE_SECONDS = 2.0
"""How long a load waits for its turn: the server needs up to half a second to miss a loader that was killed."""

LOCK_ATTEMPTS = 5
"""Attempts at a transaction where somebody else's lock is in its way; each waits at most the session's lock_timeout."""

# lock_not_available, deadlock_detected, serialization_failure
_RETRIED_STATES = ("55P03", "40P01", "40001")

DATABASE_PATIENCE_SECONDS = 60.0
"""How long a load waits for a database that has gone away before it starts over."""

_PARAMETERS = {
    "lock_timeout": "5s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "work_mem": "128MB",
    "maintenance_work_mem": "128MB",
    "temp_buffers": "64MB",
    # Compiling a statement that runs once costs more than it gives.
    "jit": "off",
}

_T = TypeVar("_T")


@contextmanager
def recorded_load(engine: sa.Engine, loads: Sequence[DatasetLoad]) -> Iterator[sa.Connection | None]:
    """Yield the session of this load, its rows in the ledger begun; None where another load is running.

    The block ends them itself where the load succeeds; where an exception leaves it, they become `failed` with
    a reason. Failures of database and disk leave as LoadError.
    """
    try:
        with exclusive_session(engine) as connection:
            if connection is not None:
                ledger.begin(connection, loads)
            with _failure_recorded(engine, connection, loads):
                yield connection
    except Exception as error:
        known = as_load_error(error)
        if known is None or known is error:
            raise
        raise known from error


@contextmanager
def _failure_recorded(
    engine: sa.Engine, connection: sa.Connection | None, loads: Sequence[DatasetLoad]
) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if connection is not None:
            # What the load has locked is let go first, or recording would wait for it.
            _roll_back(connection)
            outcome: ledger.Outcome = "failed" if isinstance(error, Exception) else "interrupted"
            # Where the database is gone, the next load records this one as interrupted.
            with suppress(DBAPIError), engine.begin() as another:
                ledger.finish(another, loads, outcome, published_reason(error))
        raise


@contextmanager
def exclusive_session(engine: sa.Engine) -> Iterator[sa.Connection | None]:
    """Yield a session of its own that holds the load lock, None where the lock stays taken."""
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        # Closed at the end, not pooled: its parameters and temporary tables are for this load.
        connection.detach()
        _prepare(connection)
        while True:
            with advisory_lock(connection, LOCK_NAME, wait=False) as is_held:
                connection.commit()
                if is_held or time.monotonic() > deadline:
                    try:
                        yield connection if is_held else None
                    finally:
                        _roll_back(connection)
                    return
            time.sleep(0.1)


def _prepare(connection: sa.Connection) -> None:
    for name, value in _PARAMETERS.items():
        _set(connection, name, value)
    # Lets the server notice a killed loader in the middle of a statement, and give its locks back.
    # Not every platform of the server can.
    with suppress(DBAPIError), connection.begin_nested():
        _set(connection, "client_connection_check_interval", "500ms")
    connection.commit()


def _set(connection: sa.Connection, name: str, value: str) -> None:
    connection.execute(sa.select(sa.func.set_config(name, value, sa.false())))


def wait_for_database(engine: sa.Engine) -> None:
    """Return as soon as the database answers, or after DATABASE_PATIENCE_SECONDS."""
    deadline = time.monotonic() + DATABASE_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            with engine.connect():
                return
        except DBAPIError:
            time.sleep(0.5)


@contextmanager
def second_session(engine: sa.Engine) -> Iterator[Any]:
    """Lend a driver connection beside the load's own, prepared like it; nothing is committed at its end."""
    with engine.connect() as connection:
        connection.detach()
        _prepare(connection)
        try:
            yield connection.connection.dbapi_connection
        except BaseException:
            # Its state is unknown, and it is not used again.
            connection.invalidate()
            raise


def in_transaction(connection: sa.Connection, work: Callable[[], _T]) -> _T:
    """Return what `work` returns, in a transaction that is committed then.

    Where others hold a lock in the way it starts over, LOCK_ATTEMPTS times in all; then LoadError.
    """
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            result = work()
            connection.commit()
        except DBAPIError as error:
            if not is_lock_in_the_way(error):
                raise
            connection.rollback()
            time.sleep(attempt / 2)
        else:
            return result
    raise LoadError(f"the movies stayed locked by another session in {LOCK_ATTEMPTS} attempts")


def is_lock_in_the_way(error: DBAPIError) -> bool:
    """Tell whether `error` says that others hold locks, so that the same transaction may succeed a moment later."""
    return getattr(error.orig, "pgcode", None) in _RETRIED_STATES


def _roll_back(connection: sa.Connection) -> None:
    """End the transaction; a session that the server has ended is marked so, since COPY bypasses SQLAlchemy."""
    try:
        connection.rollback()
    except (DBAPIError, psycopg2.Error):
        connection.invalidate()
