"""The join of IMDb's two files: ratings in arrays sorted by title, movies that stream past them, none twice."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from shelflist.ingest.columns import LINE
from shelflist.ingest.rejections import ROWS_PER_DEFECT, Rejections

DUPLICATE = "duplicate"
"""The defect of a row whose tconst an earlier row has."""

_TENTHS = pl.Decimal(4, 1)


class Ratings:
    """All ratings, 14 bytes each, to be looked up by key."""

    def __init__(self, frames: Iterable[pl.DataFrame], rejections: Rejections) -> None:
        """Take frames of line, key, tconst, rating and votes; of repeated titles the first row counts."""
        parts = [frame.select(pl.col(LINE).cast(pl.UInt32), "key", "rating", "votes") for frame in frames]
        rows = pl.concat(parts).sort("key", LINE) if parts else _NONE
        is_repeated = rows["key"].shift(1) == rows["key"]
        if is_repeated.any():
            _reject(rows.filter(is_repeated).sort(LINE), rejections)
            rows = rows.filter(~is_repeated.fill_null(False))
        self._keys = rows["key"].to_numpy()
        self._rating = rows["rating"]
        self._votes = rows["votes"]

    def joined(self, movies: pl.DataFrame) -> pl.DataFrame:
        """Return `movies` with the columns rating and votes, null for movies without a rating."""
        keys = movies["key"].to_numpy()
        if not len(self._keys):
            return movies.with_columns(
                pl.lit(None, pl.Decimal(3, 1)).alias("rating"), pl.lit(None, pl.Int32).alias("votes")
            )
        places = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        found = pl.Series(np.where(self._keys[places] == keys, places, -1)).cast(pl.Int64)
        indices = found.set(found < 0, None)
        rating = (self._rating.gather(indices).cast(_TENTHS) / 10).cast(pl.Decimal(3, 1))
        return movies.with_columns(rating.alias("rating"), self._votes.gather(indices).alias("votes"))


class Unrepeated:
    """Lets each movie pass once: of repeated titles the first row counts."""

    def __init__(self, rejections: Rejections) -> None:
        self._rejections = rejections
        self._runs: list[np.ndarray] = []

    def of(self, movies: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of `movies` whose key has not come before; the others are rejected."""
        if movies.is_empty():
            return movies
        keys = movies["key"].to_numpy()
        is_new = movies["key"].is_first_distinct()
        run = np.sort(keys)
        for earlier in self._runs:
            # The files are sorted: hardly any two parts of one overlap.
            if earlier[0] <= run[-1] and run[0] <= earlier[-1]:
                is_new &= ~pl.Series(np.isin(keys, earlier))
        self._runs.append(run)
        if is_new.all():
            return movies
        _reject(movies.filter(~is_new), self._rejections)
        return movies.filter(is_new)


def _reject(rows: pl.DataFrame, rejections: Rejections) -> None:
    first = rows.head(ROWS_PER_DEFECT)
    tconsts = [f"tt{str(key // 16).zfill(10)[: key % 16]}" for key in first["key"]]
    rejections.add(list(zip(first[LINE].to_list(), tconsts, strict=True)), "tconst", DUPLICATE, rows.height)


_NONE = pl.DataFrame(schema={LINE: pl.UInt32, "key": pl.Int64, "rating": pl.Int16, "votes": pl.Int32})
