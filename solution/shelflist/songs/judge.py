"""Genres of songs from the model that judges, told by one child process for each process that asks."""

import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from shelflist.shared.child_process import ChildProcess, Refusals
from shelflist.shared.problems import ServiceUnavailable

from .features import Song

SECONDS = 60.0
"""What one request may take, the start of the child and the wait for those before it included."""

# The outcomes of judging.py, which is not imported here: that would bring numpy, 12 MB in the server processes.
_JUDGED, _UNKNOWN = 0, 1

_KEPT_SECONDS = 7 * 86_400
"""How long the file of a model that nobody writes any more is kept; where it is wanted later, it is written again."""

_COMMAND = (sys.executable, "-m", "shelflist.songs.judging")
_REFUSALS = Refusals(
    busy="too many songs are being judged",
    slow="the songs took too long to judge",
    gone="the songs could not be judged",
)


@dataclass(frozen=True)
class Judgement:
    """What a model takes songs for: the probabilities, songs x genres, each row adding up to 1."""

    genres: tuple[str, ...]
    probabilities: Sequence[Sequence[float]]

    def best(self) -> list[tuple[str, float]]:
        """Return the most probable genre of each song, with its probability."""
        return [(self.genres[row.index(max(row))], max(row)) for row in self.probabilities]


@dataclass(frozen=True)
class ModelFile:
    """A registered model as the child reads it: a file, which `fetch` gives the content of where it is missing."""

    sha256: str
    path: Path
    fetch: Callable[[], bytes]

    @classmethod
    def of(cls, model: sa.Row[Any], state_directory: Path, fetch: Callable[[], bytes]) -> "ModelFile":
        """Return the file of a registered model."""
        return cls(model.sha256, state_directory / "models" / f"{model.version}.zip", fetch)

    def write(self) -> None:
        """Write it, and remove those that are long out of use; raises ServiceUnavailable where that cannot be done."""
        data = self.fetch()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Under a name of its own first: other processes read it, or write it, at the same time.
            with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
                Path(folder, self.path.name).write_bytes(data)
                Path(folder, self.path.name).replace(self.path)
            # Not at once: while models take turns, others may be about to read the one before.
            for other in self.path.parent.glob("*.zip"):
                if time.time() - other.stat().st_mtime > _KEPT_SECONDS:
                    other.unlink(missing_ok=True)
        except OSError as error:
            raise ServiceUnavailable("the model cannot be stored at the moment", retry_after=60) from error


class Judge(ChildProcess):
    """Judges songs, some thousands at once."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        super().__init__(command, _REFUSALS)

    def judge(self, file: ModelFile, songs: Sequence[Song], *, seconds: float = SECONDS) -> Judgement:
        """Return what the model takes the songs for; raises ServiceUnavailable where the child cannot tell in time."""
        head = {
            "sha256": file.sha256,
            "path": str(file.path),
            "titles": [song.title for song in songs],
            "tags": [song.tags for song in songs],
        }
        numbers = (array("d", song.audio).tobytes() for song in songs)
        request = b"".join([orjson.dumps(head), b"\n", *numbers])
        outcome, answer = self.ask(request, seconds=seconds)
        if outcome == _UNKNOWN:
            file.write()
            outcome, answer = self.ask(request, seconds=seconds)
        if outcome != _JUDGED:
            raise ServiceUnavailable(_REFUSALS.gone, retry_after=60)
        return _judgement(answer, len(songs))


def _judgement(answer: bytes, count: int) -> Judgement:
    head, _, raw = answer.partition(b"\n")
    genres = tuple(orjson.loads(head)["genres"])
    numbers = array("d", raw)
    if len(numbers) != count * len(genres) or not all(map(isfinite, numbers)):
        raise ServiceUnavailable(_REFUSALS.gone, retry_after=60)
    # The last digit of a sum may be one too many.
    chances = [min(max(number, 0.0), 1.0) for number in numbers]
    width = len(genres)
    return Judgement(genres, [chances[start : start + width] for start in range(0, len(chances), width)])


JUDGE = Judge()
"""The one of this process."""
