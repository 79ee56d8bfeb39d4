"""Micro-batches: images that wait together are run together, in order, by as many threads as the model may use."""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """What came of one item, and in which run."""

    result: Result
    seconds: float
    batch: int


@dataclass(frozen=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Done[Result]]
    loop: asyncio.AbstractEventLoop


class Full(Exception):
    """As many items wait as may."""


class Batcher(Generic[Item, Result]):
    """Runs what is submitted in batches of at most `largest`; `capacity` items may wait, one more is refused.

    A thread that is free takes its share of what waits at that moment and never waits for more: on CPUs a larger batch
    saves next to nothing an image, so waiting would only be waiting.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        threads: int,
        largest: int,
        capacity: int,
        observe: Callable[[float, int], None] = lambda _seconds, _items: None,
    ) -> None:
        self._run = run
        self._largest = largest
        self._capacity = capacity
        self._observe = observe
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"session-{number}", daemon=True) for number in range(threads)
        ]

    def start(self, first: Item) -> None:
        """Start the threads after a run of `first` for each: none meets a request cold. Raises what a run raises."""
        for _ in self._threads:
            self._run([first])
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._queue)

    async def submit(self, item: Item) -> Done[Result]:
        """Wait for the result of one item; raises Full, or what its batch raised.

        Cancelled while it waits, the item is never run.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Done[Result]] = loop.create_future()
        with self._changed:
            if self._is_closed or len(self._queue) >= self._capacity:
                raise Full
            self._queue.append(_Waiting(item, future, loop))
            self._changed.notify()
        return await future

    def close(self) -> None:
        """Run what waits, take nothing more, and end the threads."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while batch := self._take():
            started = time.perf_counter()
            try:
                results: Sequence[Result] | Exception = self._run([waiting.item for waiting in batch])
            except Exception as error:
                results = error
            seconds = time.perf_counter() - started
            self._observe(seconds, len(batch))
            try:
                batch[0].loop.call_soon_threadsafe(_deliver, batch, results, seconds)
            except RuntimeError:
                log.debug("results came after the end", images=len(batch))

    def _take(self) -> list[_Waiting[Item, Result]]:
        """Return the next batch as soon as there is one; empty at the end."""
        with self._changed:
            while True:
                # A fair share: the other threads are about to be free, too.
                share = min(self._largest, math.ceil(len(self._queue) / len(self._threads)))
                batch: list[_Waiting[Item, Result]] = []
                while self._queue and len(batch) < share:
                    waiting = self._queue.popleft()
                    if not waiting.future.cancelled():
                        batch.append(waiting)
                if batch or (self._is_closed and not self._queue):
                    return batch
                if not self._queue:
                    self._changed.wait()


def _deliver(batch: list[_Waiting[Item, Result]], results: Sequence[Result] | Exception, seconds: float) -> None:
    for number, waiting in enumerate(batch):
        if waiting.future.done():
            continue
        if isinstance(results, Exception):
            waiting.future.set_exception(results)
        else:
            waiting.future.set_result(Done(results[number], seconds, len(batch)))
