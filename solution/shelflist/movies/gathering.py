"""Few movies among many: whether they are few, and which indexes shall find them, judged by a sample of all movies.

The planner judges each condition alone, of titles it knows a hundred, and it takes entries of an index for far cheaper
than they are beside rows that are in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
class _Sample:
    """How many movies a sample has, which part of all that is, and how many of them match, are on the shelf, ..."""

    part: float
    movies: int
    matches: int
    shelved: int
    fulfilling: Sequence[int]


@dataclass(frozen=True)
class Estimate:
    """What it takes to find `wanted` movies."""

    steps: int
    """How many movies a walk comes by, if those that match are spread evenly."""
    price: float
    """What it costs to find all that match, and to look at them, in entries of a btree."""
    matching: sa.Select[tuple[()]]
    """What finds them all, by the indexes that are worth it; without columns."""


def estimate(connection: sa.Connection, criteria: Sequence[Criterion], on_shelf: OnTable, wanted: int) -> Estimate:
    """Return what it takes to find `wanted` movies that meet all criteria; a walk would be along those `on_shelf`."""
    sample = _take(connection, criteria, on_shelf)
    searched, price = _cheapest(criteria, sample)
    # A movie of which there is none in the sample may still be half a movie of it.
    steps = wanted * sample.shelved / max(sample.matches, 0.5)
    conditions = [one.searched() if one in searched else one.checked() for one in criteria if not one.is_hint]
    hints = [one.searched() for one in searched if one.is_hint]
    return Estimate(round(steps), price, sa.select().where(*hints, *conditions))


def _take(connection: sa.Connection, criteria: Sequence[Criterion], on_shelf: OnTable) -> _Sample:
    pages = sa.func.greatest(sa.func.pg_relation_size(movies.name) / 8192.0, 1)
    percent = sa.func.least(100 * SAMPLED_PAGES / pages, 100)
    # The same pages each time, so that they are at hand.
    sample = movies.tablesample(sa.func.system(percent), seed=sa.literal_column("0"))
    conditions = [criterion.on(sample) for criterion in criteria]
    together = sa.and_(*(condition for one, condition in zip(criteria, conditions, strict=True) if not one.is_hint))
    counts = [sa.func.count().filter(condition) for condition in (together, on_shelf(sample), *conditions)]
    row = connection.execute(sa.select(percent / 100, sa.func.count(), *counts)).one()
    return _Sample(float(row[0]), row[1], row[2], row[3], row[4:])


def _cheapest(criteria: Sequence[Criterion], sample: _Sample) -> tuple[Sequence[Criterion], float]:
    """Return the criteria to search by, and what that and to look at what is found costs, in entries of a btree.

    As if all were independent, those are added whose index costs less than the movies that it spares to look at.
    """
    counted = zip((max(count, 0.5) / max(sample.movies, 1) for count in sample.fulfilling), criteria, strict=True)
    shares = sorted(
        ((share, one) for share, one in counted if one.is_searched), key=lambda pair: pair[0] * pair[1].price
    )
    searched, left, price = [], 1.0, 0.0
    for share, criterion in shares:
        if share * criterion.price < left * (1 - share) * ROW_PRICE:
            searched.append(criterion)
            price += share * criterion.price
            left *= share
    return searched, (price + left * ROW_PRICE) * sample.movies / sample.part
