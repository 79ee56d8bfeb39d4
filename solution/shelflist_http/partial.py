"""A file that comes in parts: its bytes, and beside them in JSON what was announced, so that a later run can go on."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from .calls import public_url
from .representation import Representation


class PartialFile:
    """What is on disk of the file that `url` serves, and will be `target` once it is complete.

    The announcement is on disk before the first byte of the body, and `target` only ever gets its name when all of
    its bytes are: whatever stops the process or the machine, no half file is taken for a whole one.
    """

    def __init__(self, url: str, target: Path) -> None:
        self._target = target
        self._part, self._sidecar, self._draft = _beside(target)
        self.representation = _read(self._sidecar, url)
        if self.representation is None:
            self.discard()
            return
        total = self.representation.total
        if self._target.exists():
            self._part.unlink(missing_ok=True)
            if self._target.stat().st_size != total:
                self.discard()
        elif self.size == total:
            # Stopped between the last byte and the name.
            self._sync()
            self.finish()
        elif self.representation.if_range is None or (total is not None and self.size > total):
            self.discard()

    @property
    def size(self) -> int:
        """The bytes that are here of a file that is not complete."""
        return self._part.stat().st_size if self._part.exists() else 0

    @property
    def is_complete(self) -> bool:
        """Whether `target` is there, and whole."""
        return self.representation is not None and self._target.exists()

    def discard_unless_useful(self) -> None:
        """Discard a part that nothing may be added to in a later run."""
        if not self.is_complete and (self.representation is None or self.representation.if_range is None):
            self.discard()

    def expect(self, total: int | None) -> None:
        """Note the length where an answer gives it that the first one did not give."""
        if self.representation is not None and self.representation.total is None:
            self._announce(replace(self.representation, total=total))

    def begin(self, representation: Representation) -> None:
        """Forget what is here and await the body of `representation`."""
        self.discard()
        self._announce(representation)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Yield the file to write what comes next to."""
        with self._part.open("ab") as file:
            yield file

    def finish(self) -> Representation:
        """Give the file its name; its length is what it was announced as, or else what it turned out to be."""
        assert self.representation is not None
        self._sync()
        if self.representation.total is None:
            self._announce(replace(self.representation, total=self.size))
        self._part.replace(self._target)
        _sync_directory(self._target.parent)
        return self.representation

    def discard(self) -> None:
        """Leave nothing, and give its space back."""
        for path in (self._target, self._part, self._draft, self._sidecar):
            path.unlink(missing_ok=True)
        self.representation = None

    def _announce(self, representation: Representation) -> None:
        with self._draft.open("w", encoding="ascii") as file:
            json.dump(vars(representation), file)
            file.flush()
            os.fsync(file.fileno())
        self._draft.replace(self._sidecar)
        _sync_directory(self._sidecar.parent)
        self.representation = representation

    def _sync(self) -> None:
        with self._part.open("ab") as file:
            os.fsync(file.fileno())


def clear_strangers(directory: Path, downloads: Mapping[Path, str]) -> None:
    """Remove from `directory` whatever is no file, whole or in parts, of those downloads: targets and their URLs."""
    own = {path for target in downloads for path in (target, *_beside(target))}
    _remove(path for path in directory.iterdir() if path not in own)
    for target, url in downloads.items():
        PartialFile(url, target)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _beside(target: Path) -> tuple[Path, Path, Path]:
    part, sidecar, draft = (target.with_name(f"{target.name}.{end}") for end in ("part", "json", "json.part"))
    return part, sidecar, draft


def _read(sidecar: Path, url: str) -> Representation | None:
    try:
        found = Representation.written(json.loads(sidecar.read_bytes()))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return found if found and found.url == public_url(url) else None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        # Some network file systems do that for files alone.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
