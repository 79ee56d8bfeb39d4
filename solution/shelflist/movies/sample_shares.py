"""How often things occur in the sample: the shares of IMDb's real files, and weighted draws from them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class TitleType:
    """One titleType: its rows in a file of 11,500,000, and the shares of its rows that have each property.

    `runtime` is the centre and spread of the minutes.
    """

    name: str
    rows: int
    rated: float
    adult: float
    no_year: float
    no_runtime: float
    runtime: tuple[int, int]
    ended: float = 0.0


TITLE_TYPES = (
    TitleType("movie", 686_405, 0.447, 0.015, 0.13, 0.37, (92, 20)),
    TitleType("tvEpisode", 8_854_595, 0.095, 0.025, 0.12, 0.65, (36, 16)),
    TitleType("short", 1_050_000, 0.157, 0.005, 0.04, 0.35, (11, 9)),
    TitleType("video", 310_000, 0.17, 0.33, 0.05, 0.30, (75, 30)),
    TitleType("tvSeries", 284_000, 0.34, 0.004, 0.12, 0.55, (38, 16), ended=0.4),
    TitleType("tvMovie", 151_000, 0.35, 0.002, 0.05, 0.35, (82, 20)),
    TitleType("tvMiniSeries", 62_000, 0.33, 0.004, 0.10, 0.55, (50, 25), ended=0.6),
    TitleType("tvSpecial", 51_000, 0.23, 0.001, 0.05, 0.50, (65, 30)),
    TitleType("videoGame", 40_000, 0.38, 0.01, 0.04, 0.97, (150, 60)),
    TitleType("tvShort", 10_000, 0.22, 0.001, 0.05, 0.30, (12, 8)),
    TitleType("tvPilot", 1_000, 0.10, 0.001, 0.05, 0.50, (30, 10)),
)
# Better known than the rest of the movies, whose share in the table above is lower for it.
ACTION_MOVIES_RATED = 0.6
LONGEST_RUN_YEARS = 9

# Weights among the movies' and among television's genres; the place in this table is the number of the genre.
# Adult is set from isAdult and Short from the type. The rarest are a little above reality, so that a small
# sample has every genre that movies have.
_GENRE_WEIGHTS: dict[str, tuple[int, int]] = {
    "": (0, 0),
    "Action": (745, 420),
    "Adult": (0, 0),
    "Adventure": (370, 380),
    "Animation": (160, 500),
    "Biography": (270, 60),
    "Comedy": (1_650, 2_200),
    "Crime": (560, 480),
    "Documentary": (1_950, 1_100),
    "Drama": (3_700, 3_000),
    "Family": (330, 900),
    "Fantasy": (230, 200),
    "Film-Noir": (22, 0),
    "Game-Show": (22, 420),
    "History": (240, 180),
    "Horror": (580, 60),
    "Music": (230, 330),
    "Musical": (150, 30),
    "Mystery": (270, 250),
    "News": (28, 1_000),
    "Reality-TV": (22, 1_150),
    "Romance": (760, 1_000),
    "Sci-Fi": (210, 130),
    "Short": (0, 0),
    "Sport": (120, 400),
    "Talk-Show": (22, 1_400),
    "Thriller": (680, 140),
    "War": (120, 30),
    "Western": (110, 60),
}
GENRES = tuple(_GENRE_WEIGHTS)
ACTION, ADULT, SHORT = (GENRES.index(name) for name in ("Action", "Adult", "Short"))

YEARS = range(1894, 2027)
RUNTIMES = range(1, 301)
# In tenths of a star.
RATINGS = range(10, 101)
# Doubling bins: few titles have most of the votes.
VOTE_EDGES = tuple(5 * 2**doubling for doubling in range(20))

Weights = Sequence[int]


def bell(values: Iterable[float], centre: float, spread: float) -> Weights:
    """Return the weights of a normal curve over `values`.

    They are integers because the last bit of `exp` differs between machines, and the sample must not.
    """
    return [round(1_000_000 * math.exp(-(((value - centre) / spread) ** 2) / 2)) for value in values]


class Wheel:
    """Weighted draws: each kind has its own row of weights over the same outcomes 0, 1, 2..."""

    def __init__(self, *weights: Weights) -> None:
        running = np.cumsum(np.array(weights, dtype=np.int64), axis=1)
        self._outcomes = running.shape[1]
        # Kind k owns the stretch from k to k + 1 of one line, so that a single search serves every kind.
        self._edges = (running / running[:, -1:] + np.arange(len(weights))[:, None]).ravel()

    def draw(self, state: RandomState, kinds: Indices) -> Indices:
        """Draw one outcome for each of `kinds`."""
        found = np.searchsorted(self._edges, state.random_sample(len(kinds)) + kinds, side="right")
        # The sum of draw and kind can round up into the next kind's stretch.
        outcomes: Indices = np.minimum(found - kinds * self._outcomes, self._outcomes - 1)
        return outcomes


def pick(state: RandomState, sizes: Indices) -> Indices:
    """Draw one of 0 .. size - 1 for each of `sizes`, all equally likely."""
    return (state.random_sample(len(sizes)) * sizes).astype(np.int64)


def chance(state: RandomState, odds: NDArray[np.float64]) -> Flags:
    """Draw true with each row's odds."""
    return state.random_sample(len(odds)) < odds


TYPE_WHEEL = Wheel([title_type.rows for title_type in TITLE_TYPES])
# Steeply towards the present, with the running year hardly begun.
YEAR_WHEEL = Wheel([((year - 1889) ** 4 + 8_000_000) // (5 if year == YEARS[-1] else 1) for year in YEARS])
RUNTIME_WHEEL = Wheel(*(bell(RUNTIMES, *title_type.runtime) for title_type in TITLE_TYPES))
# Kinds: movies and the like, television; the counts of genres are 0 to 3.
GENRE_WHEEL = Wheel(*zip(*_GENRE_WEIGHTS.values(), strict=True))
GENRE_COUNT_WHEEL = Wheel((109, 449, 236, 206), (50, 480, 250, 220))
# Kinds: television, movies and the like, Action movies. The last are liked better than in reality, so that a
# search for the best of them finds some in a small sample too.
RATING_WHEEL = Wheel(bell(RATINGS, 72, 12), bell(RATINGS, 61.5, 12.5), bell(RATINGS, 67.5, 15))
# Kinds: episodes, everything else.
VOTES_WHEEL = Wheel(
    bell(range(len(VOTE_EDGES) - 1), -1.0, 3.2),
    bell(range(len(VOTE_EDGES) - 1), 1.5, 4.3),
)
