"""The memory of a server that forks: what its processes have in common stays one copy."""

import ctypes
import gc
import sys

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 128 * 1024


def prepare_to_fork() -> None:
    """Make what is loaded last through forks; called once, after all is loaded and before the first of them.

    The collector writes into every object that it looks at, and a page that is written to is copied: frozen objects
    are never looked at again.
    """
    gc.collect()
    _return_what_is_free()
    gc.freeze()


def _return_what_is_free() -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    # Not glibc: musl's allocator has none of these, and needs none.
    if not hasattr(libc, "mallopt"):
        return
    # As they are by default, but fixed: glibc raises both whenever a large block is freed, and keeps what comes after.
    libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    libc.mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
    # One heap for all threads: each thread's own would keep its most for ever, for a lock that Python's lock spares.
    libc.mallopt(_M_ARENA_MAX, 1)
    libc.malloc_trim(0)
