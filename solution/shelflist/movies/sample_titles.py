"""Put the sample's invented titles together from the word lists."""

from collections.abc import Iterable

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from shelflist.movies.sample_shares import Flags, Indices, Wheel, pick
from shelflist.movies.sample_words import ENGLISH, FAMILIES, FRAMES

_DECORATED = 0.02
_REMADE = 0.02
_TRANSLATED = 0.12

_FAMILY_WHEEL = Wheel(
    [family.share for family in FAMILIES],
    [family.episode_share for family in FAMILIES],
)
_FOREIGN_WHEEL = Wheel([0 if family is ENGLISH else family.share for family in FAMILIES])


class _Slot:
    """One of the three parts of a title: every family's words end to end, and where each family's begin."""

    def __init__(self, families: Iterable[tuple[str, ...]]) -> None:
        lists = list(families)
        self._sizes = np.array([len(words) for words in lists], dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._words: NDArray[np.object_] = np.array([word for words in lists for word in words], dtype=object)

    def draw(self, state: RandomState, families: Indices) -> list[str]:
        chosen = self._starts[families] + pick(state, self._sizes[families])
        words: list[str] = self._words[chosen].tolist()
        return words


_SLOTS = (
    _Slot(family.openings for family in FAMILIES),
    _Slot(family.names for family in FAMILIES),
    _Slot(family.endings for family in FAMILIES),
)


def _compose(state: RandomState, families: Indices) -> list[str]:
    parts = (slot.draw(state, families) for slot in _SLOTS)
    return ["".join(words) for words in zip(*parts, strict=True)]


def _rows_by_chance(state: RandomState, among: Flags, share: float) -> list[int]:
    rows: list[int] = np.flatnonzero((state.random_sample(len(among)) < share) & among).tolist()
    return rows


def _decorate(state: RandomState, titles: list[str]) -> None:
    rows = _rows_by_chance(state, np.ones(len(titles), dtype=np.bool_), _DECORATED)
    frames = pick(state, np.full(len(rows), len(FRAMES), dtype=np.int64))
    for row, frame in zip(rows, frames.tolist(), strict=True):
        titles[row] = FRAMES[frame].replace("{}", titles[row])


def _remake(state: RandomState, titles: list[str], is_movie: Flags) -> None:
    movies = np.flatnonzero(is_movie)
    rows = _rows_by_chance(state, is_movie, _REMADE)
    models = movies[pick(state, np.full(len(rows), len(movies), dtype=np.int64))]
    for row, model in zip(rows, models.tolist(), strict=True):
        titles[row] = titles[model]


def draw_titles(state: RandomState, is_movie: Flags, is_episode: Flags) -> tuple[list[str], list[str]]:
    """Draw the primary and the original titles, one of each a row; some movies share theirs, as remakes do.

    Never empty, and never with a tab, a line break or a NUL.
    """
    primary = _compose(state, _FAMILY_WHEEL.draw(state, is_episode.astype(np.int64)))
    _decorate(state, primary)
    _remake(state, primary, is_movie)
    original = primary.copy()
    rows = _rows_by_chance(state, ~is_episode, _TRANSLATED)
    foreign = _compose(state, _FOREIGN_WHEEL.draw(state, np.zeros(len(rows), dtype=np.int64)))
    for row, title in zip(rows, foreign, strict=True):
        original[row] = title
    return primary, original
