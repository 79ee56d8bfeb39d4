"""Tables built beside those that are served and put in their place: readers see the old ones, then the new ones.

Whatever the served tables have is read from PostgreSQL's catalogue and made anew: columns, checks, keys, indexes,
rights. What nobody can make anew, a view of somebody's own over them for example, rules the exchange out.
"""

import re
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from .errors import LoadError
from .reporter import Reporter
from .sessions import is_lock_in_the_way, second_session

SCHEMA = "shelflist_next"
"""The schema of what is being built; it is there only while a load runs."""

EXCHANGE_LOCK_MILLISECONDS = 100
"""How long an attempt at the exchange waits for readers: so long others may have to wait behind it."""

EXCHANGE_PATIENCE_SECONDS = 600.0
"""How long the exchange is tried while somebody reads, or dumps the database."""

BUILDERS = 2
"""Sessions that build indexes side by side."""

_LONGEST_REST_SECONDS = 2.0

# The first index takes longest: words of titles. Then those of the longest table.
_INDEXES = """
SELECT t.relname AS table_name, pg_get_indexdef(x.indexrelid) AS definition
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_am am ON am.oid = i.relam
WHERE x.indrelid = ANY(CAST(:tables AS regclass[]))
ORDER BY am.amname <> 'gin', array_position(CAST(:tables AS regclass[]), x.indrelid) DESC, x.indnatts DESC, i.relname
"""

_CONSTRAINTS = """
SELECT c.conname AS name, t.relname AS table_name, c.contype AS kind, pg_get_constraintdef(c.oid) AS definition,
    i.relname AS index_name, f.relname AS referenced
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid
LEFT JOIN pg_class i ON i.oid = c.conindid
LEFT JOIN pg_class f ON f.oid = c.confrelid
WHERE c.conrelid = ANY(CAST(:tables AS regclass[]))
  AND c.contype IN ('p', 'u', 'f')
ORDER BY c.contype = 'f', c.conname
"""

_RIGHTS = """
SELECT t.relname AS table_name, r.rolname AS grantee, a.privilege_type AS privilege, a.is_grantable AS is_grantable
FROM pg_class t
CROSS JOIN aclexplode(t.relacl) AS a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE t.oid = ANY(CAST(:tables AS regclass[]))
  AND a.grantee <> t.relowner
"""

# Views and rules, keys of other tables, triggers, policies, publications, heirs: what hangs on the tables themselves.
_DEPENDANTS = """
SELECT count(*)
FROM (
    SELECT FROM pg_depend d
    JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = ANY(CAST(:tables AS regclass[]))
    UNION ALL
    SELECT FROM pg_constraint
    WHERE contype = 'f' AND confrelid = ANY(CAST(:tables AS regclass[]))
      AND conrelid <> ALL(CAST(:tables AS regclass[]))
    UNION ALL
    SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY(CAST(:tables AS regclass[]))
    UNION ALL
    SELECT FROM pg_policy WHERE polrelid = ANY(CAST(:tables AS regclass[]))
    UNION ALL
    SELECT FROM pg_publication_rel WHERE prrelid = ANY(CAST(:tables AS regclass[]))
    UNION ALL
    SELECT FROM pg_inherits
    WHERE inhrelid = ANY(CAST(:tables AS regclass[])) OR inhparent = ANY(CAST(:tables AS regclass[]))
) AS dependants
"""

_SCHEMA_OF = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = CAST(:table AS regclass)"
_OPTIONS = "SELECT reloptions FROM pg_class WHERE oid = CAST(:table AS regclass)"

_REFERENCES = re.compile(r"REFERENCES [^(]+\(")
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


class Standby:
    """A second set of the served `tables`: made empty, filled by the caller, completed, exchanged."""

    def __init__(self, engine: sa.Engine, connection: sa.Connection, tables: Sequence[str]) -> None:
        """Take the session of the load; `tables` are named as they are served, referenced ones first."""
        self._engine = engine
        self._connection = connection
        self._tables = list(tables)
        self._served = str(connection.scalar(sa.text(_SCHEMA_OF), {"table": tables[0]}))
        connection.commit()

    def table(self, name: str) -> str:
        """Return the qualified name, quoted, of the table beside the served `name`."""
        return f"{SCHEMA}.{_quoted(name)}"

    def is_possible(self) -> bool:
        """Tell whether nothing depends on the served tables that would be lost with them."""
        dependants = self._rows(_DEPENDANTS)[0].count
        self._connection.commit()
        return bool(dependants == 0)

    def create_statements(self, name: str) -> list[str]:
        """Return what makes the table beside `name`, without keys and indexes; to be run where it will be filled."""
        served = f"{_quoted(self._served)}.{_quoted(name)}"
        made = [f"CREATE TABLE {self.table(name)} (LIKE {served} INCLUDING ALL EXCLUDING INDEXES)"]
        options = self._connection.scalar(sa.text(_OPTIONS), {"table": name})
        self._connection.commit()
        if options:
            made.append(f"ALTER TABLE {self.table(name)} SET ({', '.join(options)})")
        return made

    def complete(self, reporter: Reporter) -> None:
        """Give the filled tables statistics, indexes, keys among them, and rights; raises psycopg2.Error."""
        steps = [
            [f"ANALYZE {SCHEMA}.{_quoted(name)}" for name in self._tables],
            self._index_statements(),
            self._key_statements(),
            self._foreign_key_statements(is_inner=True),
        ]
        with reporter.phase("building indexes", total=sum(map(len, steps)), unit="steps"):
            for statements in steps:
                self._run_side_by_side(statements, reporter)
        for statement in self._right_statements():
            self._connection.execute(sa.text(statement))
        self._connection.commit()

    def exchange(self, reconcile: Callable[[], None], record: Callable[[], None]) -> None:
        """Put the tables in the place of the served ones, which are gone then.

        In that transaction, and while nobody can write to the served tables, `reconcile` brings over what was
        written to them meanwhile and what their keys to other tables need, and `record` notes the load. Readers wait
        for EXCHANGE_LOCK_MILLISECONDS at most; where somebody reads for longer it is tried again, for
        EXCHANGE_PATIENCE_SECONDS; then LoadError.
        """
        outer_keys = self._foreign_key_statements(is_inner=False)
        deadline = time.monotonic() + EXCHANGE_PATIENCE_SECONDS
        rest = EXCHANGE_LOCK_MILLISECONDS / 1000
        while True:
            try:
                self._exchange(reconcile, record, outer_keys)
            except DBAPIError as error:
                self._connection.rollback()
                if not is_lock_in_the_way(error):
                    raise
                if time.monotonic() > deadline:
                    raise LoadError("the movies stayed in use by another session for too long") from error
                time.sleep(rest)
                rest = min(2 * rest, _LONGEST_REST_SECONDS)
            else:
                return

    def _exchange(self, reconcile: Callable[[], None], record: Callable[[], None], outer_keys: Sequence[str]) -> None:
        names = ", ".join(f"{_quoted(self._served)}.{_quoted(name)}" for name in self._tables)
        # Shorter than the server's deadlock_timeout: where a reader and this wait for each other, this gives way.
        self._execute(f"SET LOCAL lock_timeout = {EXCHANGE_LOCK_MILLISECONDS}")
        # Keeps writers out and lets readers in.
        self._execute(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")
        reconcile()
        for statement in outer_keys:
            self._execute(statement)
        record()
        # A statement that reads both tables finds the names of both before or after this, never one of each.
        self._execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
        self._execute(f"DROP TABLE {names}")
        for name in self._tables:
            self._execute(f"ALTER TABLE {SCHEMA}.{_quoted(name)} SET SCHEMA {_quoted(self._served)}")
        self._connection.commit()

    def _index_statements(self) -> list[str]:
        found = []
        for row in self._rows(_INDEXES):
            served = f" ON {_quoted(self._served)}.{_quoted(row.table_name)} "
            assert served in row.definition, row.definition
            found.append(row.definition.replace(served, f" ON {SCHEMA}.{_quoted(row.table_name)} ", 1))
        return found

    def _key_statements(self) -> list[str]:
        kinds = {"p": "PRIMARY KEY", "u": "UNIQUE"}
        return [
            f"ALTER TABLE {SCHEMA}.{_quoted(row.table_name)} "
            f"ADD CONSTRAINT {_quoted(row.name)} {kinds[row.kind]} USING INDEX {_quoted(row.index_name)}"
            for row in self._rows(_CONSTRAINTS)
            if row.kind in kinds
        ]

    def _foreign_key_statements(self, *, is_inner: bool) -> list[str]:
        """Return what makes the keys between these tables (inner ones), or those to others."""
        found = []
        for row in self._rows(_CONSTRAINTS):
            if row.kind == "f" and (row.referenced in self._tables) == is_inner:
                schema = SCHEMA if row.referenced in self._tables else _quoted(self._served)
                referenced = f"REFERENCES {schema}.{_quoted(row.referenced)}("
                definition = _REFERENCES.sub(referenced.replace("\\", r"\\"), row.definition, count=1)
                table = f"{SCHEMA}.{_quoted(row.table_name)}"
                found.append(f"ALTER TABLE {table} ADD CONSTRAINT {_quoted(row.name)} {definition}")
        return found

    def _right_statements(self) -> list[str]:
        return [
            f"GRANT {row.privilege} ON {SCHEMA}.{_quoted(row.table_name)} "
            f"TO {_quoted(row.grantee) if row.grantee else 'PUBLIC'}{' WITH GRANT OPTION' if row.is_grantable else ''}"
            for row in self._rows(_RIGHTS)
        ]

    def _run_side_by_side(self, statements: Sequence[str], reporter: Reporter) -> None:
        """Run the statements in BUILDERS sessions, each taking the next one; the first failure stops all."""
        waiting = list(reversed(statements))
        errors: list[BaseException] = []

        def work() -> None:
            try:
                with second_session(self._engine) as session:
                    session.autocommit = True
                    _run(session, "SET lock_timeout = 0")
                    while waiting and not errors:
                        _run_next(session, waiting)
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

    def _rows(self, statement: str) -> Sequence[Any]:
        tables = [f"{_quoted(self._served)}.{_quoted(name)}" for name in self._tables]
        rows = self._connection.execute(sa.text(statement), {"tables": tables}).all()
        self._connection.commit()
        return rows

    def _execute(self, statement: str) -> None:
        self._connection.execute(sa.text(statement))


def _run_next(session: Any, waiting: list[str]) -> None:
    try:
        statement = waiting.pop()
    except IndexError:
        return
    _run(session, statement)


def _run(session: Any, statement: str) -> None:
    with closing(session.cursor()) as cursor:
        cursor.execute(statement)


def create_schema(connection: sa.Connection) -> None:
    """Make the schema of what is built anew, empty; commits."""
    drop_schema(connection)
    connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
    connection.commit()


def drop_schema(connection: sa.Connection) -> None:
    """Remove whatever a load has built and not exchanged; commits. Only for the holder of the load lock."""
    connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
    connection.commit()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if not _PLAIN.fullmatch(name) else name
