"""How many connections to PostgreSQL an installation may hold, and whether the server gives them, told at start."""

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
import structlog

from .notices import Notice
from .settings import Settings

log = structlog.get_logger(__name__)

Part = Literal["server", "worker"]

THREADS = 10
"""Handlers that one server process runs at a time."""
EXPORTS = 4
"""Exports that one server process sends at a time, each on a connection beside the pool's."""
ENGINE = 4
"""Connections that `database.create_engine` opens at most."""

QUEUE = 4
"""Connections of the pool by which a worker takes jobs."""

LOOP_CONNECTIONS = 4
"""Connections of one server process for handlers that run on the event loop."""
# Besides, the probe's, and the one that tells whether anything has changed.
_BESIDE_THE_POOL = LOOP_CONNECTIONS + 2
_LISTENING = 1
# The session that holds the load's lock, and the one that builds beside it.
_OF_A_LOAD = 2
_EMBEDDED_LEAST = 100
# Three are kept for superusers; the rest is for a person with psql, and for a second worker.
_EMBEDDED_SPARE = 30

_LIMITS = sa.text(
    """
    WITH me AS (
        SELECT rolsuper, rolconnlimit
        FROM pg_roles
        WHERE rolname = session_user
    ),
    strangers AS (
        SELECT datname, usename
        FROM pg_stat_activity
        WHERE datid IS NOT NULL
          AND usesysid IS NOT NULL
          AND application_name NOT LIKE 'shelflist-%'
    )
    SELECT
        'max_connections' AS name,
        current_setting('max_connections')::integer
            - CASE
                WHEN rolsuper THEN 0
                ELSE current_setting('superuser_reserved_connections')::integer
                    -- Since PostgreSQL 16.
                    + coalesce(current_setting('reserved_connections', true)::integer, 0)
            END AS places,
        (SELECT count(*) FROM strangers) AS taken
    FROM me
    UNION ALL
    SELECT
        'CONNECTION LIMIT of the role',
        rolconnlimit,
        (SELECT count(*) FROM strangers WHERE usename = session_user)
    FROM me
    WHERE rolconnlimit >= 0
      AND NOT rolsuper
    UNION ALL
    SELECT
        'CONNECTION LIMIT of the database',
        datconnlimit,
        (SELECT count(*) FROM strangers WHERE datname = current_database())
    FROM me
    CROSS JOIN pg_database
    WHERE datname = current_database()
      AND datconnlimit >= 0
      AND NOT rolsuper
    """
)


class TooFewConnections(Notice):
    """PostgreSQL gives fewer connections than the command may hold; the text says which limit and which settings."""


@dataclass(frozen=True)
class Limit:
    """One limit of PostgreSQL: its name, the places it gives, and how many sessions of others hold now."""

    name: str
    places: int
    taken: int


def most_connections(settings: Settings, part: Part) -> int:
    """Return how many connections the server with all its processes, or one worker, holds at most."""
    if part == "server":
        return _processes(settings) * (settings.database_pool_size + EXPORTS + _BESIDE_THE_POOL)
    # Its own, the harvest's, those of the jobs that run at a time, and those of the one load that may be among them.
    return QUEUE + _LISTENING + ENGINE + ENGINE + settings.worker_concurrency * ENGINE + _OF_A_LOAD


def connections_of_all(settings: Settings) -> int:
    """Return how many connections the server, one worker, a load and one more command hold together at most."""
    load, command = ENGINE + _OF_A_LOAD, ENGINE
    return most_connections(settings, "server") + most_connections(settings, "worker") + load + command


def embedded_connections(settings: Settings) -> int:
    """Return the max_connections that an embedded PostgreSQL needs for these settings."""
    return max(_EMBEDDED_LEAST, connections_of_all(settings) + _EMBEDDED_SPARE)


def check_connections(engine: sa.Engine, settings: Settings, part: Part) -> None:
    """Raise TooFewConnections where `part` alone may need more connections than PostgreSQL gives its role.

    What fits, but leaves too few for the rest of an installation or makes requests wait for each other, is logged.
    """
    with engine.connect() as connection:
        # What a pooler such as PgBouncer lets in is not PostgreSQL's to tell.
        limits = [] if _is_behind_a_pooler(connection) else [Limit(*row) for row in connection.execute(_LIMITS)]
    refuse(limits, settings, part)
    for line in warnings(limits, settings, part):
        log.warning(line)


def refuse(limits: list[Limit], settings: Settings, part: Part) -> None:
    """Raise TooFewConnections where one of the limits is below what `part` may need alone."""
    narrowest = min(limits, key=lambda limit: limit.places, default=None)
    needed = most_connections(settings, part)
    if narrowest is not None and needed > narrowest.places:
        raise TooFewConnections(
            f"the {part} may need {needed} connections ({_sum(settings, part)}), and PostgreSQL gives it "
            f"{narrowest.places} ({narrowest.name}): lower these settings, or raise that limit"
        )


def warnings(limits: list[Limit], settings: Settings, part: Part) -> list[str]:
    """Return a line for each way in which connections may run out although `part` can start."""
    lines = []
    needed = connections_of_all(settings)
    narrowest = min(limits, key=lambda limit: limit.places - limit.taken, default=None)
    if narrowest is not None and needed > narrowest.places - narrowest.taken:
        held = f", of which others hold {narrowest.taken}" if narrowest.taken else ""
        lines.append(
            f"connections may run out: the server, one worker, a load and a command may need {needed} together, and "
            f"PostgreSQL gives {narrowest.places} ({narrowest.name}){held}: lower WEB_CONCURRENCY, DATABASE_POOL_SIZE "
            "or WORKER_CONCURRENCY, or raise that limit"
        )
    if part == "server" and settings.database_pool_size < THREADS:
        lines.append(
            f"requests may wait for connections: a server process runs {THREADS} handlers at a time, and "
            f"DATABASE_POOL_SIZE gives it {settings.database_pool_size}; who waits for DATABASE_POOL_SECONDS is "
            "answered 503"
        )
    return lines


def _is_behind_a_pooler(connection: sa.Connection) -> bool:
    """Return whether the session that answers is another than the one that was connected to."""
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.info.backend_pid != connection.scalar(sa.select(sa.func.pg_backend_pid())))


def _processes(settings: Settings) -> int:
    return 1 if settings.develop_server else settings.web_concurrency


def _sum(settings: Settings, part: Part) -> str:
    if part == "worker":
        return f"WORKER_CONCURRENCY={settings.worker_concurrency}"
    beside = EXPORTS + _BESIDE_THE_POOL
    pool = f"DATABASE_POOL_SIZE={settings.database_pool_size} and {beside} more in each process"
    return f"WEB_CONCURRENCY={_processes(settings)}, {pool}"
