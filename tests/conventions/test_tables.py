"""Every tables.py equals the migrated database: columns, keys, constraints and indexes, to the letter."""

import importlib
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from shelflist.shared.database import create_engine, metadata
from tests.conventions.sources import modules
from tests.fixtures.databases import create_database, drop_database

ALEMBICS_OWN = "alembic_version"

# PostgreSQL keeps a default as it was written: DEFAULT 0 and DEFAULT '0' are the same, its texts of them are not.
COLUMNS = r"""
SELECT table_name, column_name, data_type, udt_name, character_maximum_length, numeric_precision, numeric_scale,
       is_nullable, regexp_replace(column_default, $$^'(.*)'::[a-z ]+$$, '\1'),
       collation_name, is_identity, identity_generation, is_generated
FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


@pytest.fixture(scope="module", autouse=True)
def _all_tables() -> None:
    for module in modules():
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)


@pytest.fixture
def migrated(database_url: str) -> Iterator[sa.Connection]:
    """A connection to a database that the scripts have made."""
    engine = create_engine(database_url, "tests")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def declared(server_url: str, worker_name: str) -> Iterator[sa.Connection]:
    """A connection to a database that the tables.py modules have made."""
    name = f"declared_{worker_name}"
    create_database(server_url, name)
    engine = create_engine(sa.make_url(server_url).set(database=name).render_as_string(hide_password=False), "tests")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE EXTENSION pg_trgm"))
        metadata.create_all(connection)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
    drop_database(server_url, name)


def test_alembic_finds_no_difference(migrated: sa.Connection) -> None:
    context = MigrationContext.configure(migrated, opts={"compare_type": True, "compare_server_default": True})
    assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("query", [COLUMNS, CONSTRAINTS, INDEXES], ids=["columns", "constraints", "indexes"])
def test_postgresql_finds_no_difference(query: str, migrated: sa.Connection, declared: sa.Connection) -> None:
    assert rows(migrated, query) == rows(declared, query)


def test_check_constraints_have_the_same_names(migrated: sa.Connection) -> None:
    inspector = sa.inspect(migrated)
    for table in metadata.sorted_tables:
        ours = {item.name for item in table.constraints if isinstance(item, sa.CheckConstraint)}
        theirs = {item["name"] for item in inspector.get_check_constraints(table.name)}
        assert ours == theirs, table.name


def rows(connection: sa.Connection, query: str) -> list[tuple[object, ...]]:
    """Return the rows that are not about Alembic's own table, in an order that does not depend on how they came."""
    found = [tuple(row) for row in connection.execute(sa.text(query)) if row[0] != ALEMBICS_OWN]
    return sorted(found, key=repr)
