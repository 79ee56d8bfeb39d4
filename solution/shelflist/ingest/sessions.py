"""One load at a time: the database session that holds the lock, with its ledger rows begun and ended."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg2
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from shelflist.shared.database import advisory_lock

from . import ledger
from .errors import as_load_error, published_reason
from .ledger import DatasetLoad

LOCK_NAME = "shelflist-load"

LOCK_PATIENCE_SECONDS = 2.0
"""How long a load waits for its turn: the server needs up to half a second to miss a loader that was killed."""

_PARAMETERS = {
    "lock_timeout": "5s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "work_mem": "64MB",
    "temp_buffers": "64MB",
    # Compiling a statement that runs once costs more than it gives.
    "jit": "off",
}


@contextmanager
def recorded_load(engine: sa.Engine, loads: Sequence[DatasetLoad]) -> Iterator[sa.Connection | None]:
    """Yield the session of this load, its rows in the ledger begun; None where another load is running.

    The block ends them itself where the load succeeds; where an exception leaves it, they become `failed` with
    a reason. Failures of database and disk leave as LoadError.
    """
    try:
        with _exclusive_session(engine) as connection:
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
def _exclusive_session(engine: sa.Engine) -> Iterator[sa.Connection | None]:
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


def _roll_back(connection: sa.Connection) -> None:
    """End the transaction; a session that the server has ended is marked so, since COPY bypasses SQLAlchemy."""
    try:
        connection.rollback()
    except (DBAPIError, psycopg2.Error):
        connection.invalidate()
