"""PostgreSQL asked from an event loop: psycopg2's asynchronous connections, which block nobody while they wait."""

import asyncio
import select
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import UNICODE, new_type, register_type

RETRY_SECONDS = 1.0
"""How long nothing is asked after the database could not be reached."""
WAIT_SECONDS = 1.0
"""How long a connection of the pool is waited for."""
_CONNECT_SECONDS = 5
_EVENTS = {psycopg2.extensions.POLL_READ: select.POLLIN, psycopg2.extensions.POLL_WRITE: select.POLLOUT}
_SENT_AT_ONCE = 4096
"""Bytes that the system takes without waiting."""

Rows = Sequence[tuple[Any, ...]]
"""As the driver makes them, but for moments, which are the text that `timestamps.as_text` takes, and UUIDs."""

# The type's number in every PostgreSQL (pg_type.dat). Two moments in each row take longer to make than all else in it.
_MOMENT_TEXT = new_type((1184,), "MOMENT_TEXT", UNICODE)


class AsyncConnection:
    """A connection that runs one statement at a time, in autocommit; belongs to one event loop."""

    def __init__(self, driver: Any, patience: float) -> None:
        self._driver = driver
        register_type(_MOMENT_TEXT, driver)
        self._cursor = driver.cursor()
        self._descriptor = driver.fileno()
        self._patience = patience
        self._answer: asyncio.Future[Rows] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_writing = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._advance)
        self.is_open = True
        self.prepared: set[str] = set()
        """The names of the statements that are prepared on it."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the last answer."""
        return tuple(column[0] for column in self._cursor.description or ())

    def execute(self, statement: str, values: Mapping[str, Any] | None = None) -> "asyncio.Future[Rows]":
        """Send the statement; what is returned gives its rows, or raises psycopg2.Error.

        Without an answer for as long as the connection's patience it is closed.
        """
        answer = self._answer = self._loop.create_future()
        self._timer = self._loop.call_later(self._patience, self.close)
        try:
            self._cursor.execute(statement, values)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            self._fail(error)
        except Exception as error:
            # Values that no statement can hold, or that the driver knows nothing of: nothing was sent.
            self._settle(None, error)
        else:
            # Mostly all of it has been sent, and nothing has come yet.
            if len(self._cursor.query) > _SENT_AT_ONCE:
                self._advance()
        return answer

    def close(self, error: Exception | None = None) -> None:
        """End the session; a statement that runs fails."""
        if self.is_open:
            self.is_open = False
            # Before it is closed, or the loop would watch whatever gets its number next.
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._driver.close()
        self._settle(None, error or psycopg2.OperationalError("the connection was closed"))

    def _advance(self) -> None:
        """Take what has arrived; called whenever the connection can be read, also where nothing was asked."""
        try:
            state = self._driver.poll()
            if state == psycopg2.extensions.POLL_OK and self._answer is not None:
                self._settle(self._cursor.fetchall() if self._cursor.description else [], None)
        except psycopg2.Error as error:
            self._fail(error)
        except Exception as error:
            # A value that Python cannot hold, such as a date in the year 10000.
            self.close(error)
        else:
            self._watch_writing(state == psycopg2.extensions.POLL_WRITE)

    def _watch_writing(self, is_writing: bool) -> None:
        if is_writing != self._is_writing and self.is_open:
            self._is_writing = is_writing
            if is_writing:
                self._loop.add_writer(self._descriptor, self._advance)
            else:
                self._loop.remove_writer(self._descriptor)

    def _fail(self, error: psycopg2.Error) -> None:
        if self._driver.closed or error.pgcode is None:
            self.close(error)
        else:
            self._settle(None, error)

    def _settle(self, rows: Rows | None, error: Exception | None) -> None:
        answer, self._answer = self._answer, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if answer is None or answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(rows or [])


class AsyncPool:
    """A few connections of one event loop, made when they are wanted, never while somebody waits for one."""

    def __init__(self, arguments: Mapping[str, Any], *, size: int, patience: float) -> None:
        """Take libpq's parameters, how many connections there are at most, and the seconds of a statement."""
        self._arguments = dict(arguments)
        self._size = size
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._start_over()

    def _start_over(self) -> None:
        self._free: list[AsyncConnection] = []
        self._lent: set[AsyncConnection] = set()
        self._waiting: deque[asyncio.Future[AsyncConnection | None]] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._not_before = 0.0

    def is_ready(self) -> bool:
        """Whether there is a connection on this event loop to take or to wait for; one will be made where none is."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # Its first question may be its last: nothing is made for it yet.
            self._loop = loop
            self._start_over()
            return False
        if self._lent or any(connection.is_open for connection in self._free):
            return True
        self._connect(loop)
        return False

    async def take(self) -> AsyncConnection | None:
        """Return a connection, which is to be given back; None where there is none any more, or all are long in use."""
        while self._free:
            connection = self._free.pop()
            if connection.is_open:
                self._lent.add(connection)
                return connection
        if not self._lent:
            return None
        loop = asyncio.get_running_loop()
        self._connect(loop)
        waiting: asyncio.Future[AsyncConnection | None] = loop.create_future()
        self._waiting.append(waiting)
        timer = loop.call_later(WAIT_SECONDS, _tell, waiting, None)
        try:
            return await waiting
        except asyncio.CancelledError:
            # It may have been handed over in the same turn.
            if waiting.done() and not waiting.cancelled() and (given := waiting.result()) is not None:
                self.give_back(given)
            raise
        finally:
            timer.cancel()

    def give_back(self, connection: AsyncConnection) -> None:
        """Take the connection back, or lend it to who waits."""
        if connection not in self._lent:
            # Of an event loop that is not served any more.
            connection.close()
            return
        self._lent.discard(connection)
        if connection.is_open:
            self._lend(connection)
        elif not self._lent:
            # Nobody is left who would give one back.
            while self._waiting:
                _tell(self._waiting.popleft(), None)

    def close(self) -> None:
        """End all sessions."""
        for connection in (*self._free, *self._lent):
            connection.close()
        self._start_over()

    def _lend(self, connection: AsyncConnection) -> None:
        while self._waiting:
            if _tell(self._waiting.popleft(), connection):
                self._lent.add(connection)
                return
        self._free.append(connection)

    def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        is_connecting = self._connecting is not None and not self._connecting.done()
        if not is_connecting and len(self._lent) < self._size and loop.time() >= self._not_before:
            self._connecting = loop.create_task(self._add_connections(loop))

    async def _add_connections(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make a connection, and further ones while somebody waits for them."""
        while True:
            self._not_before = loop.time() + RETRY_SECONDS
            connection = await open_connection(self._arguments, patience=self._patience)
            if connection is None:
                return
            if asyncio.current_task() is not self._connecting:
                # The pool was closed meanwhile, or serves another event loop.
                connection.close()
                return
            self._not_before = 0.0
            self._lend(connection)
            if not self._waiting or len(self._lent) >= self._size:
                return


def _tell(waiting: "asyncio.Future[Any]", connection: AsyncConnection | None) -> bool:
    if waiting.done():
        return False
    waiting.set_result(connection)
    return True


async def open_connection(arguments: Mapping[str, Any], *, patience: float) -> AsyncConnection | None:
    """Return a connection made with libpq's parameters; None where the database cannot be reached."""
    try:
        # In a thread: looking the host up blocks.
        driver = await asyncio.to_thread(_connected, arguments)
    except (psycopg2.Error, OSError):
        return None
    return AsyncConnection(driver, patience)


def _connected(arguments: Mapping[str, Any]) -> Any:
    connection: Any = psycopg2.connect(**arguments, async_=True)
    try:
        while (state := connection.poll()) != psycopg2.extensions.POLL_OK:
            # Not select(), which knows no descriptors above 1023.
            poll = select.poll()
            poll.register(connection.fileno(), _EVENTS[state])
            if not poll.poll(_CONNECT_SECONDS * 1000):
                raise psycopg2.OperationalError("the connection was not made in time")
    except BaseException:
        connection.close()
        raise
    return connection
