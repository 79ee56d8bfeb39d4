"""The statements that find movies on a shelf, made once for each kind of question: its values are parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from shelflist.shared.paging import Place
from shelflist.shared.texts import parameter

from .dataset_queries import VERSION
from .finding import LOOKUP_PRICE, Search
from .gathering import Criterion, Kind
from .searching import criteria_of
from .shelves import FILTERS, Condition, Genre, MovieFilters, Shelf, column_of
from .tables import movie_genres, movies

PRICE_OF_GENRE = 1.7
"""What it costs to find a movie of a genre by the index of genres, in entries of a btree."""
PRICE_OF_GENRES = 6
"""What it costs to find a movie of several genres, likewise."""
MOST_SEARCHES = 500
"""Kinds of questions whose statements a process remembers, at some ten kilobytes each."""


class Shape(NamedTuple):
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
def search_of(shape: Shape) -> Search:
    """Return what finds movies for any values of a kind of question, the same each time it is asked for."""
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
        return Search(
            self._walking,
            self._ordering,
            self._of_genres,
            self._among_titles,
            self._criteria(),
            self._stands_behind,
            self._step_price,
        )

    def _walking(self) -> sa.Select[Any]:
        keyset = self._keyset(self._table)
        columns = [column_of(name) for name in self._others if self._is_known_along(name)]
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

    def _of_genres(self) -> sa.Select[Any]:
        keyset = self._keyset(movie_genres)
        is_chosen = movie_genres.c.genre_id == sa.any_(parameter("choice_ids", ARRAY(sa.Integer)))
        conditions = [*self._conditions(movie_genres, self._given), self._is_behind(movie_genres)]
        matching = sa.select().where(*self._of_genre or [is_chosen], *conditions)
        # A movie may have several of those that are chosen from.
        each = matching.group_by(keyset.sort.column, keyset.id) if self.choice else matching
        return self._ordering(each, movie_genres)

    def _among_titles(self) -> sa.Select[Any]:
        # By itself: with more columns or conditions, the index would not be enough.
        titled = sa.select(movies.c.id).where(FILTERS["q"](movies, self.filters["q"])).offset(0).subquery("titled")
        conditions = [one.checked() for one in self._criteria() if one.kind != "title" and not one.is_hint]
        return self._ordering(sa.select().join_from(movies, titled, titled.c.id == movies.c.id).where(*conditions))

    def _ordering(self, matching: sa.Select[Any], table: sa.Table = movies) -> sa.Select[Any]:
        keyset = self._keyset(table)
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
        return name == "q" if self._is_narrow else column_of(name) in self._table.c

    @property
    def _of_genre(self) -> Sequence[Condition]:
        return [movie_genres.c.genre_id == parameter("genre_id")] if self.wanted else []

    def _criteria(self) -> Sequence[Criterion]:
        """Return what movies must meet to match, and to stand behind the place."""
        criteria = []
        # A range is one criterion: its ends say little alone.
        columns = dict.fromkeys(column_of(name) for name in self._given if name != "q")
        for column in columns:
            names = [name for name in self._given if column_of(name) == column]
            # Those of users were added behind those of IMDb.
            stands_together = self.filters["source"] == "user" and column == "source"
            is_met = partial(self._meets, names=names)
            criteria.append(Criterion(is_met, kind="range", stands_together=stands_together))
        if self.wanted:
            price = PRICE_OF_GENRE if len(self.wanted) == 1 else PRICE_OF_GENRES
            criteria.append(Criterion(partial(_has_all_of, names="genre"), price=price, kind=self._kind_of_genres))
        if self.choice:
            is_met = partial(_has_one_of, names="genre_any")
            criteria.append(Criterion(is_met, price=PRICE_OF_GENRE, kind=self._kind_of_genres))
        if self.place != "start":
            criteria.append(Criterion(self._is_behind))
        # Text is compared last: it takes longer than numbers do.
        return [*criteria, *criteria_of(self.traits)] if "q" in self._given else criteria

    @property
    def _kind_of_genres(self) -> Kind:
        # Whether the table that has the shelves of genres tells all that is asked for.
        is_known = len(self.wanted) + bool(self.choice) == 1 and "source" not in self._given
        return "genre" if is_known else "other"

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


def _has_all_of(table: sa.FromClause, names: str) -> Condition:
    condition: Condition = table.c.genres.contains(parameter(names, ARRAY(sa.Text)))
    return condition


def _has_one_of(table: sa.FromClause, names: str) -> Condition:
    condition: Condition = table.c.genres.overlap(parameter(names, ARRAY(sa.Text)))
    return condition
