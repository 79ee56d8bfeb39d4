"""Received files made into what is stored, by one child process for each process that asks."""

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from shelflist.images.problems import BrokenImage, ImageTooLarge, InsufficientStorage, UnsupportedImage
from shelflist.shared.child_process import ChildProcess, Refusals
from shelflist.shared.problems import Problem, ServiceUnavailable

from .limits import PictureLimits

__all__ = ["PREPARER", "PictureLimits", "Prepared", "PreparedVariant", "Preparer", "prepare", "rebuild"]

SECONDS = 60.0
"""What one picture may take, the start of the child and the wait for those before it included."""

Format = Literal["jpeg", "png", "webp", "gif"]
Size = Literal["original", "medium", "thumb"]

_COMMAND = (sys.executable, "-m", "shelflist.images.pictures.decoding")
_REFUSALS = Refusals(
    busy="too many images are being prepared",
    slow="the image took too long to prepare",
    gone="the image could not be prepared",
)
# The outcomes of decoding.py, which is not imported here: that would bring the decoders with it.
_PREPARED, _FULL = 0, 4
_PROBLEMS: dict[int, type[Problem]] = {1: UnsupportedImage, 2: ImageTooLarge, 3: BrokenImage}


@dataclass(frozen=True)
class PreparedVariant:
    """One size of a picture, in a file."""

    size: Size
    path: Path
    sha256: str
    media_type: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True)
class Prepared:
    """A picture as it is stored: upright, in sRGB, and nothing in it but pixels."""

    format: Format
    width: int
    height: int
    frames: int
    variants: tuple[PreparedVariant, ...]


class Preparer(ChildProcess):
    """Prepares one picture at a time."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        super().__init__(command, _REFUSALS)

    def prepare(self, file: Path, directory: Path, limits: PictureLimits, *, seconds: float = SECONDS) -> Prepared:
        """Return all sizes of the picture in `file`, written into `directory`; the same bytes give the same bytes.

        Raises UnsupportedImage, ImageTooLarge, BrokenImage, InsufficientStorage where the directory cannot hold them,
        and ServiceUnavailable where the child cannot do it in time.
        """
        made = self._made({"file": str(file), "directory": str(directory), "limits": asdict(limits)}, seconds)
        return Prepared(made["format"], made["width"], made["height"], made["frames"], _variants(made))

    def rebuild(self, original: Path, directory: Path, *, seconds: float = SECONDS) -> tuple[PreparedVariant, ...]:
        """Return medium and thumb of a stored original, equal to those that `prepare` made; raises as it does."""
        made = self._made({"file": str(original), "directory": str(directory), "limits": None}, seconds)
        return _variants(made)[1:]

    def _made(self, asked: dict[str, Any], seconds: float) -> dict[str, Any]:
        outcome, body = self.ask(orjson.dumps(asked), seconds=seconds)
        if outcome == _PREPARED:
            return cast(dict[str, Any], orjson.loads(body))
        if outcome in _PROBLEMS:
            raise _PROBLEMS[outcome](body.decode())
        if outcome == _FULL:
            raise InsufficientStorage
        raise ServiceUnavailable(_REFUSALS.gone, retry_after=60)


def _variants(made: dict[str, Any]) -> tuple[PreparedVariant, ...]:
    return tuple(PreparedVariant(**{**variant, "path": Path(variant["path"])}) for variant in made["variants"])


PREPARER = Preparer()
"""The one of this process."""


def prepare(file: Path, directory: Path, limits: PictureLimits) -> Prepared:
    """Return all sizes of a received file by the child of this process, as Preparer.prepare says."""
    return PREPARER.prepare(file, directory, limits)


def rebuild(original: Path, directory: Path) -> tuple[PreparedVariant, ...]:
    """Return medium and thumb of a stored original by the child of this process, as Preparer.rebuild says."""
    return PREPARER.rebuild(original, directory)
