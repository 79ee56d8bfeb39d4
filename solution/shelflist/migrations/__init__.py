"""The schema's history: Alembic revisions that apply sql-scripts/, one script each, under a lock."""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from shelflist.shared.database import OLDEST_POSTGRESQL, DatabaseError, advisory_lock
from shelflist.shared.settings import PROJECT_DIRECTORY

if TYPE_CHECKING:
    from alembic.config import Config

SQL_SCRIPTS = PROJECT_DIRECTORY / "sql-scripts"

_CURRENT = "SELECT max(version_num) FROM alembic_version"


def alembic_config(connection: sa.Connection | None = None) -> "Config":
    """Return Alembic's configuration, bound to `connection` where one is given."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest_revision() -> str:
    """Return the revision that this code expects the database to be at."""
    return max(_revisions())


def migrate(engine: sa.Engine) -> str:
    """Bring the database to the newest revision and return it; processes that start together take turns.

    Raises DatabaseError where the server is too old, cannot be reached, or was migrated by newer code.
    """
    # Imported where it migrates: a look at the number need not wait for all revisions.
    import alembic.command

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
    is_managed = connection.scalar(sa.text("SELECT to_regclass('alembic_version') IS NOT NULL"))
    current = connection.scalar(sa.text(_CURRENT)) if is_managed else None
    if current is not None and current not in _revisions():
        raise DatabaseError(
            f"the database is at revision {current}, which this version does not know: it was migrated by a newer "
            "Shelflist; update this one"
        )
    return current


def _revisions() -> set[str]:
    """Return the numbers of all revisions: each applies one script of the same number (a test compares)."""
    return {path.name.partition("_")[0] for path in SQL_SCRIPTS.glob("*.sql")}


def _first_line(error: DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else "no answer"
