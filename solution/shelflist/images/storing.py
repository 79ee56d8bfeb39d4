"""The way of a picture from a received file into the store and the database, in steps that may end anywhere.

1. A file that came before is not decoded again, if the store still holds what became of it.
2. Any other is prepared in a child process.
3. Its content is made known, so that what it brings is not taken for rubbish.
4. All its variants go into the store. Nothing that anybody sees refers to them yet.
5. One transaction of the caller's makes it somebody's image.
6. What removals took away between 4 and 5 is put back.

A process that is killed leaves blobs and rows that nobody sees; the next upload of the picture goes through all of it
again, and `shelflist images verify` removes what none comes for. No connection to the database is held while anything
is decoded or stored.
"""

import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from shelflist.shared.problems import ServiceUnavailable
from shelflist.shared.uploads import Upload

from .commands import Picture, Variant, announce_content, touch_content
from .pictures.preparing import PictureLimits, Prepared, prepare
from .problems import InsufficientStorage
from .queries import SIZES, known_content, variants_of
from .store import Store

LEFTOVER_SECONDS = 3_600
"""The age at which a folder that an upload works in belongs to a process that was killed."""

_PREFIX = "picture-"
_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


@dataclass(frozen=True)
class Received:
    """A file that has arrived, in a folder of its own to work in."""

    path: Path
    sha256: str

    @property
    def folder(self) -> Path:
        """The folder, which goes when the work is done."""
        return self.path.parent


@dataclass(frozen=True)
class Storage:
    """Where pictures are kept, and within which limits."""

    engine: sa.Engine
    store: Store
    limits: PictureLimits

    def take_in(self, received: Received, keep: Callable[[Picture], T]) -> T:
        """Store the picture and return what `keep`, the transaction that refers to it, returns.

        Raises what `prepare` and the store raise: UnsupportedImage, ImageTooLarge, BrokenImage, InsufficientStorage,
        ServiceUnavailable.
        """
        picture = self._known(received) or self._stored_anew(received)
        kept = keep(picture)
        if not self._holds(picture.variants):
            self._stored_anew(received)
        return kept

    def _known(self, received: Received) -> Picture | None:
        with self.engine.begin() as connection:
            content = known_content(connection, received.sha256)
            row = touch_content(connection, content) if content is not None else None
            if row is None:
                return None
            variants = tuple(
                Variant(found.size, found.sha256, found.media_type, found.width, found.height, found.bytes)
                for found in variants_of(connection, row.sha256)
            )
        is_whole = {variant.size for variant in variants} == set(SIZES) and self._holds(variants)
        return Picture(received.sha256, row.format, row.frames, variants) if is_whole else None

    def _stored_anew(self, received: Received) -> Picture:
        prepared = prepare(received.path, received.folder, self.limits)
        picture = _picture(received.sha256, prepared)
        with self.engine.begin() as connection:
            announce_content(connection, picture)
        for variant in prepared.variants:
            self.store.put(variant.sha256, variant.path, variant.media_type)
        return picture

    def _holds(self, variants: tuple[Variant, ...]) -> bool:
        return all(self.store.size(variant.sha256) == variant.bytes for variant in variants)


def _picture(file_sha256: str, prepared: Prepared) -> Picture:
    variants = tuple(
        Variant(made.size, made.sha256, made.media_type, made.width, made.height, made.bytes)
        for made in prepared.variants
    )
    return Picture(file_sha256, prepared.format, prepared.frames, variants)


@contextmanager
def folder_to_work_in(directory: Path) -> Iterator[Path]:
    """Lend an empty folder that is gone afterwards."""
    with _told_of_full_disks():
        directory.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=_PREFIX, dir=directory)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def receive(upload: Upload, folder: Path) -> Received:
    """Put the file of an upload into a folder, under a name of ours; raises InsufficientStorage."""
    path = folder / "received"
    with _told_of_full_disks(), path.open("wb") as file:
        while chunk := upload.file.read(1 << 20):
            file.write(chunk)
    return Received(path, upload.sha256)


@contextmanager
def _told_of_full_disks() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InsufficientStorage from error
        raise ServiceUnavailable("images cannot be received at the moment", retry_after=60) from error


def leftovers(directory: Path) -> list[Path]:
    """Return the folders that killed processes have left."""
    oldest = time.time() - LEFTOVER_SECONDS
    found = []
    for folder in directory.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_mtime < oldest:
                found.append(folder)
    return found
