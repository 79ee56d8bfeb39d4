"""Whether anything in the database has changed: asked with one small statement for all that want to know at once.

Two equal snapshots see the same rows (pg_current_snapshot, https://www.postgresql.org/docs/current/functions-info.html):
every transaction that wrote has a number of its own, and committing takes it from those in progress. So whoever reads,
and finds the snapshot as it was before, has what a new read would give, whoever wrote: another server process, the
loader, somebody with psql.
"""

import asyncio
import select
from typing import Any

import psycopg2
import psycopg2.extensions
import sqlalchemy as sa

_STATEMENT = "SELECT pg_current_snapshot()::text"
_PATIENCE_SECONDS = 1.0
"""How long an answer of the database is waited for; without one nothing is known."""
_RETRY_SECONDS = 1.0
"""How long nothing is asked after the database could not be reached."""

Snapshot = tuple[int, str]
"""Of which connection, and PostgreSQL's text: a server that was put in the place of another is not the same."""


class Snapshots:
    """Tells the database's snapshot on a connection of its own; belongs to one event loop.

    Nobody waits for an answer to a question that was asked before: what a caller gets was read after its call.
    """

    def __init__(self, url: sa.URL) -> None:
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._connection: Any = None
        self._cursor: Any = None
        self._descriptor = -1
        self._generation = 0
        self._asking: asyncio.Future[Snapshot | None] | None = None
        self._next: asyncio.Future[Snapshot | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self.latest: Snapshot | None = None
        """The newest that is known; some time has passed since."""

    async def current(self) -> Snapshot | None:
        """Return the snapshot at this moment or later; None where the database does not tell."""
        loop = asyncio.get_running_loop()
        if self._connection is None:
            self._connect(loop)
            return None
        if self._asking is None:
            return await asyncio.shield(self._ask(loop))
        # The question that is out may have been answered before this call: one more goes out after it, for all.
        if self._next is None:
            self._next = loop.create_future()
        return await asyncio.shield(self._next)

    def _ask(
        self, loop: asyncio.AbstractEventLoop, waiting: "asyncio.Future[Snapshot | None] | None" = None
    ) -> "asyncio.Future[Snapshot | None]":
        asking = self._asking = waiting or loop.create_future()
        self._timer = loop.call_later(_PATIENCE_SECONDS, self._lose)
        try:
            self._cursor.execute(_STATEMENT)
            self._advance()
        except psycopg2.Error:
            self._lose()
        return asking

    def _advance(self) -> None:
        """Take what has arrived; called whenever the connection can be read."""
        try:
            state = self._connection.poll()
            if state != psycopg2.extensions.POLL_OK or self._asking is None:
                return
            text = self._cursor.fetchone()[0]
        except (psycopg2.Error, TypeError):
            self._lose()
            return
        self._settle((self._generation, text))

    def _settle(self, snapshot: Snapshot | None) -> None:
        asked, waiting, self._asking, self._next = self._asking, self._next, None, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.latest = snapshot
        if asked is not None and not asked.done():
            asked.set_result(snapshot)
        if waiting is None:
            return
        if self._connection is None:
            waiting.set_result(None)
        else:
            self._ask(asyncio.get_running_loop(), waiting)

    def _lose(self) -> None:
        if self._connection is not None:
            # A broken connection does not tell it any more.
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._connection.close()
            self._connection = self._cursor = None
        self._settle(None)

    def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        if (self._connecting is None or self._connecting.done()) and loop.time() >= self._not_before:
            self._connecting = loop.create_task(self._take_connection(loop))

    async def _take_connection(self, loop: asyncio.AbstractEventLoop) -> None:
        self._not_before = loop.time() + _RETRY_SECONDS
        try:
            # In a thread: looking the host up blocks.
            connection = await asyncio.to_thread(_connected, self._dsn)
        except psycopg2.Error:
            return
        self._generation += 1
        self._connection, self._cursor = connection, connection.cursor()
        self._descriptor = connection.fileno()
        loop.add_reader(self._descriptor, self._advance)


def _connected(dsn: str) -> Any:
    connection: Any = psycopg2.connect(dsn, async_=True, application_name="shelflist-snapshots")
    while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
        wanted = [connection.fileno()]
        is_reading = state == psycopg2.extensions.POLL_READ
        ready = select.select(wanted if is_reading else [], [] if is_reading else wanted, [], 5)
        if not any(ready):
            connection.close()
            raise psycopg2.OperationalError("the connection was not made in time")
    return connection
