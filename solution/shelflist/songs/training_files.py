"""The files that a model is trained on: songs with their 157 columns, and genres by trackID; read strictly."""

import gzip
import io
import math
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shelflist.shared.csvfile import BadRecord, Record, read_records
from shelflist.shared.notices import Notice
from shelflist.shared.problems import InvalidFile
from shelflist.shared.textfile import Source

from .features import FEATURE_COLUMNS, NUMBER_COLUMNS, Song
from .rows import unguarded

LABEL_COLUMNS = ("trackID", "genre")
_GZIP = b"\x1f\x8b"


class TrainingError(Notice):
    """Files that no model can be trained on; the text says which line of which, where it is one."""


@dataclass(frozen=True)
class LabelledSongs:
    """Songs in the order of their file, and the genre of each."""

    songs: Sequence[Song]
    genres: Sequence[str]


def read_labelled(features: Path, labels: Path, corrections: Path | None = None) -> LabelledSongs:
    """Return the songs with their genres, those of `corrections` before those of `labels`; all may be gzipped.

    Raises TrainingError for a missing column, a number that is none, an id that stands twice or has no song, and a
    song without a genre.
    """
    songs = {song.trackid: song for song in read_songs(features)}
    genres = read_labels(labels, songs)
    if corrections is not None:
        genres |= read_labels(corrections, songs)
    missing = [trackid for trackid in songs if trackid not in genres]
    if missing:
        raise TrainingError(f"{labels.name}: {len(missing)} songs have no genre, first trackID {missing[0]}")
    return LabelledSongs(tuple(songs.values()), tuple(genres[trackid] for trackid in songs))


def read_songs(path: Path) -> list[Song]:
    """Return the songs of a file with the 157 columns; raises TrainingError."""
    songs: list[Song] = []
    seen: dict[str, int] = {}
    for line, cells in _cells(path, FEATURE_COLUMNS):
        # As uploads are read: the answer of one is a file to train on.
        trackid, title, tags = map(unguarded, cells[:3])
        numbers = cells[3:]
        _check_new(path, line, trackid, seen)
        audio = array("d", [_number(path, line, *pair) for pair in zip(NUMBER_COLUMNS, numbers, strict=True)])
        songs.append(Song(trackid, title, tags, audio))
    return songs


def read_labels(path: Path, known: "dict[str, Song] | None" = None) -> dict[str, str]:
    """Return genre by trackID; raises TrainingError, also for an id that is not in `known`."""
    genres: dict[str, str] = {}
    seen: dict[str, int] = {}
    for line, cells in _cells(path, LABEL_COLUMNS):
        trackid, genre = map(unguarded, cells)
        _check_new(path, line, trackid, seen)
        if not genre:
            raise TrainingError(f"{path.name}, line {line}: the genre is empty")
        if known is not None and trackid not in known:
            raise TrainingError(f"{path.name}, line {line}: no song has the trackID {trackid}")
        genres[trackid] = genre
    return genres


def read_shares(path: Path) -> dict[str, float]:
    """Return the share of each genre among the labels of a file; raises TrainingError."""
    counts = Counter(read_labels(path).values())
    if not counts:
        raise TrainingError(f"{path.name} holds no labels")
    return {genre: count / counts.total() for genre, count in sorted(counts.items())}


def _check_new(path: Path, line: int, trackid: str, seen: dict[str, int]) -> None:
    if not trackid:
        raise TrainingError(f"{path.name}, line {line}: the trackID is empty")
    if trackid in seen:
        raise TrainingError(f"{path.name}, line {line}: the trackID {trackid} stands in line {seen[trackid]} already")
    seen[trackid] = line


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        # Python's own 1_0 is a slip of the file.
        number = math.nan if "_" in cell else float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise TrainingError(f"{path.name}, line {line}: {column} is no number")
    return number


def _cells(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    try:
        with _opened(path) as source:
            for record in read_records(source, columns):
                yield record.line, _checked(path, record)
    except InvalidFile as error:
        raise TrainingError(f"{path.name}: {error}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(f"{path.name} cannot be read") from error


def _checked(path: Path, record: Record | BadRecord) -> tuple[str, ...]:
    if isinstance(record, BadRecord):
        raise TrainingError(f"{path.name}, line {record.line}: {record.detail}")
    return tuple(cell.strip() for cell in record.cells)


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    with path.open("rb") as file:
        if file.peek(2)[:2] == _GZIP:
            with io.BufferedReader(gzip.GzipFile(fileobj=file)) as unpacked:
                yield unpacked
        else:
            yield file
