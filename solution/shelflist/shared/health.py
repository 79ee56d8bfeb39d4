"""Whether this server can serve: is the database there, and is the server not about to stop."""

import asyncio
import mmap
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import psycopg2
import sqlalchemy as sa

from shelflist import __version__

_FRESH_SECONDS = 0.5
_PROBE_SECONDS = 1.5
_BACKGROUND = """
SELECT
    CASE
        WHEN EXISTS (
            SELECT
            FROM procrastinate.procrastinate_workers
            WHERE last_heartbeat > now() - interval '1 minute'
        ) THEN 'ok'
        ELSE 'unavailable'
    END,
    CASE
        WHEN NOT EXISTS (SELECT FROM feeds WHERE enabled) THEN 'off'
        WHEN EXISTS (SELECT FROM feeds WHERE enabled AND failures > 0) THEN 'degraded'
        ELSE 'ok'
    END,
    CASE
        WHEN EXISTS (
            SELECT
            FROM image_contents
            WHERE labelling <> 'done'
              AND labelling_error IS DISTINCT FROM 'refused'
              AND touched_at < now() - interval '2 minutes'
        ) THEN 'degraded'
        ELSE 'ok'
    END
"""
_UNKNOWN = ("unavailable", "unavailable", "unavailable")

# One byte that the Gunicorn master and all its workers see: memory mapped before they fork.
_draining = mmap.mmap(-1, 1)


def start_draining() -> None:
    """Make every worker of this server answer "not ready" from now on."""
    _draining[0] = 1


def is_draining() -> bool:
    """Return whether this server is about to stop."""
    return _draining[0] == 1


class Health:
    """Asks the database on a connection of its own, so that a drained pool does not look like a dead database."""

    def __init__(self, url: sa.URL, *, has_vision: bool = True) -> None:
        self._has_vision = has_vision
        self._arguments = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
        self._connection: Any = None
        self._answer: tuple[float, bool] = (0.0, False)
        self._asking: asyncio.Future[bool] | None = None

    async def unready(self) -> list[str]:
        """Return why the server should get no requests now; an empty list where it should."""
        reasons = ["draining"] if is_draining() else []
        if not await self.has_database():
            reasons.append("database")
        return reasons

    async def report(self) -> dict[str, Any]:
        """Return the state of each component, for a person."""
        has_database = await self.has_database()
        worker, harvest, labelling = await self._background() if has_database else _UNKNOWN
        return {
            # Without a worker jobs wait, but whatever is asked is answered.
            "status": "ok" if has_database and "degraded" not in (harvest, labelling) else "degraded",
            "name": "shelflist",
            "version": __version__,
            "components": {
                "database": {"status": "ok" if has_database else "unavailable"},
                "worker": {"status": worker},
                "harvest": {"status": harvest},
                "labelling": {"status": labelling},
            },
        }

    async def _background(self) -> tuple[str, str, str]:
        """Return the states of the worker, of the harvest and of labelling."""
        asking = asyncio.get_running_loop().run_in_executor(self._executor, self._ask_for_background)
        try:
            return await asyncio.wait_for(asyncio.shield(asking), _PROBE_SECONDS)
        except TimeoutError:
            return _UNKNOWN

    def _ask_for_background(self) -> tuple[str, str, str]:
        if self._connection is None:
            return _UNKNOWN
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(_BACKGROUND)
                worker, harvest, labelling = cursor.fetchone()
        except psycopg2.Error:
            return _UNKNOWN
        return worker, harvest, labelling if self._has_vision else "off"

    async def has_database(self) -> bool:
        """Return whether the database answers; an answer is half a second old at most, and comes within two."""
        asked_at, answer = self._answer
        if time.monotonic() - asked_at < _FRESH_SECONDS:
            return answer
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().run_in_executor(self._executor, self._ask)
        try:
            answer = await asyncio.wait_for(asyncio.shield(self._asking), _PROBE_SECONDS)
        except TimeoutError:
            answer = False
        self._answer = (time.monotonic(), answer)
        return answer

    def _ask(self) -> bool:
        for _ in range(2):
            # A connection that a restart has cut fails once; a new one tells whether the database is back.
            try:
                if self._connection is None:
                    self._connection = psycopg2.connect(
                        self._arguments,
                        application_name="shelflist-health",
                        connect_timeout=1,
                        options="-c statement_timeout=1000",
                    )
                    self._connection.autocommit = True
                with self._connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except psycopg2.Error:
                self._drop()
            else:
                return True
        return False

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def get_liveness() -> NoReturn:
    """Stand for an operation of the spec that the edge answers before it comes here."""
    raise RuntimeError("the edge answers the health operations")


get_readiness = get_healthcheck = get_liveness
