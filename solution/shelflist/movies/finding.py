"""How a page of movies is found among many: along a shelf, or gathered by indexes; see docs/explanation/paging.md."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa

from shelflist.shared.texts import NARROW, WALKING, Text, text_of

from .gathering import ROW_PRICE, Criterion, OnTable, Way, estimate, matching, sampling

Select = sa.Select[Any]
Rows = Sequence[sa.Row[Any]]

NEAR = 500
"""How many movies are looked at along a shelf before it is asked whether there are few to be found."""
MARGIN = 2
"""How many times further than a sample says a walk goes: what matches need not be spread evenly."""
ENOUGH = 0.25
"""The part of a page that is enough to tell how far the rest of it is."""
SPREAD = 3
"""How many times further than that a walk goes for it."""
LOOKUP_PRICE = 4
"""What it costs to look up a movie that a walk comes by in an index, in movies along a shelf."""
STEP_PRICE = 1.6
"""What it costs to look at a movie along a shelf, in movies that are gathered: these are read as the table has them."""


@dataclass(frozen=True)
class Search:
    """A kind of question, whatever its values: these are parameters of its statements, each made when first needed."""

    walking: Callable[[], Select]
    """Makes the statement that finds the first `most` among the next `steps` movies on the shelf.

    It may look up `lookups` of them that it knows only in part.
    """
    ordering: Callable[[Select], Select]
    """Makes the statement that finds the first `most` of all that a statement without columns finds."""
    of_genres: Callable[[], Select]
    """Makes the statement that finds the first `most` of all, looking only at what has the genres."""
    among_titles: Callable[[], Select]
    """Makes the statement that finds the first `most` of all, by the titles in the index that has all of them."""
    criteria: Sequence[Criterion]
    """What movies must meet."""
    on_shelf: OnTable
    """Whether a walk comes by a movie."""
    step_price: float
    """What a step along the shelf costs, in movies looked at."""
    _texts: dict[Hashable, Text] = field(default_factory=dict)

    def find(self, connection: sa.Connection, values: Mapping[str, Any]) -> Rows:
        """Return the first `most` rows of what matches: what is near, or else the first of all that is gathered."""
        most, steps = values["most"], round(NEAR / self.step_price)
        rows = self._walk(connection, values, steps)
        if ENOUGH * most <= len(rows) < most:
            steps = round(SPREAD * steps * most / len(rows))
            rows = self._walk(connection, values, steps)
        if len(rows) == most:
            return rows
        [sample] = self._text(connection, "sample", partial(sampling, self.criteria, self.on_shelf)).fetch(
            connection, values
        )
        effort = estimate(sample, self.criteria, most, (len(rows), steps))
        far = round(effort.price / ROW_PRICE / STEP_PRICE / self.step_price)
        # Matches need not be spread evenly: a walk may cost as much again as gathering them would have.
        if MARGIN * effort.steps < far:
            rows = self._walk(connection, values, far)
            if len(rows) == most:
                return rows
        return self._gather(connection, values, effort.way)

    def _walk(self, connection: sa.Connection, values: Mapping[str, Any], steps: int) -> Rows:
        text = self._text(connection, "walk", self.walking)
        # A page at least, where nothing is left to be checked.
        lookups = max(round(steps * self.step_price / LOOKUP_PRICE), values["most"])
        return text.fetch(connection, {**values, "steps": steps, "lookups": lookups}, setting=WALKING)

    def _gather(self, connection: sa.Connection, values: Mapping[str, Any], way: Way) -> Rows:
        if way == "titles":
            return self._text(connection, way, self.among_titles).fetch(connection, values, setting=NARROW)
        if way == "genres":
            return self._text(connection, way, self.of_genres).fetch(connection, values)
        return self._text(connection, way, partial(self._by_indexes, way)).fetch(connection, values)

    def _by_indexes(self, searched: Sequence[int]) -> Select:
        return self.ordering(matching(self.criteria, searched))

    def _text(self, connection: sa.Connection, name: Hashable, make: Callable[[], Select]) -> Text:
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = text_of(make(), connection.dialect)
        return text
