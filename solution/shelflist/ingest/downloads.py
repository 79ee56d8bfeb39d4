"""The directory of a load's downloads: what a load that failed leaves there, the next one goes on from."""

import errno
import fcntl
import gzip
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from shelflist_http import clear_strangers

from .errors import LoadError, database_error_name

LOCK_PATIENCE_SECONDS = 2.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BLOCK_BYTES = 1 << 20
_BOMB_RATIO = 200
"""Unpacked bytes a packed one, above which a file is none of a load's; gzip reaches 1,032."""


@contextmanager
def kept_downloads(directory: Path, urls: Mapping[Path, str]) -> Iterator[None]:
    """Keep the downloads in `directory` where an exception leaves the block, and remove them where none does.

    `urls` are those of the files to download there; whatever else is in the directory is removed at once. Neither
    what is damaged is kept, since it would fail again, nor anything where the disk is full.
    Raises LoadError where another process downloads to the directory, or where it cannot be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise LoadError(f"cannot store the download: {error.strerror}") from error
    try:
        _lock(descriptor)
        clear_strangers(directory, urls)
        try:
            yield
        except BaseException as error:
            # What cannot be removed must neither hide why the load failed nor make a good one fail.
            with suppress(OSError):
                _keep_useful(directory, urls, error)
            raise
        with suppress(OSError):
            clear_strangers(directory, {})
    finally:
        os.close(descriptor)


def _lock(directory: int) -> None:
    """Take the directory: a load that has lost its lock in the database may still be writing there."""
    ends_at = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > ends_at:
                raise LoadError("another process is downloading to STATE_DIRECTORY") from None
            time.sleep(0.1)
        else:
            return


def _keep_useful(directory: Path, urls: Mapping[Path, str], error: BaseException) -> None:
    kept: Mapping[Path, str] = {}
    if not _is_full(error):
        # Only what came whole and was read can have been found damaged; other failures say nothing of the files.
        is_doubtful = isinstance(error, LoadError)
        kept = {path: url for path, url in urls.items() if not (is_doubtful and path.exists() and _is_damaged(path))}
    clear_strangers(directory, kept)


def _is_full(error: BaseException | None) -> bool:
    """Tell whether some disk was full, the database's too: it may be the same one."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, Exception) and database_error_name(error) == "DiskFull":
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_damaged(path: Path) -> bool:
    """Tell whether a file cannot be unpacked to its end, or would fill whatever it is unpacked to."""
    left = _BLOCK_BYTES + _BOMB_RATIO * path.stat().st_size
    try:
        with gzip.open(path) as unpacked:
            while left > 0 and (block := unpacked.read(_BLOCK_BYTES)):
                left -= len(block)
    except (EOFError, OSError, zlib.error):
        return True
    return left <= 0


def forget_downloads(directory: Path) -> None:
    """Remove what loads of another source have left, unless a process is at work there."""
    with suppress(LoadError), kept_downloads(directory, {}):
        pass
