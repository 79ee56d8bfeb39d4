"""Tables built beside those that are served and put in their place: readers see the old ones, then the new ones."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from .blueprints import SCHEMA, Blueprint, beside, quoted
from .errors import LoadError
from .reporter import Reporter
from .sessions import is_lock_in_the_way, second_session

EXCHANGE_LOCK_MILLISECONDS = 100
"""How long the first attempts at the exchange wait for readers: so long others may have to wait behind it."""

LONGEST_EXCHANGE_LOCK_MILLISECONDS = 800
"""How long an attempt waits at most, where a busy server never has no reader for as short a time as that.

Shorter than the server's deadlock_timeout: where a reader and the exchange wait for each other, the latter gives way.
"""

# So many attempts fail by chance, or because of one slow reader, for which others need not wait longer.
_SHORT_ATTEMPTS = 4

EXCHANGE_PATIENCE_SECONDS = 600.0
"""How long the exchange is tried while somebody reads, or dumps the database."""

DROP_PATIENCE_SECONDS = 60.0
"""How long a load waits for somebody who looks at what an earlier load has left."""

BUILDERS = 2
"""Sessions that build indexes side by side."""

# Longer than the server's deadlock_timeout, after which autovacuum gives way to who waits.
_AUTOVACUUM_LOCK_MILLISECONDS = 3_000
_SHORTEST_REST_SECONDS, _LONGEST_REST_SECONDS = 0.2, 5.0


class Standby:
    """A second set of the served `tables`: made empty, filled by the caller, completed, exchanged."""

    def __init__(self, engine: sa.Engine, connection: sa.Connection, tables: Sequence[str]) -> None:
        """Take the session of the load; `tables` are named as they are served, referenced ones first."""
        self._engine = engine
        self._connection = connection
        self._blueprint = Blueprint(connection, tables)
        self._built_from = ""
        self._late_keys: list[str] = []
        connection.commit()

    def is_possible(self) -> bool:
        """Tell whether nothing would be lost with the served tables; as long as it is, nothing must be."""
        obstacles = self._blueprint.obstacles()
        self._connection.commit()
        return not obstacles

    def table_statements(self, name: str) -> list[str]:
        """Return what makes the table beside `name`, without keys and indexes; to be run where it will be filled."""
        statements = self._blueprint.table_statements(name)
        self._built_from = self._blueprint.fingerprint()
        self._connection.commit()
        return statements

    def complete(self, reporter: Reporter, *, has_late_rows: bool) -> None:
        """Give the filled tables statistics, indexes, keys and rights; raises psycopg2.Error.

        Where `has_late_rows`, keys to other tables have to wait: what they refer to comes with the exchange.
        """
        blueprint = self._blueprint
        outer_keys = blueprint.foreign_key_statements(is_inner=False)
        self._late_keys = outer_keys if has_late_rows else []
        steps = [
            [f"ANALYZE {beside(name)}" for name in blueprint.tables],
            blueprint.index_statements(),
            blueprint.key_statements(),
            [*blueprint.foreign_key_statements(is_inner=True), *([] if has_late_rows else outer_keys)],
        ]
        rights = blueprint.right_statements()
        self._connection.commit()
        with reporter.phase("building indexes", total=sum(map(len, steps)), unit="steps"):
            for statements in steps:
                self._run_side_by_side(statements, reporter)
        for statement in rights:
            self._execute(statement)
        self._connection.commit()

    def exchange(self, reconcile: Callable[[], None], record: Callable[[], None]) -> None:
        """Put the tables in the place of the served ones, which are gone then.

        In that transaction, and while nobody can write to the served tables, `reconcile` brings over what was
        written to them meanwhile and what their keys to other tables need, and `record` notes the load. Readers wait
        for EXCHANGE_LOCK_MILLISECONDS at most; where somebody reads for longer it is tried again, with more patience
        each time, for EXCHANGE_PATIENCE_SECONDS; then LoadError.
        """
        deadline = time.monotonic() + EXCHANGE_PATIENCE_SECONDS
        rest = _SHORTEST_REST_SECONDS
        for attempt in count():
            longer = EXCHANGE_LOCK_MILLISECONDS << min(max(0, attempt - _SHORT_ATTEMPTS), 10)
            try:
                self._exchange(reconcile, record, min(longer, LONGEST_EXCHANGE_LOCK_MILLISECONDS))
            except DBAPIError as error:
                self._connection.rollback()
                if not is_lock_in_the_way(error) and not _took_too_long(error):
                    raise
                if time.monotonic() > deadline:
                    raise LoadError("the movies stayed in use by another session for too long") from error
                time.sleep(rest)
                rest = min(2 * rest, _LONGEST_REST_SECONDS)
            else:
                return

    def _exchange(self, reconcile: Callable[[], None], record: Callable[[], None], milliseconds: int) -> None:
        served = self._blueprint.served()
        in_turn = self._blueprint.in_turn()
        self._wait_at_most(_AUTOVACUUM_LOCK_MILLISECONDS)
        # Keeps autovacuum out, and nobody else.
        self._execute(f"LOCK TABLE {served} IN SHARE UPDATE EXCLUSIVE MODE")
        self._wait_at_most(milliseconds)
        # Asked first, and let go: where somebody reads for long, writers are not kept waiting for nothing.
        with self._connection.begin_nested() as asked:
            self._lock_out_readers(in_turn, milliseconds)
            asked.rollback()
        # Keeps writers out and lets readers in.
        self._execute(f"LOCK TABLE {served} IN SHARE ROW EXCLUSIVE MODE")
        if self._blueprint.obstacles() or self._blueprint.fingerprint() != self._built_from:
            raise LoadError("the tables of the movies were altered while the load was building new ones: load again")
        reconcile()
        for statement in self._late_keys:
            self._execute(statement)
        record()
        # A statement that reads both tables finds the names of both before or after this, never one of each.
        self._lock_out_readers(in_turn, milliseconds)
        self._execute(f"DROP TABLE {served}")
        for name in self._blueprint.tables:
            self._execute(f"ALTER TABLE {beside(name)} SET SCHEMA {quoted(self._blueprint.schema)}")
        self._connection.commit()

    def _lock_out_readers(self, tables: str, milliseconds: int) -> None:
        # All locks together: lock_timeout is for each.
        self._execute(f"SET LOCAL statement_timeout = {milliseconds}")
        self._execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        self._execute("SET LOCAL statement_timeout = 0")

    def _wait_at_most(self, milliseconds: int) -> None:
        self._execute(f"SET LOCAL lock_timeout = {milliseconds}")

    def _run_side_by_side(self, statements: Sequence[str], reporter: Reporter) -> None:
        """Run the statements in BUILDERS sessions, each taking the next one; the first failure stops all."""
        waiting = list(reversed(statements))
        errors: list[BaseException] = []

        def work() -> None:
            try:
                with second_session(self._engine) as session:
                    session.autocommit = True
                    # Two of the statements may wait for each other, and for somebody who dumps the database.
                    _run(session, f"SET lock_timeout = {int(EXCHANGE_PATIENCE_SECONDS * 1000)}")
                    while waiting and not errors:
                        if _run_next(session, waiting):
                            reporter.advance(0, done=1)
            except BaseException as error:  # it is raised again by the thread that waits
                errors.append(error)

        threads = [threading.Thread(target=work, name="building") for _ in range(min(BUILDERS, len(statements)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def _execute(self, statement: str) -> None:
        self._connection.execute(sa.text(statement))


def _took_too_long(error: DBAPIError) -> bool:
    # query_canceled
    return getattr(error.orig, "pgcode", None) == "57014"


def _run_next(session: Any, waiting: list[str]) -> bool:
    try:
        statement = waiting.pop()
    except IndexError:
        return False
    _run(session, statement)
    return True


def _run(session: Any, statement: str) -> None:
    with closing(session.cursor()) as cursor:
        cursor.execute(statement)


def create_schema(connection: sa.Connection) -> None:
    """Make the schema of what is built, empty; commits."""
    connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
    connection.commit()


def drop_schema(connection: sa.Connection, patience_seconds: float = DROP_PATIENCE_SECONDS) -> None:
    """Remove whatever a load has built and not exchanged; commits. Only for the holder of the load lock.

    Where somebody looks at it, a dump of the database for example, it is tried again; then LoadError.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
            connection.commit()
        except DBAPIError as error:
            connection.rollback()
            if not is_lock_in_the_way(error):
                raise
            if time.monotonic() > deadline:
                raise LoadError(f"somebody holds what an earlier load has left in the schema {SCHEMA}") from error
        else:
            return
