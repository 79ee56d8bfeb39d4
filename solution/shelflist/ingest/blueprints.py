"""What served tables have, read from PostgreSQL's catalogue: how it is made anew, and what nobody can make anew."""

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

SCHEMA = "shelflist_next"
"""The schema of what is being built; it is there only while a load runs."""

# The first index takes longest: words of titles. Then those of the longest table.
_INDEXES = """
SELECT
    t.relname AS table_name,
    pg_get_indexdef(x.indexrelid) AS definition,
    format(' ON %I.%I ', n.nspname, t.relname) AS served
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_am am ON am.oid = i.relam
WHERE x.indrelid = ANY(CAST(:tables AS regclass[]))
ORDER BY am.amname <> 'gin', array_position(CAST(:tables AS regclass[]), x.indrelid) DESC, x.indnatts DESC, i.relname
"""

_CONSTRAINTS = """
SELECT
    c.conname AS name,
    t.relname AS table_name,
    c.contype AS kind,
    pg_get_constraintdef(c.oid) AS definition,
    i.relname AS index_name,
    n.nspname AS referenced_schema,
    f.relname AS referenced,
    f.oid = ANY(CAST(:tables AS regclass[])) AS is_inner
FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid
LEFT JOIN pg_class i ON i.oid = c.conindid
LEFT JOIN pg_class f ON f.oid = c.confrelid
LEFT JOIN pg_namespace n ON n.oid = f.relnamespace
WHERE c.conrelid = ANY(CAST(:tables AS regclass[]))
  AND c.contype IN ('p', 'u', 'f')
ORDER BY c.conname
"""

# Whoever has rights to a table; without any rights said it is the owner alone.
_RIGHTS = """
SELECT t.relname AS table_name, r.rolname AS grantee, a.privilege_type AS privilege, a.is_grantable AS is_grantable
FROM pg_class t
CROSS JOIN aclexplode(coalesce(t.relacl, acldefault('r', t.relowner))) AS a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE t.oid = ANY(CAST(:tables AS regclass[]))
"""

# What would be lost, because it hangs on the tables or their row types, or because nothing below makes it anew.
_OBSTACLES = """
WITH served AS (
    SELECT * FROM pg_class WHERE oid = ANY(CAST(:tables AS regclass[]))
), indexes AS (
    SELECT x.*, i.reltablespace
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    WHERE x.indrelid IN (SELECT oid FROM served)
), constraints AS (
    SELECT * FROM pg_constraint WHERE conrelid IN (SELECT oid FROM served)
), row_types AS (
    SELECT oid FROM pg_type WHERE typrelid IN (SELECT oid FROM served)
    UNION
    SELECT typarray FROM pg_type WHERE typrelid IN (SELECT oid FROM served)
)
SELECT 'depends on the tables'
FROM pg_depend
WHERE refclassid = 'pg_class'::regclass
  AND refobjid IN (SELECT oid FROM served)
  AND deptype = 'n'
  AND NOT (classid = 'pg_constraint'::regclass AND objid IN (SELECT oid FROM constraints))
UNION
SELECT 'depends on the row types'
FROM pg_depend
WHERE refclassid = 'pg_type'::regclass AND refobjid IN (SELECT oid FROM row_types) AND deptype = 'n'
UNION
SELECT 'trigger' FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM served)
UNION
SELECT 'policy' FROM pg_policy WHERE polrelid IN (SELECT oid FROM served)
UNION
SELECT 'rule' FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM served)
UNION
SELECT 'statistics' FROM pg_statistic_ext WHERE stxrelid IN (SELECT oid FROM served)
UNION
SELECT 'heirs' FROM pg_inherits WHERE inhrelid IN (SELECT oid FROM served) OR inhparent IN (SELECT oid FROM served)
UNION
SELECT 'publication' FROM pg_publication WHERE puballtables
UNION
SELECT 'publication' FROM pg_publication_rel WHERE prrelid IN (SELECT oid FROM served)
UNION
SELECT 'comment'
FROM pg_description
WHERE (classoid = 'pg_class'::regclass AND objsubid = 0 AND objoid IN (SELECT oid FROM served))
   OR (classoid = 'pg_class'::regclass AND objoid IN (SELECT indexrelid FROM indexes))
   OR (classoid = 'pg_constraint'::regclass AND objoid IN (SELECT oid FROM constraints))
UNION
SELECT 'property of a table'
FROM served
WHERE relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
   OR relrowsecurity
   OR relforcerowsecurity
   OR relreplident <> 'd'
   OR reltablespace <> 0
   OR relpersistence <> 'p'
UNION
SELECT 'option of long values'
FROM pg_class
WHERE oid IN (SELECT reltoastrelid FROM served) AND reloptions IS NOT NULL
UNION
SELECT 'property of a column'
FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM served UNION ALL SELECT indexrelid FROM indexes)
  AND (attacl IS NOT NULL OR attoptions IS NOT NULL OR attgenerated <> '' OR attidentity <> ''
       OR coalesce(attstattarget, -1) <> -1)
UNION
SELECT 'property of an index'
FROM indexes
WHERE indisclustered OR NOT indisvalid OR reltablespace <> 0
UNION
SELECT 'property of a constraint'
FROM constraints
WHERE contype NOT IN ('p', 'u', 'f', 'c', 'n') OR condeferrable OR NOT convalidated
"""

# PostgreSQL 14 has no publications of schemas.
_SCHEMAS_PUBLISHED = """
SELECT 'publication of the schema'
FROM pg_publication_namespace
WHERE pnnspid IN (SELECT relnamespace FROM pg_class WHERE oid = ANY(CAST(:tables AS regclass[])))
"""
_WITH_SCHEMAS_PUBLISHED = 150000

_COLUMNS = """
SELECT t.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation, t.reloptions,
    pg_get_expr(d.adbin, d.adrelid)
FROM pg_class t
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE t.oid = ANY(CAST(:tables AS regclass[]))
ORDER BY t.relname, a.attnum
"""
_CHECKS = """
SELECT conname, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE conrelid = ANY(CAST(:tables AS regclass[]))
ORDER BY conname
"""

_SCHEMA_OF = """
SELECT n.nspname
FROM pg_class t
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE t.oid = CAST(:table AS regclass)
"""
_OPTIONS = "SELECT reloptions FROM pg_class WHERE oid = CAST(:table AS regclass)"

_REFERENCES = re.compile(r"REFERENCES [^(]+\(")
_KINDS = {"p": "PRIMARY KEY", "u": "UNIQUE"}


class Blueprint:
    """What the served `tables` have; each question leaves the transaction open in which it is asked."""

    def __init__(self, connection: sa.Connection, tables: Sequence[str]) -> None:
        """Take tables as an unqualified name finds them."""
        self._connection = connection
        self.schema = str(connection.scalar(sa.text(_SCHEMA_OF), {"table": tables[0]}))
        self.tables = list(tables)

    def obstacles(self) -> list[str]:
        """Return, for the log, what would be lost if other tables took the place of these."""
        found = self._rows(_OBSTACLES)
        version = self._connection.scalar(sa.text("SELECT current_setting('server_version_num')::integer")) or 0
        if version >= _WITH_SCHEMAS_PUBLISHED:
            found = [*found, *self._rows(_SCHEMAS_PUBLISHED)]
        return sorted(row[0] for row in found)

    def fingerprint(self) -> str:
        """Return a text that differs where what the tables have differs."""
        statements = (_COLUMNS, _INDEXES, _CHECKS, _RIGHTS)
        return str([sorted(str(tuple(row)) for row in self._rows(statement)) for statement in statements])

    def table_statements(self, name: str) -> list[str]:
        """Return what makes one table beside the served one, without keys and indexes."""
        served = f"{quoted(self.schema)}.{quoted(name)}"
        made = [f"CREATE TABLE {beside(name)} (LIKE {served} INCLUDING ALL EXCLUDING INDEXES)"]
        options = self._connection.scalar(sa.text(_OPTIONS), {"table": name})
        return [*made, f"ALTER TABLE {beside(name)} SET ({', '.join(options)})"] if options else made

    def index_statements(self) -> list[str]:
        """Return what makes the indexes, those of keys included, longest first."""
        return [row.definition.replace(row.served, f" ON {beside(row.table_name)} ", 1) for row in self._rows(_INDEXES)]

    def key_statements(self) -> list[str]:
        """Return what turns indexes into keys."""
        return [
            f"ALTER TABLE {beside(row.table_name)} "
            f"ADD CONSTRAINT {quoted(row.name)} {_KINDS[row.kind]} USING INDEX {quoted(row.index_name)}"
            for row in self._rows(_CONSTRAINTS)
            if row.kind in _KINDS
        ]

    def foreign_key_statements(self, *, is_inner: bool) -> list[str]:
        """Return what makes the keys among these tables, or those to others."""
        made = []
        for row in self._rows(_CONSTRAINTS):
            if row.kind == "f" and row.is_inner == is_inner:
                schema = SCHEMA if is_inner else row.referenced_schema
                referenced = f"REFERENCES {quoted(schema)}.{quoted(row.referenced)}("
                definition = _REFERENCES.sub(referenced.replace("\\", r"\\"), row.definition, count=1)
                made.append(f"ALTER TABLE {beside(row.table_name)} ADD CONSTRAINT {quoted(row.name)} {definition}")
        return made

    def right_statements(self) -> list[str]:
        """Return what gives the tables the served ones' rights, and takes those that every new table gets."""
        made = []
        for row in self._rows(_RIGHTS, [beside(name) for name in self.tables]):
            made.append(f"REVOKE ALL ON {beside(row.table_name)} FROM {_role(row.grantee)}")
        for row in self._rows(_RIGHTS):
            option = " WITH GRANT OPTION" if row.is_grantable else ""
            made.append(f"GRANT {row.privilege} ON {beside(row.table_name)} TO {_role(row.grantee)}{option}")
        return made

    def served(self) -> str:
        """Return the served tables as LOCK and DROP list them."""
        return ", ".join(f"{quoted(self.schema)}.{quoted(name)}" for name in self.tables)

    def in_turn(self) -> str:
        """Return the tables that a DROP of these locks, in the order in which statements mostly come by them.

        Those that their keys refer to are locked, too: who reads one of them and then waits for one of these, while
        this waits for that one, would keep both from going on.
        """
        outer = [(row.referenced_schema, row.referenced) for row in self._rows(_CONSTRAINTS) if row.is_inner is False]
        inner = [(self.schema, name) for name in reversed(self.tables)]
        return ", ".join(f"{quoted(schema)}.{quoted(name)}" for schema, name in dict.fromkeys([*outer, *inner]))

    def _rows(self, statement: str, tables: Sequence[str] | None = None) -> Sequence[sa.Row[Any]]:
        names = tables or [f"{quoted(self.schema)}.{quoted(name)}" for name in self.tables]
        return self._connection.execute(sa.text(statement), {"tables": names}).all()


def beside(name: str) -> str:
    """Return the qualified name of the table beside the served `name`, quoted."""
    return f"{SCHEMA}.{quoted(name)}"


def quoted(name: str) -> str:
    """Return an identifier in quotes, which any name can stand in."""
    return '"' + name.replace('"', '""') + '"'


def _role(name: str | None) -> str:
    return quoted(name) if name else "PUBLIC"
