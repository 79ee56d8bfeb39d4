"""Write a made-up catalogue in the exact format of IMDb's title.basics and title.ratings files."""

import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from shelflist.movies import sample_shares as shares
from shelflist.movies.sample_shares import TITLE_TYPES, Flags, Indices, chance, pick
from shelflist.movies.sample_titles import draw_titles

BASICS_COLUMNS = (
    "tconst",
    "titleType",
    "primaryTitle",
    "originalTitle",
    "isAdult",
    "startYear",
    "endYear",
    "runtimeMinutes",
    "genres",
)
RATINGS_COLUMNS = ("tconst", "averageRating", "numVotes")
MAX_ROWS = 11_500_000

_NULL = r"\N"
# Small enough that a chunk's texts stay under 50 MB.
_CHUNK_ROWS = 25_000
# Steps of 3.5 on average bring 11,500,000 rows to tt40..., as in the real file.
_STEPS = 6
_GZIP_LEVEL = 1

_Texts = NDArray[np.object_]

_TYPE_NAMES = [title_type.name for title_type in TITLE_TYPES]
_MOVIE, _EPISODE = _TYPE_NAMES.index("movie"), _TYPE_NAMES.index("tvEpisode")
_IS_SHORT = np.array([name in ("short", "tvShort") for name in _TYPE_NAMES])
_IS_TELEVISION = np.array([name.startswith("tv") and name != "tvMovie" for name in _TYPE_NAMES])
_RATED = np.array([title_type.rated for title_type in TITLE_TYPES])
_ADULT = np.array([title_type.adult for title_type in TITLE_TYPES])
_NO_YEAR = np.array([title_type.no_year for title_type in TITLE_TYPES])
_NO_RUNTIME = np.array([title_type.no_runtime for title_type in TITLE_TYPES])
_ENDED = np.array([title_type.ended for title_type in TITLE_TYPES])


def _texts(values: Iterable[object]) -> _Texts:
    return np.array([str(value) for value in values], dtype=object)


def _genre_cell(numbers: tuple[int, ...]) -> str:
    return ",".join(sorted({shares.GENRES[number] for number in numbers if number})) or _NULL


# In the tables that begin with null, a value stands one place after its own number.
_TYPE_TEXTS = _texts(_TYPE_NAMES)
_FLAG_TEXTS = _texts((0, 1))
_YEAR_TEXTS = _texts((_NULL, *shares.YEARS))
_RUNTIME_TEXTS = _texts((_NULL, *shares.RUNTIMES))
_RATING_TEXTS = _texts(f"{tenths // 10}.{tenths % 10}" for tenths in shares.RATINGS)
_GENRE_TEXTS = _texts(_genre_cell(numbers) for numbers in product(range(len(shares.GENRES)), repeat=3))


def _draw_tconsts(state: RandomState, last: int, rows: int) -> tuple[_Texts, int]:
    """Draw the tconsts that follow number `last`, and tell the number of the last of them."""
    numbers = last + np.cumsum(1 + pick(state, np.full(rows, _STEPS)))
    return _texts(f"tt{number:07d}" for number in numbers.tolist()), int(numbers[-1])


def _draw_genres(state: RandomState, types: Indices, is_adult: Flags) -> Indices:
    """Draw up to three genre numbers a row, shape (3, rows); 0 is no genre, and a genre may come twice."""
    kinds = _IS_TELEVISION[types].astype(np.int64)
    counts = shares.GENRE_COUNT_WHEEL.draw(state, kinds)
    drawn = shares.GENRE_WHEEL.draw(state, np.tile(kinds, 3)).reshape(3, -1)
    genres = np.where(counts > np.arange(3)[:, None], drawn, 0)
    genres[0, is_adult] = shares.ADULT
    genres[2, _IS_SHORT[types]] = shares.SHORT
    return genres


def _draw_years(state: RandomState, types: Indices) -> tuple[Indices, Indices]:
    """Draw the places of the start and end years in the table of year texts."""
    has_start = ~chance(state, _NO_YEAR[types])
    starts = 1 + shares.YEAR_WHEEL.draw(state, np.zeros_like(types))
    has_end = chance(state, _ENDED[types]) & has_start
    ends = np.minimum(starts + pick(state, np.full(len(types), shares.LONGEST_RUN_YEARS)), len(shares.YEARS))
    return np.where(has_start, starts, 0), np.where(has_end, ends, 0)


def _draw_runtimes(state: RandomState, types: Indices) -> Indices:
    """Draw the places of the runtimes in the table of runtime texts."""
    runtimes = 1 + shares.RUNTIME_WHEEL.draw(state, types)
    return np.where(chance(state, _NO_RUNTIME[types]), 0, runtimes)


def _lines(*columns: list[str]) -> bytes:
    return "".join(["\t".join(fields) + "\n" for fields in zip(*columns, strict=True)]).encode()


def _draw_ratings(state: RandomState, tconsts: _Texts, types: Indices, is_action: Flags) -> bytes:
    """Draw the lines of the ratings file, for some of the rows."""
    is_action_movie = is_action & (types == _MOVIE)
    odds = np.where(is_action_movie, shares.ACTION_MOVIES_RATED, _RATED[types])
    rated = np.flatnonzero(chance(state, odds))
    kinds = np.where(_IS_TELEVISION[types], 0, 1) + is_action_movie
    tenths = shares.RATING_WHEEL.draw(state, kinds[rated])
    votes = _draw_votes(state, types[rated])
    return _lines(tconsts[rated].tolist(), _RATING_TEXTS[tenths].tolist(), [str(count) for count in votes.tolist()])


def _draw_votes(state: RandomState, types: Indices) -> Indices:
    edges = np.array(shares.VOTE_EDGES)
    bins = shares.VOTES_WHEEL.draw(state, (types != _EPISODE).astype(np.int64))
    return edges[bins] + pick(state, edges[bins + 1] - edges[bins])


def _draw_chunk(state: RandomState, last: int, rows: int) -> tuple[bytes, bytes, int]:
    """Draw the lines of both files for the rows that follow number `last`, and tell the new last number."""
    types = shares.TYPE_WHEEL.draw(state, np.zeros(rows, dtype=np.int64))
    tconsts, last = _draw_tconsts(state, last, rows)
    primary, original = draw_titles(state, types == _MOVIE, types == _EPISODE)
    is_adult = chance(state, _ADULT[types])
    starts, ends = _draw_years(state, types)
    runtimes = _draw_runtimes(state, types)
    genres = _draw_genres(state, types, is_adult)
    basics = _lines(
        tconsts.tolist(),
        _TYPE_TEXTS[types].tolist(),
        primary,
        original,
        _FLAG_TEXTS[is_adult.astype(np.int64)].tolist(),
        _YEAR_TEXTS[starts].tolist(),
        _YEAR_TEXTS[ends].tolist(),
        _RUNTIME_TEXTS[runtimes].tolist(),
        _GENRE_TEXTS[np.ravel_multi_index(tuple(genres), (len(shares.GENRES),) * 3)].tolist(),
    )
    return basics, _draw_ratings(state, tconsts, types, (genres == shares.ACTION).any(axis=0)), last


@contextmanager
def _replaced_at_end(*paths: Path) -> Iterator[list[gzip.GzipFile]]:
    """Open gzip files beside `paths`; only a block that ends well puts them in the places of `paths`."""
    for path in paths:
        # Of runs that were killed; one of them can hold hundreds of megabytes.
        for left_over in path.parent.glob(f".{path.name}.*.part"):
            left_over.unlink(missing_ok=True)
    temporaries = [path.with_name(f".{path.name}.{os.getpid()}.part") for path in paths]
    try:
        with ExitStack() as stack:
            raws = [stack.enter_context(temporary.open("wb")) for temporary in temporaries]
            # No file name and no time in the header: the same rows are the same bytes.
            yield [stack.enter_context(gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0)) for raw in raws]
        for temporary, path in zip(temporaries, paths, strict=True):
            temporary.replace(path)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def write_sample(
    directory: Path,
    rows: int = 50_000,
    seed: int = 1,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write title.basics.tsv.gz with `rows` invented titles, and title.ratings.tsv.gz for some of them.

    The format is that of https://developer.imdb.com/non-commercial-datasets/, the shares are those of the
    real files, and the same rows and seed give the same lines on every machine. `progress` is told the number
    of rows done since its last call. Files of these names in `directory`, which must exist, are replaced at
    the end; when anything fails before, they stay as they were. Raises ValueError for rows outside
    1 .. 11,500,000 and for a seed outside 0 .. 2**32 - 1.
    """
    if not 1 <= rows <= MAX_ROWS:
        raise ValueError(f"rows must be from 1 to {MAX_ROWS:,}, not {rows:,}")
    # Not the newer Generator: the stream of RandomState is frozen for good (NEP 19).
    state, last = RandomState(seed), 0
    with _replaced_at_end(directory / "title.basics.tsv.gz", directory / "title.ratings.tsv.gz") as (
        basics,
        ratings,
    ):
        basics.write(_lines(*([name] for name in BASICS_COLUMNS)))
        ratings.write(_lines(*([name] for name in RATINGS_COLUMNS)))
        for done in range(0, rows, _CHUNK_ROWS):
            size = min(_CHUNK_ROWS, rows - done)
            basics_lines, ratings_lines, last = _draw_chunk(state, last, size)
            basics.write(basics_lines)
            ratings.write(ratings_lines)
            if progress is not None:
                progress(size)
