"""Few movies among many: whether they are few, and which indexes shall find them, judged by a sample of all movies.

The planner judges each condition alone, of titles it knows a hundred, and it takes entries of an index for far cheaper
than they are beside rows that are in memory.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from .tables import movies

Condition = sa.ColumnElement[bool]
OnTable = Callable[[sa.FromClause], Condition]

SAMPLED_PAGES = 50
"""Pages of the table that are read for the sample, of about 40 movies each."""
ROW_PRICE = 30
"""What it costs to look at a movie, in entries of a btree."""


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
    searched: tuple[int, ...]
    """The criteria, by their number, whose indexes are worth it."""


def sampling(criteria: Sequence[Criterion], on_shelf: OnTable) -> sa.Select[Any]:
    """Return the statement that `estimate` judges by; a walk would be along those `on_shelf`."""
    pages = sa.func.greatest(sa.func.pg_relation_size(movies.name) / 8192.0, 1)
    percent = sa.func.least(100 * SAMPLED_PAGES / pages, 100)
    # The same pages each time, so that they are at hand.
    sample = movies.tablesample(sa.func.system(percent), seed=sa.literal_column("0"))
    together = sa.and_(*(one.on(sample) for one in criteria if not one.is_hint))
    fulfilling = [one.on(sample) for one in criteria if one.is_searched]
    counts = [sa.func.count().filter(condition) for condition in (together, on_shelf(sample), *fulfilling)]
    columns: list[Any] = [percent / 100, sa.func.count(), *counts]
    return sa.select(*columns)


def estimate(sample: Sequence[Any], criteria: Sequence[Criterion], wanted: int) -> Estimate:
    """Return what it takes to find `wanted` movies that meet all criteria, by the row that `sampling` found."""
    part, movie_count, matching_count, shelved_count, *fulfilling = sample
    # A movie of which there is none in the sample may still be a part of one of it; mostly it is none at all.
    steps = wanted * shelved_count / max(matching_count, 0.25)
    searchable = [number for number, one in enumerate(criteria) if one.is_searched]
    shares = [max(count, 0.5) / max(movie_count, 1) for count in fulfilling]
    prices = [criteria[number].price for number in searchable]
    searched, price = _cheapest(sorted(zip(shares, prices, searchable, strict=True), key=_price_of_search))
    return Estimate(round(steps), price * movie_count / float(part), searched)


def matching(criteria: Sequence[Criterion], searched: Collection[int]) -> sa.Select[tuple[()]]:
    """Return what finds all movies that meet the criteria, by the indexes of those `searched`; without columns."""
    numbered = list(enumerate(criteria))
    conditions = [
        one.searched() if number in searched else one.checked() for number, one in numbered if not one.is_hint
    ]
    hints = [one.searched() for number, one in numbered if one.is_hint and number in searched]
    # What is as cheap to check is checked in this order, and hints are none of it where the planner uses another index.
    return sa.select().where(*conditions, *hints)


def _price_of_search(search: tuple[float, float, int]) -> float:
    share, price, _ = search
    return share * price


def _cheapest(searches: Sequence[tuple[float, float, int]]) -> tuple[tuple[int, ...], float]:
    """Return the criteria to search by, and what that and to look at what is found costs, for each movie there is.

    As if all were independent, those are added whose index costs less than the movies that it spares to look at.
    """
    searched, left, total = [], 1.0, 0.0
    for share, price, number in searches:
        if share * price < left * (1 - share) * ROW_PRICE:
            searched.append(number)
            total += share * price
            left *= share
    return tuple(sorted(searched)), total + left * ROW_PRICE
