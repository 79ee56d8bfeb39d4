"""Files with locks that end with their process, and waiting for what other processes do."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def open_file(path: Path, flags: int = 0) -> int:
    """Open for reading and writing, readable by us alone where it is created; not inherited by other programs."""
    return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)


@contextmanager
def opened(path: Path, flags: int = 0) -> Iterator[int]:
    """Close the file, and with it the lock taken through it, at the end."""
    descriptor = open_file(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take a lock (`fcntl.LOCK_SH`, `fcntl.LOCK_EX`) if that needs no waiting.

    A lock belongs to what `open` returned: copies of the descriptor, in forked children too, hold the same one.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock on the file; it is taken for a moment."""
    with opened(path) as descriptor:
        return try_lock(descriptor, fcntl.LOCK_EX)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether the condition came true in time; it is looked at once at least."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
