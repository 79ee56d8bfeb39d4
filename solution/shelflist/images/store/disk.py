"""Blobs as files, `ab/cd/<sha256>` below one folder that nobody else may read."""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import structlog

from shelflist.images.problems import InsufficientStorage
from shelflist.shared.problems import ServiceUnavailable

from .blobs import CHUNK_BYTES, KEY, BlobMissing, place_of

log = structlog.get_logger(__name__)

LEFTOVER_SECONDS = 3600
"""Age at which a half-written file is one that a killed process left: no upload takes as long."""

_UNFINISHED = ".unfinished"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class DiskStore:
    """Keeps blobs in a folder, which is made when the first blob comes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, file: Path, media_type: str) -> None:  # noqa: ARG002 - files have none
        """Keep the content of `file`; after the return it also survives a loss of power."""
        target = self._path(key)
        with file.open("rb") as source, _telling("write"):
            size = os.fstat(source.fileno()).st_size
            if _size(target) == size:
                return
            self._make_folder(target.parent)
            # In the same folder: only within one file system is a rename all or nothing.
            unfinished = target.parent / f"{key}.{secrets.token_hex(8)}{_UNFINISHED}"
            try:
                _copy(source, unfinished)
                unfinished.replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
                raise
            _sync_folder(target.parent)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` on, in chunks; the file is closed with the last one."""
        path = self._path(key)
        with _telling("read"):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                raise BlobMissing from None
            file.seek(start)
        return _Chunks(file, length)

    def size(self, key: str) -> int | None:
        """Return the number of bytes, None where there is no such blob."""
        path = self._path(key)
        with _telling("read"):
            return _size(path)

    def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is fine. Its folder stays: another may be on its way there."""
        path = self._path(key)
        with _telling("remove"):
            path.unlink(missing_ok=True)

    def keys(self) -> Iterator[tuple[str, int, datetime]]:
        """Yield key, size and time of every blob; what killed processes left half-written is removed on the way."""
        with _telling("read"):
            for folder, _, names in os.walk(self.root, onerror=_raise_unless_missing):
                for name in names:
                    path = Path(folder, name)
                    if KEY.fullmatch(name) and path == self._path(name):
                        with contextlib.suppress(FileNotFoundError):
                            status = path.stat()
                            yield name, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)
                    elif name.endswith(_UNFINISHED):
                        _remove_leftover(path)

    def _path(self, key: str) -> Path:
        return self.root / place_of(key)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        if folder != self.root:
            self._make_folder(folder.parent)
        else:
            folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            _sync_folder(folder.parent)


class _Chunks(Iterator[bytes]):
    """The rest of a file, closed when it is at its end or nobody wants more."""

    def __init__(self, file: BinaryIO, length: int | None) -> None:
        self._file = file
        self._left = length

    def __next__(self) -> bytes:
        wanted = CHUNK_BYTES if self._left is None else min(CHUNK_BYTES, self._left)
        with _telling("read"):
            chunk = b"" if self._file.closed else self._file.read(wanted)
        if not chunk:
            self.close()
            raise StopIteration
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Give the file back; WSGI servers call this whether or not all of it was sent."""
        self._file.close()

    def __del__(self) -> None:
        self.close()


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    """Raise the problem that tells the caller about an error of the file system; the log has the rest."""
    try:
        yield
    except OSError as error:
        log.warning("image store failed", operation=what, reason=error.strerror)
        if error.errno in _NO_SPACE:
            raise InsufficientStorage from None
        raise ServiceUnavailable("the image store is not available", retry_after=30) from None


def _copy(source: BinaryIO, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as copy:
        shutil.copyfileobj(source, copy, CHUNK_BYTES)
        copy.flush()
        os.fsync(copy.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _remove_leftover(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
            path.unlink()


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
