"""Files as they are a day later: a share of the movies has other votes, is new, or is gone.

    .venv/bin/python benchmarks/load_day.py DIR OUTPUT [--share 0.01]

Of the movies that change, one in twenty is gone and one in twenty is new (a copy of a gone one under the next tconst);
the others, rated ones, have more votes. Everything else stays, line for line; the same files give the same day.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isal import igzip
from load_runs import FILES

MOVIE = b"\tmovie\t"
BASICS, RATINGS = FILES


@dataclass(frozen=True)
class Day:
    """The tconsts of the movies that get more votes, and of those that are gone."""

    voted: set[bytes]
    gone: set[bytes]


def choose(files: Path, share: float) -> Day:
    movies = [_tconst(line) for line in _lines(files / BASICS) if MOVIE in line]
    are_movies = set(movies)
    rated = [tconst for line in _lines(files / RATINGS) if (tconst := _tconst(line)) in are_movies]
    count = round(len(movies) * share)
    chance = random.Random(1)
    gone = set(chance.sample(movies, count // 20))
    candidates = [tconst for tconst in rated if tconst not in gone]
    return Day(set(chance.sample(candidates, min(len(candidates), count - 2 * len(gone)))), gone)


def write_day(files: Path, output: Path, day: Day) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with igzip.open(output / BASICS, "wb", compresslevel=2) as file:
        kept, last = [], b""
        for line in _lines(files / BASICS):
            last = line
            if _tconst(line) in day.gone:
                kept.append(line)
            else:
                file.write(line)
        number = int(_tconst(last).removeprefix(b"tt"))
        for place, line in enumerate(kept, 1):
            file.write(b"tt%07d\t%b" % (number + place, line.partition(b"\t")[2]))
    with igzip.open(output / RATINGS, "wb", compresslevel=2) as file:
        for line in _lines(files / RATINGS):
            tconst = _tconst(line)
            if tconst in day.voted:
                head, _, votes = line.rpartition(b"\t")
                file.write(b"%b\t%d\n" % (head, int(votes) + 1 + int(votes) // 100))
            elif tconst not in day.gone:
                file.write(line)


def _lines(path: Path) -> Iterator[bytes]:
    with igzip.open(path, "rb") as file:
        yield from file


def _tconst(line: bytes) -> bytes:
    return line.partition(b"\t")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--share", type=float, default=0.01)
    arguments = parser.parse_args()
    day = choose(arguments.files, arguments.share)
    write_day(arguments.files, arguments.output, day)
    print(f"{len(day.voted):,} movies with more votes, {len(day.gone):,} gone, {len(day.gone):,} new")


if __name__ == "__main__":
    main()
