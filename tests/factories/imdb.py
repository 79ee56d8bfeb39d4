"""IMDb's files for tests: lines with what a test does not care about filled in, written as IMDb writes them."""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

BASICS_COLUMNS = (
    *("tconst", "titleType", "primaryTitle", "originalTitle", "isAdult"),
    *("startYear", "endYear", "runtimeMinutes", "genres"),
)
RATINGS_COLUMNS = ("tconst", "averageRating", "numVotes")

Line = str | bytes


def movie(
    number: int | str,
    title: str = "A movie",
    *,
    original: str = r"\N",
    year: str = "2000",
    runtime: str = "90",
    genres: str = "Drama",
    title_type: str = "movie",
) -> str:
    """Return a line of title.basics; `number` is the tconst's, or the whole tconst as a text."""
    return "\t".join((tconst(number), title_type, title, original, "0", year, r"\N", runtime, genres))


def rating(number: int | str, average: str = "7.5", votes: str = "10") -> str:
    """Return a line of title.ratings."""
    return "\t".join((tconst(number), average, votes))


def tconst(number: int | str) -> str:
    """Return the tconst of a number; a text is one already."""
    return number if isinstance(number, str) else f"tt{number:07d}"


def text_of(columns: Sequence[str], lines: Iterable[Line], newline: bytes = b"\n") -> bytes:
    """Return a whole file."""
    rows = [line if isinstance(line, bytes) else line.encode() for line in ("\t".join(columns), *lines)]
    return b"".join(row + newline for row in rows)


def write_imdb(directory: Path, basics: Iterable[Line], ratings: Iterable[Line] = ()) -> Path:
    """Write both files into `directory`, which is made, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, columns, lines in (("basics", BASICS_COLUMNS, basics), ("ratings", RATINGS_COLUMNS, ratings)):
        (directory / f"title.{name}.tsv.gz").write_bytes(gzip.compress(text_of(columns, lines), mtime=0))
    return directory
