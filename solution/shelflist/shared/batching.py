"""Questions on the event loop that differ in their values alone, asked of PostgreSQL together.

While two statements of a kind run, others who ask for the same wait for the next, which answers them all. Of eight that
are read together, to ask for a page takes PostgreSQL and us two thirds of what it takes alone, for a movie a quarter.
Who asks while nobody else does is not kept waiting.
"""

import asyncio
from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import psycopg2

from .asynchronous import WAIT_SECONDS, AsyncConnection, AsyncPool, Rows
from .database import is_connection_lost
from .statements import MOST_PREPARED, SESSION_CHANGED, Prepared, Texts, note_change

MOST_AT_ONCE = 16
"""Questions that one statement answers at most."""
MOST_RUNNING = 2
"""Statements of one kind that run at a time: one that PostgreSQL works on while we read the other's rows."""


class NeedsThread(Exception):
    """The handler came to what cannot be waited for on the event loop; nothing has been done yet."""


class _Question(NamedTuple):
    values: Mapping[str, Any]
    answer: "asyncio.Future[Sequence[Any]]"


class _Line:
    """Those who wait for one statement."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.waiting: list[_Question] = []
        self.running = 0
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> Sequence[_Question]:
        """Return those who are served next."""
        batch = self.waiting[:MOST_AT_ONCE]
        del self.waiting[:MOST_AT_ONCE]
        self._stop_watching()
        self.watch()
        return batch

    def watch(self) -> None:
        """See that nobody waits for long where nobody is served."""
        if self.waiting and self._timer is None:
            self._timer = self._loop.call_later(WAIT_SECONDS, self.send_away)

    def send_away(self) -> None:
        """Let those who wait go on in threads."""
        self._stop_watching()
        waiting, self.waiting = self.waiting, []
        _fail(waiting, NeedsThread())

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Batches:
    """Asks prepared statements of the connections of a pool; belongs to the event loop that asks."""

    def __init__(self, pool: AsyncPool) -> None:
        self._pool = pool
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[Prepared, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._makers: dict[Prepared, Any] = {}

    def ask(self, statement: Prepared, values: Mapping[str, Any]) -> "asyncio.Future[Sequence[Any]]":
        """Return what will give the rows, read after this call, or raise NeedsThread or psycopg2.Error."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What runs on another one will never end for this.
            self._loop, self._lines = loop, {}
        line = self._lines.get(statement)
        if line is None:
            line = self._lines[statement] = _Line(loop)
        answer: asyncio.Future[Sequence[Any]] = loop.create_future()
        line.waiting.append(_Question(values, answer))
        if line.running < MOST_RUNNING:
            line.running += 1
            task = loop.create_task(self._serve(line, statement))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            line.watch()
        return answer

    async def _serve(self, line: _Line, statement: Prepared) -> None:
        try:
            while line.waiting:
                connection = await self._pool.take()
                if connection is None:
                    line.send_away()
                    return
                try:
                    # None where others have been quicker.
                    if batch := line.take():
                        await self._answer(connection, statement, batch)
                finally:
                    self._pool.give_back(connection)
        finally:
            line.running -= 1

    async def _answer(self, connection: AsyncConnection, statement: Prepared, batch: Sequence[_Question]) -> None:
        try:
            values: dict[str, Any] = dict(statement.constants)
            for name in statement.parameters:
                values[name] = [question.values[name] for question in batch]
            rows = await _fetch(connection, statement.of_many, values)
            records = list(map(self._maker(statement, connection), rows))
        except asyncio.CancelledError:
            # Its answer is still to come.
            connection.close()
            raise
        except Exception as error:
            if len(batch) > 1 and _is_of_values(error):
                # Those of one, which are no fault of the others.
                for question in batch:
                    await self._answer(connection, statement, [question])
            else:
                _fail(batch, NeedsThread() if is_connection_lost(error) else error)
        else:
            self._give(statement, records, batch)

    def _maker(self, statement: Prepared, connection: AsyncConnection) -> Any:
        make = self._makers.get(statement)
        if make is None:
            # Not its _make, which takes four times as long.
            make = self._makers[statement] = partial(tuple.__new__, namedtuple("Record", connection.names))
        return make

    def _give(self, statement: Prepared, records: Sequence[Any], batch: Sequence[_Question]) -> None:
        if len(batch) == 1 or not statement.parameters:
            answers = [records] * len(batch)
        else:
            answers = [[] for _ in batch]
            for one in records:
                answers[one[-1] - 1].append(one)
        for question, answer in zip(batch, answers, strict=True):
            if not question.answer.done():
                question.answer.set_result(answer)


async def _fetch(connection: AsyncConnection, texts: Texts, values: Mapping[str, Any]) -> Rows:
    try:
        if texts.name not in connection.prepared:
            if len(connection.prepared) == MOST_PREPARED:
                return await connection.execute(texts.plain, values)
            await connection.execute(texts.prepare)
            connection.prepared.add(texts.name)
        return await connection.execute(texts.execute, values)
    except psycopg2.Error as error:
        if error.pgcode not in SESSION_CHANGED:
            raise
        note_change(connection.prepared, texts.name, error.pgcode)
        return await connection.execute(texts.plain, values)


def _is_of_values(error: Exception) -> bool:
    """Tell whether the values that were asked for may be what is wrong, and not the statement or the session."""
    is_of_driver = not isinstance(error, psycopg2.Error) or (error.pgcode is None and not is_connection_lost(error))
    return is_of_driver or isinstance(error, psycopg2.DataError)


def _fail(batch: Sequence[_Question], error: Exception) -> None:
    for question in batch:
        if not question.answer.done():
            question.answer.set_exception(error)
