"""Generated songs as tests need them: in memory, and in files of any shape."""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shelflist.songs.features import FEATURE_COLUMNS
from shelflist.songs.sample import GENRES, generate, genre_of

__all__ = ["GENRES", "HEADER", "csv_text", "labels", "songs", "write_csv"]

HEADER = FEATURE_COLUMNS


def songs(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return songs with the 157 columns, genres in turn, a few songs an artist; the same for the same seed."""
    return list(generate(count, seed))


def labels(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return trackID and genre of generated songs."""
    return [{"trackID": row["trackID"], "genre": genre_of(dict(row))} for row in rows]


def write_csv(
    path: Path, rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] | None = None, separator: str = ","
) -> Path:
    """Write the rows and return the path; a path that ends in .gz is packed. Missing cells are empty."""
    text = csv_text(rows, columns=columns, separator=separator).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path


def csv_text(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] | None = None, separator: str = ",") -> str:
    file = io.StringIO()
    names = columns or list(rows[0])
    writer = csv.DictWriter(file, names, restval="", extrasaction="ignore", delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
