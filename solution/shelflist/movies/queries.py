"""Every SELECT of movies and genres; dataset_queries.py has those of datasets, changes.py what loads changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from shelflist.shared.folding import fold
from shelflist.shared.paging import Keyset, Page, Position, Sort
from shelflist.shared.problems import NotFound
from shelflist.shared.searching import words_of

from .dataset_queries import VERSION
from .tables import genres, movie_genres, movies

Condition = sa.ColumnElement[bool]

SORT_TYPES: dict[str, tuple[str, type]] = {
    "title": ("title_key", str),
    "year": ("year", int),
    "rating": ("rating", Decimal),
    "votes": ("votes", int),
    "runtime": ("runtime", int),
}
"""The sorts of GET /movies: the column that carries each, in movies and in movie_genres, and its type."""

GENRE_SORTS = {"name": Sort(genres.c.name_key, str, is_nullable=False)}


@dataclass(frozen=True)
class MovieFilters:
    """The filters of GET /movies as the caller gave them; None where not given."""

    given: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.given.get(name)


def _decimal(value: float) -> Decimal:
    # The shortest text of the float is what the caller typed; a float would make PostgreSQL leave the index.
    return Decimal(str(value))


def _title_contains(table: sa.FromClause, text: str) -> Condition:
    # Refuses what holds nothing; the whole text is searched for, spaces included.
    words_of(text)
    escaped = fold(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    condition: Condition = table.c.title_key.like(f"%{escaped}%", escape="\\")
    return condition


# Each takes the table that carries the sort columns: movies, or movie_genres where a genre leads.
FILTERS: dict[str, Callable[[sa.FromClause, Any], Condition]] = {
    "rating_gt": lambda table, value: table.c.rating > _decimal(value),
    "rating_gte": lambda table, value: table.c.rating >= _decimal(value),
    "rating_lt": lambda table, value: table.c.rating < _decimal(value),
    "rating_lte": lambda table, value: table.c.rating <= _decimal(value),
    "year_gte": lambda table, value: table.c.year >= value,
    "year_lte": lambda table, value: table.c.year <= value,
    "runtime_gte": lambda table, value: table.c.runtime >= value,
    "runtime_lte": lambda table, value: table.c.runtime <= value,
    "votes_gte": lambda table, value: table.c.votes >= value,
    "q": _title_contains,
    "source": lambda _table, value: movies.c.source == sa.literal(value, literal_execute=True),
}
"""Filter name -> condition; `genre` and `genre_any` choose the table and stand in list_movies."""


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
    wanted = _genre_ids(connection, filters["genre"] or [])
    choice = _genre_ids(connection, filters["genre_any"] or [])
    if None in wanted or (filters["genre_any"] and not any(choice)):
        return Page([], None)
    leading, table, row_id = _source(wanted, choice)
    conditions = [
        FILTERS[name](table, value) for name, value in filters.given.items() if name in FILTERS and value is not None
    ]
    statement = leading.where(*conditions)
    column, key_type = SORT_TYPES[sort]
    order = Sort(table.c[column], key_type, is_nullable=column != "title_key")
    return Keyset(order, row_id, desc).fetch(connection, statement, after, page_size)


def _genre_ids(connection: sa.Connection, names: Sequence[str]) -> list[int | None]:
    """Return the id of each name, None for a genre that no movie has ever had."""
    keys = [fold(name) for name in names]
    if not keys:
        return []
    rows = connection.execute(sa.select(genres.c.name_key, genres.c.id).where(genres.c.name_key.in_(keys)))
    known = {row.name_key: row.id for row in rows}
    return list(dict.fromkeys(known.get(key) for key in keys))


def _source(
    wanted: Sequence[int | None], choice: Sequence[int | None]
) -> tuple[sa.Select[Any], sa.FromClause, sa.ColumnElement[Any]]:
    """Return the statement to filter, the table that carries the sort columns, and the column of the id.

    One genre leads through movie_genres, whose indexes hold each genre in every order; further ones are checked row
    by row.
    """
    choice = [genre for genre in choice if genre is not None]
    if not wanted and len(choice) == 1:
        wanted, choice = choice, []
    if not wanted:
        statement = sa.select(movies, VERSION)
        return (statement.where(_has_any(movies.c.id, choice)) if choice else statement), movies, movies.c.id
    joined = movie_genres.join(movies, movies.c.id == movie_genres.c.movie_id)
    statement = sa.select(movies, VERSION).select_from(joined).where(movie_genres.c.genre_id == wanted[0])
    for genre in wanted[1:]:
        statement = statement.where(_has_any(movie_genres.c.movie_id, [genre]))
    if choice:
        statement = statement.where(_has_any(movie_genres.c.movie_id, choice))
    return statement, movie_genres, movie_genres.c.movie_id


def _has_any(movie_id: sa.ColumnElement[Any], genre_ids: Sequence[int | None]) -> Condition:
    other = movie_genres.alias()
    wanted = sa.literal(list(genre_ids), ARRAY(sa.Integer))
    return sa.exists().where(other.c.movie_id == movie_id, other.c.genre_id == sa.any_(wanted))


def get_movie(connection: sa.Connection, movie_id: str) -> sa.Row[Any]:
    """Return the movie with this UUID or IMDb id; raises NotFound."""
    condition = movies.c.imdb_id == movie_id if movie_id.startswith("tt") else movies.c.id == movie_id
    row = connection.execute(sa.select(movies, VERSION).where(condition)).first()
    if row is None:
        raise NotFound(f"there is no movie {movie_id}")
    return row


def position_of(movie: sa.Row[Any], sort: str) -> Position:
    """Return where `movie` stands in a list of movies sorted by `sort`."""
    return Position(getattr(movie, SORT_TYPES[sort][0]), str(movie.id))


def list_genres(connection: sa.Connection, *, sort: str, desc: bool, after: Position | None, page_size: int) -> Page:
    """Return the page behind `after` of the genres that a movie has, each with the number of its movies."""
    links = movie_genres.c.genre_id == genres.c.id
    count = sa.select(sa.func.count()).where(links).scalar_subquery()
    statement = sa.select(genres.c.name, count.label("movie_count"), VERSION).where(sa.exists().where(links))
    return Keyset(GENRE_SORTS[sort], genres.c.id, desc).fetch(connection, statement, after, page_size)
