"""Every SELECT of movies and genres; dataset_queries.py has those of datasets, changes.py what loads changed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from shelflist.shared.folding import fold
from shelflist.shared.paging import Keyset, Page, Place, Position, Sort, page_of, place_of
from shelflist.shared.prepared import Listing, fetch_prepared, fetch_prepared_page
from shelflist.shared.problems import NotFound
from shelflist.shared.texts import parameter

from .dataset_queries import VERSION
from .finding import LOOKUP_PRICE, Search
from .gathering import Criterion
from .searching import NO_TRAITS, criteria_of, title_contains, traits_of
from .tables import SHOWN, genres, movie_genres, movies

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
PRICE_OF_GENRES = 6
"""What it costs to find a movie of several genres by the index of genres, in entries of a btree."""
MOST_SEARCHES = 500
"""Kinds of questions whose statements a process remembers, at some ten kilobytes each."""

GENRE_SORTS = {"name": Sort(genres.c.name_key, str, is_nullable=False)}


@dataclass(frozen=True)
class MovieFilters:
    """The filters of GET /movies as the caller gave them; None where not given."""

    given: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.given.get(name)


def _decimal(value: Any) -> Any:
    # The shortest text of the float is what the caller typed; a float would make PostgreSQL leave the index.
    return Decimal(str(value)) if isinstance(value, int | float) else value


# Each takes the table that carries the sort columns: movies, or movie_genres where a genre leads, or a part of them;
# and the value, which may be a parameter.
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
        given = {name: _decimal(self.filters[name]) for name in self._given}
        traits = traits_of(given["q"]) if "q" in given else NO_TRAITS
        values = {
            **given,
            **traits.values,
            "genre_id": self.wanted[0].id if self.wanted else None,
            "first_genre": [genre.name for genre in self.wanted[:1]],
            "other_genres": [genre.name for genre in self.wanted[1:]],
            "genre": [genre.name for genre in self.wanted],
            "genre_any": [genre.name for genre in self.choice],
            "after_key": after and after.key,
            "after_id": after and after.id,
            "most": page_size + 1,
        }
        shape = _Shape(
            tuple(given),
            given.get("source"),
            min(len(self.wanted), 2),
            bool(self.choice),
            self.sort,
            self.desc,
            place_of(after),
            traits.names,
        )
        return page_of(_search_of(shape).find(connection, values), page_size)

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
        shown = sa.select(*SHOWN, VERSION)
        return shown if table is movies else shown.join(table, table.c.movie_id == movies.c.id)

    def _conditions(self, table: sa.FromClause, names: Iterable[str]) -> Sequence[Condition]:
        return [FILTERS[name](table, self.filters[name]) for name in names]


class _Shape(NamedTuple):
    """What tells the statements of one question from those of another: all but its values."""

    given: Sequence[str]
    source: str | None
    """Its value is a part of the statement: there is an index of the movies of one source."""
    wanted: int
    """None, one, or more than one."""
    has_choice: bool
    sort: str
    desc: bool
    place: Place
    traits: Sequence[str]


_MOST = parameter("most", sa.Integer)
_ANY_GENRE = Genre(0, "")
"""Stands for those that are parameters."""


@lru_cache(maxsize=MOST_SEARCHES)
def _search_of(shape: _Shape) -> Search:
    parameters: dict[str, Any] = {name: parameter(name) for name in shape.given}
    if shape.source is not None:
        parameters["source"] = shape.source
    genres_of = [_ANY_GENRE] * shape.wanted, [_ANY_GENRE] * shape.has_choice
    return Pattern(MovieFilters(parameters), *genres_of, shape.sort, shape.desc, shape.place, shape.traits).search()


@dataclass(frozen=True)
class Pattern(Shelf):
    """A shelf whose filters, genres and place to start from are parameters: the statements that find movies on it."""

    place: Place
    traits: Sequence[str]
    """The names of what indexes can look the text in `q` up by."""

    def search(self) -> Search:
        """Return what finds movies on any shelf like this."""
        return Search(self._walking, self._ordering, self._criteria(), self._stands_behind, self._step_price)

    def _walking(self) -> sa.Select[Any]:
        keyset = self._keyset(self._table)
        columns = [_column_of(name) for name in self._others if self._is_known_along(name)]
        columns += ["genres"] if self._are_genres_known_along else []
        shelved = sa.select(*(self._table.c[column] for column in dict.fromkeys(columns))).where(*self._of_genre)
        bounds = self._conditions(self._table, self._bounds)
        after, steps = keyset.parameters(self.place), parameter("steps", sa.Integer)
        near = keyset.segment(shelved.where(*bounds), after, steps).subquery("near")
        others = list(self._others)
        if self._is_narrow:
            # Movies that have the text may be many, and each is looked up, for other conditions or to be shown.
            others.remove("q")
            with_text = sa.select(near).where(FILTERS["q"](near, self.filters["q"]))
            with_text = with_text.order_by(*keyset.order(near.c.page_key, near.c.page_id))
            near = with_text.limit(parameter("lookups", sa.Integer)).subquery("near_with_text")
        conditions = [
            FILTERS[name](near if self._is_known_along(name) else movies, self.filters[name]) for name in others
        ]
        conditions += self._genre_conditions(near if self._are_genres_known_along else movies)
        statement = sa.select(movies, VERSION, near.c.page_key, near.c.page_id)
        statement = statement.join(near, near.c.page_id == movies.c.id).where(*conditions)
        return statement.order_by(*keyset.order(near.c.page_key, near.c.page_id)).limit(_MOST)

    def _ordering(self, matching: sa.Select[Any]) -> sa.Select[Any]:
        keyset = self._keyset(movies)
        # What is sorted are keys: whole movies would be copied for it.
        found = keyset.gathered(matching, _MOST).subquery("found")
        shown = sa.select(movies, VERSION, *found.c).join(found, found.c.page_id == movies.c.id)
        return shown.order_by(*keyset.order_of_all(found.c.page_key, found.c.page_id))

    @property
    def _step_price(self) -> float:
        """What a step along the shelf costs, in movies looked at."""
        if self._is_narrow:
            return 0.15
        are_genres_known = self._are_genres_known_along or (len(self.wanted) < 2 and not self.choice)
        return 1 if are_genres_known and all(map(self._is_known_along, self._others)) else LOOKUP_PRICE

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
    def _of_genre(self) -> Sequence[Condition]:
        return [movie_genres.c.genre_id == parameter("genre_id")] if self.wanted else []

    def _criteria(self) -> Sequence[Criterion]:
        """Return what movies must meet to match, and to stand behind the place."""
        criteria = []
        # A range is one criterion: its ends say little alone.
        columns = dict.fromkeys(_column_of(name) for name in self._given if name != "q")
        for column in columns:
            names = [name for name in self._given if _column_of(name) == column]
            criteria.append(Criterion(partial(self._meets, names=names)))
        if self.wanted:
            price = 1 if len(self.wanted) == 1 else PRICE_OF_GENRES
            criteria.append(Criterion(partial(_has_all_of, names="genre"), price=price))
        if self.choice:
            criteria.append(Criterion(partial(_has_one_of, names="genre_any")))
        if self.place != "start":
            criteria.append(Criterion(self._is_behind))
        # Text is compared last: it takes longer than numbers do.
        return [*criteria, *criteria_of(self.traits)] if "q" in self._given else criteria

    def _stands_behind(self, table: sa.FromClause) -> Condition:
        """Return whether a walk from the place on comes by a movie."""
        is_of_genre = _has_all_of(table, "first_genre") if self.wanted else sa.true()
        return sa.and_(is_of_genre, self._is_behind(table), self._meets(table, self._bounds))

    def _is_behind(self, table: sa.FromClause) -> Condition:
        keyset = self._keyset(table)
        after = keyset.parameters(self.place)
        return sa.true() if after is None else keyset.following(after)

    def _meets(self, table: sa.FromClause, names: Sequence[str]) -> Condition:
        return sa.and_(sa.true(), *self._conditions(table, names))

    def _genre_conditions(self, table: sa.FromClause) -> Sequence[Condition]:
        """Return what genres are asked for besides the one that the shelf is of."""
        has_all = [_has_all_of(table, "other_genres")] if len(self.wanted) > 1 else []
        return [*has_all, _has_one_of(table, "genre_any")] if self.choice else has_all


def _column_of(name: str) -> str:
    """Return the column that a filter is on: rating of rating_gte."""
    return "title_key" if name == "q" else name.rpartition("_")[0] or name


def _has_all_of(table: sa.FromClause, names: str) -> Condition:
    condition: Condition = table.c.genres.contains(parameter(names, ARRAY(sa.Text)))
    return condition


def _has_one_of(table: sa.FromClause, names: str) -> Condition:
    condition: Condition = table.c.genres.overlap(parameter(names, ARRAY(sa.Text)))
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
