"""Shelves: movies in the order of a sort, all of them or those of a genre, and what may be asked of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from shelflist.shared.paging import Keyset, Sort

from .searching import title_contains
from .tables import movie_genres, movies

Condition = sa.ColumnElement[bool]

SORT_TYPES: dict[str, tuple[str, type]] = {
    "title": ("title_key", str),
    "year": ("year", int),
    "rating": ("rating", Decimal),
    "votes": ("votes", int),
    "runtime": ("runtime", int),
}
"""The sorts of GET /movies: the column that carries each, in movies and in movie_genres, and its type."""


@dataclass(frozen=True)
class MovieFilters:
    """The filters of GET /movies as the caller gave them; None where not given."""

    given: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.given.get(name)


def decimal(value: Any) -> Any:
    """Return a filter's value as it is compared."""
    # The shortest text of the float is what the caller typed; a float would make PostgreSQL leave the index.
    return Decimal(str(value)) if isinstance(value, int | float) else value


# Each takes the table that carries the sort columns: movies, or movie_genres where a genre leads, or a part of them;
# and the value, which may be a parameter.
FILTERS: dict[str, Callable[[sa.FromClause, Any], Condition]] = {
    "rating_gt": lambda table, value: table.c.rating > decimal(value),
    "rating_gte": lambda table, value: table.c.rating >= decimal(value),
    "rating_lt": lambda table, value: table.c.rating < decimal(value),
    "rating_lte": lambda table, value: table.c.rating <= decimal(value),
    "year_gte": lambda table, value: table.c.year >= value,
    "year_lte": lambda table, value: table.c.year <= value,
    "runtime_gte": lambda table, value: table.c.runtime >= value,
    "runtime_lte": lambda table, value: table.c.runtime <= value,
    "votes_gte": lambda table, value: table.c.votes >= value,
    "q": title_contains,
    "source": lambda table, value: table.c.get("source", movies.c.source) == sa.literal(value, literal_execute=True),
}
"""Filter name -> condition; `genre` and `genre_any` choose the table and stand in queries.list_movies."""


@dataclass(frozen=True)
class Genre:
    """A genre as movie_genres and as movies names it."""

    id: int
    name: str


@dataclass(frozen=True)
class Shelf:
    """Movies in the order of a sort: all of them, or those of one genre; and what to look for along it."""

    filters: MovieFilters
    wanted: Sequence[Genre]
    choice: Sequence[Genre]
    sort: str
    desc: bool

    @property
    def _table(self) -> sa.Table:
        """The table that carries the shelf: its indexes hold each genre in every order."""
        return movie_genres if self.wanted else movies

    @property
    def _given(self) -> Sequence[str]:
        return [name for name, value in self.filters.given.items() if name in FILTERS and value is not None]

    @property
    def _bounds(self) -> Sequence[str]:
        """The filters that say where on the shelf to look."""
        return [name for name in self._given if column_of(name) == self.sort]

    @property
    def _others(self) -> Sequence[str]:
        bounds = self._bounds
        return [name for name in self._given if name not in bounds]

    def _keyset(self, table: sa.FromClause) -> Keyset:
        column, key_type = SORT_TYPES[self.sort]
        order = Sort(table.c[column], key_type, is_nullable=column != "title_key")
        return Keyset(order, table.c.movie_id if table is movie_genres else table.c.id, self.desc)

    @property
    def _of_genre(self) -> Sequence[Condition]:
        return [movie_genres.c.genre_id == self.wanted[0].id] if self.wanted else []

    def _conditions(self, table: sa.FromClause, names: Iterable[str]) -> Sequence[Condition]:
        return [FILTERS[name](table, self.filters[name]) for name in names]


def column_of(name: str) -> str:
    """Return the column that a filter is on: rating of rating_gte."""
    return "title_key" if name == "q" else name.rpartition("_")[0] or name
