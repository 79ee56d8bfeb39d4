"""Every SELECT of movies and genres; dataset_queries.py has those of datasets, changes.py what loads changed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa

from shelflist.shared.folding import fold
from shelflist.shared.paging import Keyset, Page, Position, Sort, page_of
from shelflist.shared.prepared import Listing, fetch_prepared, fetch_prepared_page
from shelflist.shared.problems import NotFound

from .dataset_queries import VERSION
from .gathering import ROW_PRICE, Criterion, estimate
from .searching import criteria_of, title_contains
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

LONGEST_PREPARED_PAGE = 100
NEAR = 1_000
"""How many movies are looked at along a shelf before it is asked whether there are few to be found."""
MARGIN = 3
"""How many times further than a sample says a walk goes: what matches need not be spread evenly."""
PRICE_OF_GENRES = 6
"""What it costs to find a movie of several genres by the index of genres, in entries of a btree."""

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


# Each takes the table that carries the sort columns: movies, or movie_genres where a genre leads, or a part of them.
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
    "q": title_contains,
    "source": lambda table, value: table.c.get("source", movies.c.source) == sa.literal(value, literal_execute=True),
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
    named = _find_genres(connection, filters["genre"] or [])
    named_any = _find_genres(connection, filters["genre_any"] or [])
    wanted, choice = _known(named), _known(named_any)
    if len(wanted) < len(named) or (named_any and not choice):
        return Page([], None)
    if not wanted and len(choice) == 1:
        wanted, choice = choice, []
    shelf = Shelf(filters, wanted, choice, sort, desc)
    return shelf.read(connection, after, page_size)


@dataclass(frozen=True)
class Genre:
    """A genre as movie_genres and as movies names it."""

    id: int
    name: str


@dataclass(frozen=True)
class Shelf:
    """Movies in the order of a sort: all of them, or those of one genre; and what to look for along it.

    A page is read in one of three ways, each by a statement of its own; see docs/explanation/paging.md.
    """

    filters: MovieFilters
    wanted: Sequence[Genre]
    choice: Sequence[Genre]
    sort: str
    desc: bool

    def read(self, connection: sa.Connection, after: Position | None, page_size: int) -> Page:
        """Return the page behind `after`."""
        walk = self._walk if self._is_all_that_matches else self._find
        return walk(connection, after, page_size)

    def _find(self, connection: sa.Connection, after: Position | None, page_size: int) -> Page:
        """Return the page of what matches on the shelf: what is near, or else the first of all that is gathered."""
        page = self._read_near(connection, after, page_size, round(NEAR / self._step_price))
        if page is not None:
            return page
        on_shelf = partial(self._stands_behind, after=after)
        effort = estimate(connection, self._criteria(after), on_shelf, page_size + 1)
        far = round(effort.price / ROW_PRICE / self._step_price)
        # Matches need not be spread evenly: a walk may cost as much again as gathering them would have.
        if MARGIN * effort.steps < far:
            page = self._read_near(connection, after, page_size, far)
        matching = effort.matching.add_columns(movies, VERSION)
        return page or self._keyset(movies).gather(connection, matching, page_size)

    def _read_near(self, connection: sa.Connection, after: Position | None, page_size: int, steps: int) -> Page | None:
        """Return the page if it is full with what matches among the next `steps` movies on the shelf."""
        keyset = self._keyset(self._table)
        columns = [_column_of(name) for name in self._others if self._is_known_along(name)]
        columns += ["genres"] if self._are_genres_known_along else []
        shelved = sa.select(*(self._table.c[column] for column in dict.fromkeys(columns))).where(*self._of_genre)
        bounds = self._conditions(self._table, self._bounds)
        near = keyset.segment(shelved.where(*bounds), after, steps).subquery("near")
        conditions = [
            FILTERS[name](near if self._is_known_along(name) else movies, self.filters[name]) for name in self._others
        ]
        statement = sa.select(movies, VERSION, near.c.page_key, near.c.page_id)
        statement = statement.join(near, near.c.page_id == movies.c.id).where(*conditions)
        statement = statement.where(*self._genre_conditions(near if self._are_genres_known_along else movies))
        statement = statement.order_by(*keyset.order(near.c.page_key, near.c.page_id)).limit(page_size + 1)
        rows = connection.execute(statement).all()
        return page_of(rows, page_size) if len(rows) > page_size else None

    def _walk(self, connection: sa.Connection, after: Position | None, page_size: int) -> Page:
        """Return the page of all that stands within the bounds of the sort."""
        keyset = self._keyset(self._table)
        is_usual = not self._bounds and page_size <= LONGEST_PREPARED_PAGE
        page = fetch_prepared_page(connection, keyset, self._prepared(), after, page_size) if is_usual else None
        if page is not None:
            return page
        statement = self._shown(self._table).where(*self._of_genre, *self._conditions(self._table, self._bounds))
        return keyset.fetch(connection, statement, after, page_size, is_ending=is_usual)

    def _prepared(self) -> Listing:
        """Return the whole shelf as a statement that has one good plan, whatever its genre."""
        if not self.wanted:
            return ((movies.name,), self.sort), lambda: self._shown(movies), {}
        genre = movie_genres.c.genre_id == sa.bindparam("genre_id", type_=sa.Integer)
        tables = (movie_genres.name, movies.name)
        return (tables, self.sort), lambda: self._shown(movie_genres).where(genre), {"genre_id": self.wanted[0].id}

    @property
    def _is_all_that_matches(self) -> bool:
        """Whether whatever stands within the bounds of the sort matches."""
        return len(self.wanted) < 2 and not self.choice and not self._others

    @property
    def _step_price(self) -> float:
        """What a step along the shelf costs, in movies looked at."""
        if self._is_narrow:
            return 0.15
        are_genres_known = self._are_genres_known_along or (len(self.wanted) < 2 and not self.choice)
        return 1 if are_genres_known and all(map(self._is_known_along, self._others)) else 4

    @property
    def _is_narrow(self) -> bool:
        """Whether titles are looked for in the order of titles: the index has them, and tables need not be read."""
        return self.sort == "title" and self.filters["q"] is not None

    @property
    def _are_genres_known_along(self) -> bool:
        return not self.wanted and bool(self.choice) and not self._is_narrow

    def _is_known_along(self, name: str) -> bool:
        """Whether a walk checks a filter as it goes, rather than on movies that it looks up."""
        return name == "q" if self._is_narrow else _column_of(name) in self._table.c

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
        return [name for name in self._given if _column_of(name) == self.sort]

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

    def _shown(self, table: sa.Table) -> sa.Select[Any]:
        """Return what pages show of the movies in `table`, which carries the shelf."""
        shown = sa.select(movies, VERSION)
        return shown if table is movies else shown.join(table, table.c.movie_id == movies.c.id)

    def _criteria(self, after: Position | None) -> Sequence[Criterion]:
        """Return what movies behind `after` must meet to match."""
        criteria = [] if self.filters["q"] is None else [*criteria_of(self.filters["q"])]
        # A range is one criterion: its ends say little alone.
        columns = dict.fromkeys(_column_of(name) for name in self._given if name != "q")
        for column in columns:
            names = [name for name in self._given if _column_of(name) == column]
            criteria.append(Criterion(partial(self._meets, names=names)))
        if self.wanted:
            price = 1 if len(self.wanted) == 1 else PRICE_OF_GENRES
            criteria.append(Criterion(partial(_has_all_of, named=self.wanted), price=price))
        if self.choice:
            criteria.append(Criterion(partial(_has_one_of, named=self.choice)))
        if after is not None:
            criteria.append(Criterion(lambda table: self._keyset(table).following(after)))
        return criteria

    def _stands_behind(self, table: sa.FromClause, after: Position | None) -> Condition:
        """Return whether a walk from `after` on comes by a movie."""
        is_of_genre = _has_all_of(table, self.wanted[:1]) if self.wanted else sa.true()
        is_behind = sa.true() if after is None else self._keyset(table).following(after)
        return sa.and_(is_of_genre, is_behind, self._meets(table, self._bounds))

    def _meets(self, table: sa.FromClause, names: Sequence[str]) -> Condition:
        return sa.and_(sa.true(), *self._conditions(table, names))

    def _conditions(self, table: sa.FromClause, names: Iterable[str]) -> Sequence[Condition]:
        return [FILTERS[name](table, self.filters[name]) for name in names]

    def _genre_conditions(self, table: sa.FromClause) -> Sequence[Condition]:
        """Return what genres are asked for besides the one that the shelf is of."""
        has_all = [_has_all_of(table, self.wanted[1:])] if len(self.wanted) > 1 else []
        return [*has_all, _has_one_of(table, self.choice)] if self.choice else has_all


def _column_of(name: str) -> str:
    """Return the column that a filter is on: rating of rating_gte."""
    return "title_key" if name == "q" else name.rpartition("_")[0] or name


def _has_all_of(table: sa.FromClause, named: Sequence[Genre]) -> Condition:
    condition: Condition = table.c.genres.contains([genre.name for genre in named])
    return condition


def _has_one_of(table: sa.FromClause, named: Sequence[Genre]) -> Condition:
    condition: Condition = table.c.genres.overlap([genre.name for genre in named])
    return condition


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
