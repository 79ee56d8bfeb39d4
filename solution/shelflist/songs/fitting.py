"""Fitting: four LightGBM models on one layout, each calibrated on the quarter of related songs it has not seen."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from .classifier import calibrated
from .features import ENGLISH, NUMBER_COLUMNS, VECTOR_COLUMNS, Layout, Song, clean, new_layout
from .matrices import Matrix, matrix
from .model_files import FOLDS, Fold
from .relatedness import Groups, weights
from .scoring import log_loss
from .themes import LANGUAGES

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

ROUNDS = 70
PARAMETERS: Mapping[str, Any] = {
    "objective": "multiclass",
    "learning_rate": 0.15,
    "num_leaves": 5,
    "min_data_in_leaf": 8,
    "lambda_l2": 3.0,
    # Random thresholds and half of the features a tree: an artist's exact values are harder to learn.
    "extra_trees": True,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}

_SINGLE = (25, 26, 27, 28, *range(29, 42), *range(54, 61), *range(85, 92), *range(116, 123), 147, 148)
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "timbre": ("loudness", "tempo", "duration", *VECTOR_COLUMNS[:24]),
    "summary": ("loudness", "tempo", "duration", *VECTOR_COLUMNS[:24], *(f"vect_{number}" for number in _SINGLE)),
    "all": tuple(name for name in NUMBER_COLUMNS if name not in ("time_signature", "key", "mode")),
}
"""Name -> the numbers that a layout takes as they are; what is left out describes single bands of the spectrum."""
MAX_COMPARED_ROWS = 5_000
"""Songs up to which the candidates are compared; the differences between them vanish with many."""

WORD_GROUPS = 12
"""Groups of related songs that a word must occur in: others name an artist."""
MAX_WORDS = 400
SHIFT = 0.5
"""How far towards the expected shares the genres' shares are moved, 1 being all the way."""

_FOREIGN = frozenset[str]().union(*(words for name, words in LANGUAGES.items() if name != ENGLISH))


@dataclass(frozen=True)
class Sample:
    """Songs to learn from: the place of each one's genre, and its group."""

    songs: Sequence[Song]
    truth: Places
    groups: Groups
    genres: tuple[str, ...]
    expected: Mapping[str, float] | None

    def part(self, places: Places) -> "Sample":
        """Return some of the songs."""
        songs = [self.songs[place] for place in places]
        return Sample(songs, self.truth[places], self.groups[places], self.genres, self.expected)


@dataclass(frozen=True)
class Ensemble:
    """What was fitted, and the log-loss of each candidate on the quarters that were held out."""

    candidate: str
    layout: Layout
    folds: tuple[Fold, ...]
    bias: tuple[float, ...]
    losses: Mapping[str, float]


def fit(sample: Sample, seed: int) -> Iterator[float | Ensemble]:
    """Yield the share that is done after each fold, and the ensemble at last: the candidate of the lowest loss."""
    names = list(CANDIDATES) if len(sample.songs) <= MAX_COMPARED_ROWS else ["all"]
    bias = _bias(sample)
    weight = weights(sample.groups)
    splits = list(split(sample.truth, sample.groups, seed))
    idf = _idf(sample)
    found: dict[str, tuple[Layout, list[Fold]]] = {}
    losses: dict[str, float] = {}
    for number, name in enumerate(names):
        layout = new_layout(CANDIDATES[name], idf)
        features = matrix(sample.songs, layout)
        folds, held_out = [], np.zeros((len(sample.songs), len(sample.genres)))
        for fold, (inside, outside) in enumerate(splits):
            text, raw = _trees(features, sample, weight, (inside, outside), seed + fold)
            factor = _temperature(raw, sample.truth[outside], weight[outside])
            held_out[outside] = calibrated(raw, factor, np.zeros(len(sample.genres)))
            folds.append(Fold(text, factor))
            yield (number + (fold + 1) / len(splits)) / len(names)
        found[name] = layout, folds
        losses[name] = log_loss(held_out, sample.truth, weight)
    best = min(names, key=lambda name: losses[name])
    layout, folds = found[best]
    yield Ensemble(best, layout, tuple(folds), bias, {name: round(loss, 4) for name, loss in losses.items()})


def split(truth: Places, groups: Groups, seed: int) -> Iterator[tuple[Places, Places]]:
    """Yield the places inside and outside of each of four folds: no group on both sides, the genres' shares alike."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    with warnings.catch_warnings():
        # A genre of few groups cannot be in every fold; the scores show what that costs.
        warnings.simplefilter("ignore", UserWarning)
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        yield from folds.split(np.zeros(len(truth)), truth, groups)


def _trees(
    features: Matrix, sample: Sample, weight: Floats, fold: tuple[Places, Places], seed: int
) -> tuple[str, Floats]:
    import lightgbm as lgb

    inside, outside = fold
    parameters = {**PARAMETERS, "num_class": len(sample.genres), "seed": seed}
    data = lgb.Dataset(features[inside], sample.truth[inside], weight=weight[inside], params=parameters)
    booster = lgb.train(parameters, data, ROUNDS)
    # Through the text: what serves is what was calibrated.
    text = booster.model_to_string()
    raw = lgb.Booster(model_str=text).predict(features[outside], raw_score=True, num_threads=1)
    return text, np.asarray(raw, dtype=np.float64)


def _temperature(raw: Floats, truth: Places, weight: Floats) -> float:
    flat = np.zeros(raw.shape[1])
    factors = np.round(np.linspace(0.3, 1.5, 61), 2)
    losses = [log_loss(calibrated(raw, factor, flat), truth, weight) for factor in factors]
    return float(factors[int(np.argmin(losses))])


def _bias(sample: Sample) -> tuple[float, ...]:
    if sample.expected is None:
        return (0.0,) * len(sample.genres)
    counts = np.bincount(sample.truth, minlength=len(sample.genres))
    own = (counts + 1) / (counts + 1).sum()
    return tuple(
        round(SHIFT * log(max(sample.expected.get(genre, 0.0), 1e-3) / share), 6)
        for genre, share in zip(sample.genres, own, strict=True)
    )


def _idf(sample: Sample) -> dict[str, float]:
    """Return the words that occur in enough groups, with their smoothed inverse document frequencies."""
    documents: Counter[str] = Counter()
    pairs: set[tuple[str, int]] = set()
    for song, group in zip(sample.songs, sample.groups.tolist(), strict=True):
        words = set(clean(song.tags)) - _FOREIGN
        documents.update(words)
        pairs.update((word, group) for word in words)
    spread = Counter(word for word, _ in pairs)
    enough = sorted((word for word, count in spread.items() if count >= WORD_GROUPS), key=lambda w: (-spread[w], w))
    total = len(sample.songs)
    return {word: log((1 + total) / (1 + documents[word])) + 1 for word in enough[:MAX_WORDS]}
