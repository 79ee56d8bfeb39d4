"""Whether anything in the database has changed: asked with one small statement for all that want to know at once.

Two equal snapshots see the same rows (pg_current_snapshot, https://www.postgresql.org/docs/current/functions-info.html):
every transaction that wrote has a number of its own, and committing takes it from those in progress. So whoever reads,
and finds the snapshot as it was before, has what a new read would give, whoever wrote: another server process, the
loader, somebody with psql.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from .asynchronous import RETRY_SECONDS, AsyncConnection, Rows, open_connection

# With the server's start: a pooler may keep our connection while another server takes the place of the first.
_STATEMENT = "SELECT concat(pg_current_snapshot(), ' ', pg_postmaster_start_time())"
_PATIENCE_SECONDS = 1.0
"""How long an answer of the database is waited for; without one nothing is known."""

Snapshot = tuple[int, str]
"""Of which connection, and PostgreSQL's text: a server that was put in the place of another is not the same."""


class Snapshots:
    """Tells the database's snapshot on a connection of its own; belongs to one event loop.

    Nobody waits for an answer to a question that was asked before: what a caller gets was read after its call.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        """Take libpq's parameters."""
        self._arguments = {**arguments, "application_name": "shelflist-snapshots"}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: AsyncConnection | None = None
        self._generation = 0
        self._asking: asyncio.Future[Snapshot | None] | None = None
        self._next: asyncio.Future[Snapshot | None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self.latest: Snapshot | None = None
        """The newest that is known; some time has passed since."""

    async def current(self) -> Snapshot | None:
        """Return the snapshot at this moment or later; None where the database does not tell."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What waits for another one would wait for ever.
            self._loop, self._connection, self._asking, self._next, self._connecting = loop, None, None, None, None
            self.latest = None
        if self._asking is not None:
            # The question that is out may have been answered before this call: one more goes out after it, for all.
            if self._next is None:
                self._next = loop.create_future()
            return await asyncio.shield(self._next)
        if self._connection is None or not self._connection.is_open:
            self._connect(loop)
            return None
        return await asyncio.shield(self._ask(self._connection, loop.create_future()))

    def _ask(
        self, connection: AsyncConnection, asking: "asyncio.Future[Snapshot | None]"
    ) -> "asyncio.Future[Snapshot | None]":
        self._asking = asking
        connection.execute(_STATEMENT).add_done_callback(self._settle)
        return asking

    def _settle(self, answer: "asyncio.Future[Rows]") -> None:
        is_known = not answer.cancelled() and answer.exception() is None
        self.latest = (self._generation, answer.result()[0][0]) if is_known else None
        asked, waiting, self._asking, self._next = self._asking, self._next, None, None
        if asked is not None and not asked.done():
            asked.set_result(self.latest)
        if waiting is None:
            return
        if self._connection is not None and self._connection.is_open:
            self._ask(self._connection, waiting)
        elif not waiting.done():
            waiting.set_result(None)

    def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        if (self._connecting is None or self._connecting.done()) and loop.time() >= self._not_before:
            self._connecting = loop.create_task(self._take_connection(loop))

    async def _take_connection(self, loop: asyncio.AbstractEventLoop) -> None:
        self._not_before = loop.time() + RETRY_SECONDS
        self.latest = None
        self._connection = await open_connection(self._arguments, patience=_PATIENCE_SECONDS)
        self._generation += 1
