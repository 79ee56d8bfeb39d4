"""Handlers on the event loop: what a prepared statement answers needs no thread to wait in.

A handler is a plain function. It runs in a greenlet, which is left while PostgreSQL works and entered again with the
rows, as SQLAlchemy's asyncio extension does it (https://greenlet.readthedocs.io).
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from greenlet import getcurrent, greenlet

from .asynchronous import AsyncPool

_P = ParamSpec("_P")
_T = TypeVar("_T")

_MARK = "shelflist_on_event_loop"


class NeedsThread(Exception):
    """The handler came to what cannot be waited for on the event loop; nothing has been done yet."""


class LoopConnection:
    """What handlers on the event loop get for a connection: it can be asked by `prepared.fetch_prepared` alone."""

    def __init__(self, pool: AsyncPool, dialect: sa.Dialect) -> None:
        self.pool = pool
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

    def begin() -> _T:
        _connection.set(connection)
        return function()

    worker = greenlet(begin)
    # One of its own, which nobody needs to tidy.
    worker.gr_context = copy_context()
    result: Any = worker.switch()
    while not worker.dead:
        try:
            answer = await result
        except BaseException as error:
            result = worker.throw(error)
        else:
            result = worker.switch(answer)
    done: _T = result
    return done


def wait_for(awaitable: Awaitable[_T]) -> _T:
    """Return what the awaitable gives; only within `run_on_event_loop`."""
    parent = getcurrent().parent
    assert parent is not None
    answer: _T = parent.switch(awaitable)
    return answer
