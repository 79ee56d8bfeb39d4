"""The answer of a file of songs as CSV: its good rows as they came, with their genres behind them."""

import csv
import io
from collections.abc import Generator, Mapping, Sequence
from itertools import islice
from typing import Any

from .features import FEATURE_COLUMNS, NUMBER_COLUMNS
from .rows import SeekableSource, SongRow, guarded, song_rows

_BATCH = 500
_TEXTS = len(FEATURE_COLUMNS) - len(NUMBER_COLUMNS)


def as_csv(source: SeekableSource, predictions: Sequence[Mapping[str, Any]]) -> Generator[bytes]:
    """Yield the file again, read anew from its start; `predictions` are those of its good rows, in their order."""
    source.seek(0)
    good = (row for row in song_rows(source) if isinstance(row, SongRow))
    lines = (_line(row, prediction) for row, prediction in zip(good, predictions, strict=True))
    yield _written([(*FEATURE_COLUMNS, "genre", "probability")])
    while batch := list(islice(lines, _BATCH)):
        yield _written(batch)


def _line(row: SongRow, prediction: Mapping[str, Any]) -> Sequence[Any]:
    texts = [guarded(text) for text in (row.song.trackid, row.song.title, row.song.tags)]
    numbers = [cell.strip() for cell in row.cells[_TEXTS:]]
    return *texts, *numbers, guarded(prediction["genre"]), prediction["probability"]


def _written(lines: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
