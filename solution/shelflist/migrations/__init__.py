"""The schema's history: Alembic revisions that apply sql-scripts/, one script each, under a lock."""

from pathlib import Path

import alembic.command
import alembic.config
import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, OperationalError

from shelflist.shared.database import OLDEST_POSTGRESQL, DatabaseError, advisory_lock
from shelflist.shared.settings import PROJECT_DIRECTORY

SQL_SCRIPTS = PROJECT_DIRECTORY / "sql-scripts"


def alembic_config(connection: sa.Connection | None = None) -> alembic.config.Config:
    """Return Alembic's configuration, bound to `connection` where one is given."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """Return the revision that this code expects the database to be at."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert head is not None
    return head


def migrate(engine: sa.Engine) -> str:
    """Bring the database to the newest revision and return it; processes that start together take turns.

    Raises DatabaseError where the server is too old, cannot be reached, or was migrated by newer code.
    """
    try:
        with engine.connect() as connection:
            _check_server(connection)
            with advisory_lock(connection, "shelflist-migrate", wait=True):
                _check_not_ahead(connection)
                connection.commit()
                alembic.command.upgrade(alembic_config(connection), "head")
                connection.commit()
    except OperationalError as error:
        raise DatabaseError(f"cannot reach the database: {_first_line(error)}") from error
    except DBAPIError as error:
        raise DatabaseError(
            f"the schema could not be made: {_first_line(error)} (docs/how-to/own-database.md says what the role needs)"
        ) from error
    return newest_revision()


def check_migrated(engine: sa.Engine) -> None:
    """Raise DatabaseError unless the database is at exactly the revision that this code expects."""
    try:
        with engine.connect() as connection:
            _check_server(connection)
            current = _check_not_ahead(connection)
    except OperationalError as error:
        raise DatabaseError(f"cannot reach the database: {_first_line(error)}") from error
    if current != newest_revision():
        raise DatabaseError(
            f"the database is at revision {current or 'none'}, this version needs {newest_revision()}: "
            "run './run.sh migrate' ('shelflist migrate' in a container) first"
        )


def run_script(operations: object, name: str) -> None:
    """Run one file of sql-scripts/ inside the migration's transaction; called by the revisions."""
    connection: sa.Connection = operations.get_bind()  # type: ignore[attr-defined]
    connection.exec_driver_sql((SQL_SCRIPTS / name).read_text(encoding="utf-8").replace("%", "%%"))


def _check_server(connection: sa.Connection) -> None:
    version = int(connection.scalar(sa.text("SHOW server_version_num")) or 0)
    if version < OLDEST_POSTGRESQL:
        raise DatabaseError(f"PostgreSQL {version // 10000} is too old: 14 or newer is needed")


def _check_not_ahead(connection: sa.Connection) -> str | None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseError(
            f"the database is at revision {current}, which this version does not know: it was migrated by a newer "
            "Shelflist; update this one"
        )
    return current


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else "no answer"
