"""Why a load failed, in one line."""

import psycopg2
from sqlalchemy.exc import DBAPIError

# The first two are the driver's own, for a session that ended without a word of the server's.
_CONNECTION_ERRORS = ("OperationalError", "InterfaceError", "AdminShutdown", "CrashShutdown", "CannotConnectNow")


class LoadError(Exception):
    """A load failed and what was served before is served still.

    The text is one line for the person who started the load. `reason` is that line without `where` (a path on
    this machine), fit to be published in the ledger.
    """

    def __init__(self, reason: str, where: str | None = None) -> None:
        super().__init__(f"{reason}: {where}" if where else reason)
        self.reason = reason


class LoadRefused(LoadError):
    """A gate refused what the files hold: the same files would be refused again."""


class DatabaseLost(LoadError):
    """The connection to the database was refused or lost; the same load may succeed when it is back."""


def database_error_name(error: Exception) -> str | None:
    """Return PostgreSQL's name of a database error ("DiskFull"), None where `error` is of another kind.

    The database's own text stays in the log: it may quote rows and paths.
    """
    original = error.orig if isinstance(error, DBAPIError) else error
    return type(original).__name__ if isinstance(original, psycopg2.Error) else None


def as_load_error(error: Exception) -> LoadError | None:
    """Return the LoadError for a failure from outside (database, disk), None where `error` is a fault of ours."""
    if isinstance(error, LoadError):
        return error
    name = database_error_name(error)
    if name in _CONNECTION_ERRORS:
        return DatabaseLost("the connection to the database was refused or lost")
    if name is not None:
        return LoadError(f"the database stopped the load ({name})")
    if isinstance(error, OSError):
        return LoadError(error.strerror or type(error).__name__, error.filename and str(error.filename))
    return None


def published_reason(error: BaseException) -> str:
    """Return one line for the ledger; of unforeseen errors only the type, since their texts may hold anything."""
    known = as_load_error(error) if isinstance(error, Exception) else None
    return known.reason if known else f"unexpected {type(error).__name__}"
