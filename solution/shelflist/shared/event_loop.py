"""Handlers on the event loop: what a prepared statement answers needs no thread to wait in.

A handler is a plain function. It runs in a greenlet, which is left while PostgreSQL works and entered again with the
rows, as SQLAlchemy's asyncio extension does it (https://greenlet.readthedocs.io).
"""

import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from greenlet import GreenletExit, getcurrent, greenlet

from .asynchronous import AsyncPool
from .batching import Batches, NeedsThread

_P = ParamSpec("_P")
_T = TypeVar("_T")

_MARK = "shelflist_on_event_loop"

MOST_IDLE = 32
"""Greenlets of a thread that are kept for the next handlers, at some 20 kilobytes each."""


class LoopConnection:
    """What handlers on the event loop get for a connection: it can be asked by `prepared.fetch_prepared` alone."""

    def __init__(self, pool: AsyncPool, dialect: sa.Dialect) -> None:
        self.pool = pool
        self.batches = Batches(pool)
        self.dialect = dialect

    def __getattr__(self, name: str) -> Any:
        raise NeedsThread(name)


_connection: ContextVar[LoopConnection | None] = ContextVar("loop_connection", default=None)


def current_connection() -> LoopConnection | None:
    """Return what stands for a connection on the event loop; None in a thread."""
    return _connection.get()


def leave_event_loop() -> None:
    """Raise NeedsThread on the event loop, before something that would block it."""
    if _connection.get() is not None:
        raise NeedsThread


def on_event_loop(handler: Callable[_P, _T]) -> Callable[_P, _T]:
    """Mark a handler that reads, mostly by prepared statements, and otherwise takes no longer than a page does."""
    setattr(handler, _MARK, True)
    return handler


def may_run_on_event_loop(handler: Callable[..., Any]) -> bool:
    """Tell whether a handler is marked."""
    return bool(getattr(handler, _MARK, False))


async def run_on_event_loop(connection: LoopConnection, function: Callable[[], _T]) -> _T:
    """Return what `function` does, which may wait by `wait_for`; raises NeedsThread where that is not enough."""
    idle = _workers.idle
    worker = idle.pop() if idle else _new_worker()
    # One of its own, which nobody needs to tidy.
    context = worker.gr_context = copy_context()
    context.run(_connection.set, connection)
    given: Any = worker.switch(function)
    while type(given) is not _End:
        try:
            answer = await given
        except BaseException as error:
            given = worker.throw(error)
        else:
            given = worker.switch(answer)
    if len(idle) < MOST_IDLE:
        idle.append(worker)
    result, failure = given.result, given.error
    # The greenlet goes on holding `given`, and an error's traceback holds this frame: a ring that nobody collects.
    given.result = given.error = None
    del worker, given
    if failure is None:
        done: _T = result
        return done
    try:
        raise failure
    finally:
        del failure


class _End:
    """How a function has ended."""

    def __init__(self, result: Any, error: BaseException | None) -> None:
        self.result = result
        self.error = error


class _Workers(threading.local):
    """The greenlets of one thread that have nothing to do."""

    def __init__(self) -> None:
        self.idle: list[greenlet] = []


_workers = _Workers()


def _new_worker() -> greenlet:
    worker = greenlet(_work)
    worker.switch()
    return worker


def _work() -> None:
    """Run one function after the other: each new greenlet would have Python map memory for its frames, and unmap it."""
    parent = getcurrent().parent
    assert parent is not None
    end: _End | None = None
    while True:
        function = parent.switch(end)
        try:
            end = _End(function(), None)
        except GreenletExit:
            # Nobody will ask it again.
            raise
        except BaseException as error:
            end = _End(None, error)
        # Or it would be kept until there is another one.
        del function


def wait_for(awaitable: Awaitable[_T]) -> _T:
    """Return what the awaitable gives; only within `run_on_event_loop`."""
    parent = getcurrent().parent
    assert parent is not None
    answer: _T = parent.switch(awaitable)
    return answer
