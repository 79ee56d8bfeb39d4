"""The probe: asks the database how things are, on a connection of its own and never for long."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import sqlalchemy as sa

FRESH_SECONDS = 0.5
_PROBE_SECONDS = 1.5

Rows = list[tuple[Any, ...]]


class Probe:
    """One connection beside the pool's, so that a drained pool does not look like a dead database."""

    def __init__(self, url: sa.URL) -> None:
        self._arguments = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe")
        self._connection: Any = None
        self._answers: dict[str, tuple[float, Rows | None]] = {}
        self._asking: dict[str, asyncio.Future[Rows | None]] = {}

    async def recent(self, statement: str) -> Rows | None:
        """Return what `ask` does, FRESH_SECONDS old at most: however many want to know, one question goes out."""
        if statement in self._answers:
            asked_at, rows = self._answers[statement]
            if time.monotonic() - asked_at < FRESH_SECONDS:
                return rows
        asking = self._asking.get(statement)
        if asking is None or asking.done():
            asking = self._asking[statement] = self._start(statement)
        rows = await _in_time(asking)
        self._answers[statement] = (time.monotonic(), rows)
        return rows

    async def ask(self, statement: str) -> Rows | None:
        """Return the statement's rows within two seconds; None where the database gives none."""
        return await _in_time(self._start(statement))

    def _start(self, statement: str) -> "asyncio.Future[Rows | None]":
        return asyncio.get_running_loop().run_in_executor(self._executor, self._fetch, statement)

    def _fetch(self, statement: str) -> Rows | None:
        for _ in range(2):
            # A connection that a restart has cut fails once; a new one tells whether the database is back.
            try:
                with self._connected().cursor() as cursor:
                    cursor.execute(statement)
                    rows: Rows = cursor.fetchall()
                    return rows
            except psycopg2.Error:
                self._drop()
        return None

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = psycopg2.connect(
                self._arguments,
                application_name="shelflist-health",
                connect_timeout=1,
                options="-c statement_timeout=1000",
            )
            self._connection.autocommit = True
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def _in_time(asking: "asyncio.Future[Rows | None]") -> Rows | None:
    try:
        return await asyncio.wait_for(asyncio.shield(asking), _PROBE_SECONDS)
    except TimeoutError:
        return None
