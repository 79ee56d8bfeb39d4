"""Every SELECT of movies and genres; dataset_queries.py has those of datasets, changes.py what loads changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from shelflist.shared.folding import fold
from shelflist.shared.paging import Keyset, Page, Position, Sort, page_of, place_of
from shelflist.shared.prepared import Listing, fetch_prepared, fetch_prepared_page
from shelflist.shared.problems import NotFound

from .dataset_queries import VERSION
from .patterns import Shape, search_of
from .searching import NO_TRAITS, traits_of
from .shelves import FILTERS, SORT_TYPES, Genre, MovieFilters, Shelf, decimal
from .tables import SHOWN, genres, movie_genres, movies

__all__ = [
    "FILTERS",
    "GENRE_SORTS",
    "SORT_TYPES",
    "MovieFilters",
    "get_movie",
    "list_genres",
    "list_movies",
    "position_of",
]

LONGEST_PREPARED_PAGE = 100

GENRE_SORTS = {"name": Sort(genres.c.name_key, str, is_nullable=False)}


def list_movies(
    connection: sa.Connection,
    filters: MovieFilters,
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of movies behind `after`: every genre of `genre`, one at least of `genre_any`.

    Each row is of the version in its column `dataset_version`, as those of the other functions here are.
    """
    named = _find_genres(connection, filters["genre"] or [])
    named_any = _find_genres(connection, filters["genre_any"] or [])
    wanted, choice = _known(named), _known(named_any)
    if len(wanted) < len(named) or (named_any and not choice):
        return Page([], None)
    if not wanted and len(choice) == 1:
        wanted, choice = choice, []
    shelf = ListedShelf(filters, wanted, choice, sort, desc)
    return shelf.read(connection, after, page_size)


@dataclass(frozen=True)
class ListedShelf(Shelf):
    """A shelf that is read page by page, each in one of several ways; see docs/explanation/paging.md."""

    def read(self, connection: sa.Connection, after: Position | None, page_size: int) -> Page:
        """Return the page behind `after`."""
        walk = self._walk if self._is_all_that_matches else self._find
        return walk(connection, after, page_size)

    def _find(self, connection: sa.Connection, after: Position | None, page_size: int) -> Page:
        """Return the page of what matches on the shelf: what is near, or else the first of all that is gathered."""
        given = {name: decimal(self.filters[name]) for name in self._given}
        traits = traits_of(given["q"]) if "q" in given else NO_TRAITS
        values = {
            **given,
            **traits.values,
            "genre_id": self.wanted[0].id if self.wanted else None,
            "first_genre": [genre.name for genre in self.wanted[:1]],
            "other_genres": [genre.name for genre in self.wanted[1:]],
            "genre": [genre.name for genre in self.wanted],
            "genre_any": [genre.name for genre in self.choice],
            "choice_ids": [genre.id for genre in self.choice],
            "after_key": after and after.key,
            "after_id": after and after.id,
            "most": page_size + 1,
        }
        shape = Shape(
            tuple(given),
            given.get("source"),
            min(len(self.wanted), 2),
            bool(self.choice),
            self.sort,
            self.desc,
            place_of(after),
            traits.names,
        )
        return page_of(search_of(shape).find(connection, values), page_size)

    def _walk(self, connection: sa.Connection, after: Position | None, page_size: int) -> Page:
        """Return the page of all that stands within the bounds of the sort."""
        keyset = self._keyset(self._table)
        is_usual = not self._bounds and page_size <= LONGEST_PREPARED_PAGE
        page = fetch_prepared_page(connection, keyset, self._prepared(keyset), after, page_size) if is_usual else None
        if page is not None:
            return page
        statement = self._shown.where(*self._of_genre, *self._conditions(self._table, self._bounds))
        return keyset.fetch(connection, statement.add_columns(VERSION), after, page_size)

    def _prepared(self, keyset: Keyset) -> Listing:
        """Return the whole shelf as a statement that has one good plan, whatever its genre."""
        if not self.wanted:
            return ((movies.name,), self.sort), partial(self._page_of_all, keyset), {}
        tables = (movie_genres.name, movies.name)
        return (tables, self.sort), partial(self._page_of_genre, keyset), {"genre_id": self.wanted[0].id}

    def _page_of_all(self, keyset: Keyset, after: Position | None, limit: int) -> sa.Select[Any]:
        return keyset.across(self._shown, after, limit, beside=[VERSION])

    def _page_of_genre(self, keyset: Keyset, after: Position | None, limit: int) -> sa.Select[Any]:
        of_genre = movie_genres.c.genre_id == sa.bindparam("genre_id", type_=sa.Integer)
        keys = sa.select(movie_genres.c.movie_id).where(of_genre)
        return keyset.across(self._shown.where(of_genre), after, limit, keys=keys, beside=[VERSION])

    @property
    def _is_all_that_matches(self) -> bool:
        """Whether whatever stands within the bounds of the sort matches."""
        return len(self.wanted) < 2 and not self.choice and not self._others

    @property
    def _shown(self) -> sa.Select[Any]:
        """What pages show of the movies on the shelf."""
        shown = sa.select(*SHOWN)
        return shown.join(movie_genres, movie_genres.c.movie_id == movies.c.id) if self.wanted else shown


def _known(named: Sequence[Genre | None]) -> Sequence[Genre]:
    return [genre for genre in named if genre is not None]


def _find_genres(connection: sa.Connection, names: Sequence[str]) -> Sequence[Genre | None]:
    """Return the genre of each name, None for one that no movie has ever had."""
    keys = [fold(name) for name in names]
    if not keys:
        return []
    found = sa.select(genres.c.name_key, genres.c.id, genres.c.name).where(genres.c.name_key.in_(keys))
    known = {row.name_key: Genre(row.id, row.name) for row in connection.execute(found)}
    return list(dict.fromkeys(known.get(key) for key in keys))


def get_movie(connection: sa.Connection, movie_id: str) -> sa.Row[Any]:
    """Return the movie with this UUID or IMDb id; raises NotFound."""
    column = movies.c.imdb_id if movie_id.startswith("tt") else movies.c.id

    def build() -> sa.Select[Any]:
        return sa.select(movies, VERSION).where(column == sa.bindparam("movie_id", type_=column.type))

    rows = fetch_prepared(connection, ((movies.name,), ("movie", column.name)), build, {"movie_id": movie_id})
    if not rows:
        raise NotFound(f"there is no movie {movie_id}")
    return rows[0]


def position_of(movie: sa.Row[Any], sort: str) -> Position:
    """Return where `movie` stands in a list of movies sorted by `sort`."""
    return Position(getattr(movie, SORT_TYPES[sort][0]), str(movie.id))


def list_genres(connection: sa.Connection, *, sort: str, desc: bool, after: Position | None, page_size: int) -> Page:
    """Return the page behind `after` of the genres that a movie has, each with the number of its movies."""
    links = movie_genres.c.genre_id == genres.c.id
    count = sa.select(sa.func.count()).where(links).scalar_subquery()
    statement = sa.select(genres.c.name, count.label("movie_count"), VERSION).where(sa.exists().where(links))
    return Keyset(GENRE_SORTS[sort], genres.c.id, desc).fetch(connection, statement, after, page_size)
