"""The process that judges songs, `python -m shelflist.songs.judging`: LightGBM and a model take 200 MB.

Each request is one line of JSON, `{"sha256", "path", "titles", "tags"}`, and behind it the numbers of the songs, in
double precision. `sha256` names the model; where it is not in memory it is read from `path`. The outcome of an answer
is JUDGED with one line of JSON, `{"genres"}`, and the probabilities, songs x genres in double precision; UNKNOWN where
`path` does not hold that model; or BROKEN where it cannot judge. answering.py says how both come and go.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson

from shelflist.shared.answering import serve

from .classifier import Classifier
from .features import NUMBER_COLUMNS, Song
from .model_files import ModelError, from_bytes

IDLE_SECONDS = 60
"""Seconds without a request after which the process ends and gives its memory back."""
MOST_REQUESTS = 10_000
"""Requests after which it ends: what any library has leaked by then goes with it."""

JUDGED = 0
UNKNOWN = 1
BROKEN = 2


class _Judging:
    """The one model in memory."""

    def __init__(self) -> None:
        self._sha256 = ""
        self._classifier: Classifier | None = None

    def answer(self, request: bytes) -> tuple[int, bytes]:
        end = request.index(b"\n")
        asked = orjson.loads(request[:end])
        try:
            classifier = self._of(asked["sha256"], Path(asked["path"]))
            if classifier is None:
                return UNKNOWN, b""
            probabilities = classifier.predict(_songs(asked, np.frombuffer(request, dtype=np.float64, offset=end + 1)))
        except ModelError as error:
            sys.stderr.write(f"the model cannot be used: {error}\n")
            return BROKEN, b""
        head = orjson.dumps({"genres": classifier.genres})
        return JUDGED, head + b"\n" + np.ascontiguousarray(probabilities, dtype=np.float64).tobytes()

    def _of(self, sha256: str, path: Path) -> Classifier | None:
        if self._classifier is None or self._sha256 != sha256:
            # The one before goes first: two take twice the memory.
            self._classifier = None
            try:
                data = path.read_bytes()
            except OSError:
                return None
            if hashlib.sha256(data).hexdigest() != sha256:
                return None
            self._classifier, self._sha256 = Classifier(from_bytes(data)), sha256
        return self._classifier


def _songs(asked: dict[str, Any], numbers: "np.ndarray") -> list[Song]:
    rows = cast(Any, numbers.reshape(-1, len(NUMBER_COLUMNS)))
    return [
        Song("", title, tags, audio) for title, tags, audio in zip(asked["titles"], asked["tags"], rows, strict=True)
    ]


if __name__ == "__main__":
    serve(_Judging().answer, idle_seconds=IDLE_SECONDS, most=MOST_REQUESTS)
