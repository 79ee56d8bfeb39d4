"""An iterator that works ahead in a thread of its own."""

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def prefetched(items: Iterator[T], depth: int) -> Generator[T]:
    """Yield what `items` yields and raise what it raises, while a thread makes up to `depth` items ahead.

    Where the consumer stops early the thread ends after the item that it is making.
    """
    ready: queue.Queue[_Item[T] | _End] = queue.Queue(depth)
    is_over = threading.Event()

    def put(entry: _Item[T] | _End) -> bool:
        while not is_over.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(_Item(item)):
                    return
        except BaseException as error:  # it is raised again where the items are used
            put(_End(error))
        else:
            put(_End())

    thread = threading.Thread(target=work, name="prefetching", daemon=True)
    thread.start()
    try:
        while isinstance(entry := ready.get(), _Item):
            yield entry.value
        if entry.error is not None:
            raise entry.error
    finally:
        is_over.set()
        thread.join()
