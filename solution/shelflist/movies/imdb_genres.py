"""Genres of IMDb's files: what a list of them may hold, and the catalogue's own name and number of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import sqlalchemy as sa

from shelflist.ingest.errors import LoadRefused
from shelflist.shared.folding import fold

from .tables import genres

GENRE_SEPARATOR = ","
GENRES = 30
GENRE_CHARACTERS = 50

MAX_GENRES = 1_000
"""Different genres that a file may bring: more are a shifted column, not genres (IMDb has 28)."""

_LISTS: dict[str, pl.DataType] = {"genres": pl.String(), "names": pl.List(pl.String), "genre_ids": pl.List(pl.Int32)}
_RESERVE = sa.text("SELECT nextval(pg_get_serial_sequence('genres', 'id'))")
_STORE = sa.text("""
INSERT INTO genres (id, name, name_key) OVERRIDING SYSTEM VALUE
SELECT id, name, name_key
FROM unnest(CAST(:ids AS integer[]), CAST(:names AS text[]), CAST(:keys AS text[])) AS new (id, name, name_key)
ORDER BY name_key
ON CONFLICT (name_key) DO NOTHING
""")


def genre_defect(names: Sequence[str]) -> str | None:
    """Return what is wrong with a list of genres, as a kebab-case code."""
    if len(names) > GENRES:
        return "too-many-genres"
    if any(len(name) > GENRE_CHARACTERS for name in names):
        return "genre-too-long"
    # A name of accents alone folds to nothing, and could not be asked for.
    return None if all(map(fold, names)) else "empty-genre"


@dataclass(frozen=True)
class Genre:
    """A genre as the catalogue spells it; its id is reserved where it is not in the catalogue yet."""

    id: int
    name: str
    name_key: str


class GenreLists:
    """The lists of genres that a load has met, in the catalogue's own spelling, none twice in a list."""

    def __init__(self, connection: sa.Connection) -> None:
        """Read the catalogue's genres; `connection` draws the numbers of new ones."""
        self._connection = connection
        rows = connection.execute(sa.select(genres.c.id, genres.c.name, genres.c.name_key)).all()
        connection.commit()
        self._genres = {row.name_key: Genre(row.id, row.name, row.name_key) for row in rows}
        self._new: dict[str, Genre] = {}
        self._lists = pl.DataFrame(schema=_LISTS)

    def of(self, texts: pl.Series) -> pl.DataFrame:
        """Return genres, names and genre_ids of all lists met, those in `texts` included, as the files write them.

        Names and ids are in the file's order. Raises LoadRefused on too many new genres.
        """
        new = texts.drop_nulls().unique(maintain_order=True)
        new = new.filter(~new.is_in(self._lists["genres"].implode()))
        if not new.is_empty():
            found = [self._list(text) for text in new]
            rows = {
                "genres": new,
                "names": [[genre.name for genre in genres] for genres in found],
                "genre_ids": [[genre.id for genre in genres] for genres in found],
            }
            self._lists = pl.concat([self._lists, pl.DataFrame(rows, schema=_LISTS)])
        return self._lists

    def _list(self, text: str) -> list[Genre]:
        names = {fold(name): name for name in reversed(text.split(GENRE_SEPARATOR))}
        return [self._genre(key, name) for key, name in reversed(names.items())]

    def _genre(self, key: str, name: str) -> Genre:
        if key not in self._genres:
            if len(self._new) == MAX_GENRES:
                raise LoadRefused(f"title.basics names more than {MAX_GENRES:,} genres: a column must have shifted")
            number = self._connection.execute(_RESERVE).scalar_one()
            self._connection.commit()
            self._genres[key] = self._new[key] = Genre(number, name, key)
        return self._genres[key]

    @property
    def has_new(self) -> bool:
        """Tell whether any genre is not stored yet."""
        return bool(self._new)

    def numbers(self) -> dict[str, int]:
        """Return the id of each genre by its name, those included that are not stored yet."""
        return {genre.name: genre.id for genre in self._genres.values()}

    def store(self, connection: sa.Connection) -> list[tuple[Genre, Genre]]:
        """Store the new genres; return those that somebody else has stored meanwhile, each with what is stored.

        The caller commits.
        """
        new = self._new.values()
        if not new:
            return []
        columns = {"ids": [genre.id for genre in new], "names": [genre.name for genre in new], "keys": list(self._new)}
        # In the order of the keys: two transactions that add the same genres wait for each other, not in a circle.
        connection.execute(_STORE, columns)
        stored = connection.execute(sa.select(genres).where(genres.c.name_key.in_(self._new)))
        pairs = [(self._new[row.name_key], Genre(row.id, row.name, row.name_key)) for row in stored]
        return [(ours, theirs) for ours, theirs in pairs if ours != theirs]
