"""Few movies among many: whether they are few, and which indexes shall find them, judged by a sample of all movies.

The planner judges each condition alone, of titles it knows a hundred, and it takes entries of an index for far cheaper
than they are beside rows that are in memory.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from .tables import movies

Condition = sa.ColumnElement[bool]
OnTable = Callable[[sa.FromClause], Condition]
Kind = Literal["range", "genre", "title", "other"]
Way = tuple[int, ...] | Literal["genres", "titles"]
"""How all that match are found: by the indexes of some criteria, among those of genres, or along all titles."""

SAMPLED_PAGES = 30
"""Pages of the table that are read for the sample, of about 40 movies each."""
ROW_PRICE = 20
"""What it costs to look at a movie, in entries of a btree."""
NEIGHBOUR_PRICE = 5
"""What it costs to look at a movie beside another that is looked at, likewise."""
LINK_PRICE = ROW_PRICE + 1
"""What it costs to find a movie of a genre within a range, and to look at what is known of it there, likewise."""
TITLE_PRICE = 1.7
"""What it costs to look at a title in the index that has all of them in order, likewise."""


@dataclass(frozen=True)
class Criterion:
    """One condition on movies, or on a sample of them, and how an index finds what fulfils it."""

    on: OnTable
    by_index: Condition | None = None
    """The condition on movies as an index knows it; None where that is the same."""
    price: float = 1
    """What it costs to find a movie by the index, in entries of a btree."""
    is_hint: bool = False
    """Whether other criteria say the same: it is there for its index alone."""
    is_searched: bool = True
    """Whether there is an index at all."""
    kind: Kind = "other"
    """What tells whether movies may be found in another way: a range by any index of a genre that is asked for."""
    stands_together: bool = False
    """Whether what fulfils it is side by side in the table."""

    def searched(self) -> Condition:
        """Return the condition on movies, for an index."""
        return self.on(movies) if self.by_index is None else self.by_index

    def checked(self) -> Condition:
        """Return the condition on movies, for no index."""
        # Nothing that the planner takes apart.
        return sa.func.coalesce(self.on(movies), sa.false())


@dataclass(frozen=True)
class Estimate:
    """What it takes to find `wanted` movies."""

    steps: int
    """How many movies a walk comes by, if those that match are spread evenly."""
    price: float
    """What it costs to find all that match, and to look at them, in entries of a btree."""
    way: Way
    """The cheapest; criteria are named by their number."""


def sampling(criteria: Sequence[Criterion], on_shelf: OnTable) -> sa.Select[Any]:
    """Return the statement that `estimate` judges by; a walk would be along those `on_shelf`."""
    pages = sa.func.greatest(sa.func.pg_relation_size(movies.name) / 8192.0, 1)
    percent = sa.func.least(100 * SAMPLED_PAGES / pages, 100)
    # The same pages each time, so that they are at hand.
    sample = movies.tablesample(sa.func.system(percent), seed=sa.literal_column("0"))
    met = [one.on(sample).label(f"met_{number}") for number, one in enumerate(criteria)]
    # Each is looked at once, although several counts need it.
    looked_at = sa.select(on_shelf(sample).label("on_shelf"), *met).offset(0).subquery("looked_at")
    columns = [looked_at.c[condition.name] for condition in met]
    together = sa.and_(*(column for column, one in zip(columns, criteria, strict=True) if not one.is_hint))
    counts = (sa.func.count().filter(condition) for condition in (together, looked_at.c.on_shelf, *columns))
    shown: list[Any] = [percent / 100, sa.func.count(), *counts]
    return sa.select(*shown)


def estimate(sample: Sequence[Any], criteria: Sequence[Criterion], wanted: int, near: tuple[int, int]) -> Estimate:
    """Return what it takes to find `wanted` movies that meet all criteria, by the row that `sampling` found.

    `near` is how many a walk found already, and how many it came by for that.
    """
    part, movie_count, matching_count, shelved_count, *fulfilling = sample
    found, passed = near
    # A movie of which there is none in the sample may still be a part of one of it; mostly it is none at all.
    steps = wanted * (shelved_count + passed) / max(matching_count + found, 0.25)
    shares = [max(count, 0.5) / max(movie_count, 1) for count in fulfilling]
    way, price = min(_ways(shares, criteria), key=lambda priced: priced[1])
    return Estimate(round(steps), price * movie_count / float(part), way)


def _ways(shares: Sequence[float], criteria: Sequence[Criterion]) -> Iterator[tuple[Way, float]]:
    """Yield each way to find all that match, and what that and to look at what is found costs, for each movie."""
    numbered = list(enumerate(zip(shares, criteria, strict=True)))
    searchable = [(share, one, number) for number, (share, one) in numbered if one.is_searched]
    yield _cheapest(sorted(searchable, key=_price_of_search))
    narrowest = min((share for share, one in zip(shares, criteria, strict=True) if one.kind == "range"), default=1.0)
    for share, one in zip(shares, criteria, strict=True):
        if one.kind == "genre":
            yield "genres", share * narrowest * LINK_PRICE
        if one.kind == "title":
            # What has the text is looked up movie by movie.
            yield "titles", TITLE_PRICE + share * 2 * ROW_PRICE


def matching(criteria: Sequence[Criterion], searched: Collection[int]) -> sa.Select[tuple[()]]:
    """Return what finds all movies that meet the criteria, by the indexes of those `searched`; without columns."""
    numbered = list(enumerate(criteria))
    conditions = [
        one.searched() if number in searched else one.checked() for number, one in numbered if not one.is_hint
    ]
    hints = [one.searched() for number, one in numbered if one.is_hint and number in searched]
    # What is as cheap to check is checked in this order, and hints are none of it where the planner uses another index.
    return sa.select().where(*conditions, *hints)


def _price_of_search(search: tuple[float, Criterion, int]) -> float:
    share, criterion, _ = search
    return share * criterion.price


def _cheapest(searches: Sequence[tuple[float, Criterion, int]]) -> tuple[tuple[int, ...], float]:
    """Return the criteria to search by, and what that and to look at what is found costs, for each movie there is.

    As if all were independent, those are added whose index costs less than the movies that it spares to look at.
    """
    searched, left, total, row_price = [], 1.0, 0.0, ROW_PRICE
    for share, criterion, number in searches:
        if share * criterion.price < left * (1 - share) * row_price:
            searched.append(number)
            total += share * criterion.price
            left *= share
            row_price = NEIGHBOUR_PRICE if criterion.stands_together else row_price
    return tuple(sorted(searched)), total + left * row_price
