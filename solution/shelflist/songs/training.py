"""Training: two files become a model whose card says honestly what to expect of it.

Scores are nested: in each of four outer folds everything that is chosen (words, candidate, calibration) is chosen on
the three other quarters, and no group of related songs is on both sides.
"""

import platform
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shelflist.shared.clock import now

from . import card, relatedness, scoring
from .classifier import Classifier
from .features import LANGUAGE, new_layout
from .fitting import MAX_COMPARED_ROWS, PARAMETERS, ROUNDS, SHIFT, Ensemble, Sample, fit, split
from .matrices import matrix
from .model_files import Model, with_version
from .relatedness import Groups
from .training_files import LabelledSongs, TrainingError, read_labelled, read_shares

SEED = 20
ROUNDS_OF_SPLITS = 3
"""Ways to split that are averaged where the file is small enough for them to differ."""
MIN_SONGS_OF_GENRE = 8
MIN_GROUPS = 8

Progress = Callable[[float, str], None]
Floats = npt.NDArray[np.float64]


def train(
    features: Path,
    labels: Path,
    *,
    seed: int = SEED,
    progress: Progress = lambda _share, _what: None,
    corrections: Path | None = None,
    expected: Path | None = None,
    trained_at: datetime | None = None,
) -> Model:
    """Return a model of the songs in `features` with the genres in `labels`, those of `corrections` before them.

    `expected` is a file of labels whose shares of genres are nearer to those of the songs to come. `progress` is
    called with the share that is done and what is being done. Equal files, seed, day and libraries give an equal
    model. Raises TrainingError where a file is not as it must be, or has too few songs.
    """
    progress(0.0, "reading")
    labelled = read_labelled(features, labels, corrections)
    shares = None if expected is None else read_shares(expected)
    return train_on(labelled, seed=seed, progress=progress, expected=shares, trained_at=trained_at)


def train_on(
    labelled: LabelledSongs,
    *,
    seed: int = SEED,
    progress: Progress = lambda _share, _what: None,
    expected: Mapping[str, float] | None = None,
    trained_at: datetime | None = None,
) -> Model:
    """Return a model of songs that are in memory; see `train`."""
    genres = _checked_genres(labelled)
    progress(0.02, "finding related songs")
    groups = relatedness.related(labelled.songs, labelled.genres, seed)
    if len(set(groups.tolist())) < MIN_GROUPS:
        raise TrainingError(f"fewer than {MIN_GROUPS} groups of unrelated songs: nothing could be held out")
    places = {genre: place for place, genre in enumerate(genres)}
    truth = np.array([places[genre] for genre in labelled.genres], dtype=np.int64)
    sample = Sample(labelled.songs, truth, groups, genres, expected)

    ensemble = _fitted(sample, seed, lambda share: progress(0.05 + 0.1 * share, "training"))
    model = _model(ensemble, sample, seed, trained_at or now())
    regions = relatedness.regions(labelled.songs, labelled.genres, seed)
    measured = _measured(sample, regions, seed, lambda share, what: progress(0.15 + 0.8 * share, what))
    model = with_version(replace(model, scores={**measured, "candidates": dict(ensemble.losses)}))
    progress(0.96, "writing the card")
    model = replace(model, confusion=card.confusion_picture(model.scores, genres))
    model = replace(model, card=card.text(model))
    progress(1.0, "done")
    return model


def _checked_genres(labelled: LabelledSongs) -> tuple[str, ...]:
    counts = Counter(labelled.genres)
    if len(counts) < 2:
        raise TrainingError(f"a model tells at least 2 genres apart; the labels hold {len(counts)}")
    rare = {genre: count for genre, count in sorted(counts.items()) if count < MIN_SONGS_OF_GENRE}
    if rare:
        found = ", ".join(f"{genre} ({count})" for genre, count in rare.items())
        raise TrainingError(f"each genre needs {MIN_SONGS_OF_GENRE} songs; too few have: {found}")
    return tuple(sorted(counts))


def _fitted(sample: Sample, seed: int, progress: Callable[[float], None]) -> Ensemble:
    for step in fit(sample, seed):
        if isinstance(step, Ensemble):
            return step
        progress(step)
    raise AssertionError("an ensemble is the last of what is yielded")


def _model(ensemble: Ensemble, sample: Sample, seed: int, trained_at: datetime) -> Model:
    return Model(
        genres=sample.genres,
        layout=ensemble.layout,
        folds=ensemble.folds,
        bias=ensemble.bias,
        rows=len(sample.songs),
        parameters={
            **PARAMETERS,
            "rounds": ROUNDS,
            "audio": ensemble.candidate,
            "seed": seed,
            "shift": None if sample.expected is None else SHIFT,
            "expected": None if sample.expected is None else dict(sample.expected),
        },
        scores={},
        libraries={
            "python": platform.python_version(),
            **{name: version(name) for name in ("lightgbm", "numpy", "scikit-learn", "scipy")},
        },
        trained_at=trained_at.replace(microsecond=0),
    )


def _measured(sample: Sample, regions: Groups, seed: int, progress: Progress) -> dict[str, Any]:
    rounds = ROUNDS_OF_SPLITS if len(sample.songs) <= MAX_COMPARED_ROWS else 1
    plan = [("unrelated songs", sample.groups, seed + 100 * number) for number in range(1, rounds + 1)]
    plan += [("whole regions", regions, seed + 100), ("shuffled songs", np.arange(len(sample.songs)), seed + 100)]
    found: dict[str, list[Floats]] = {}
    for number, (what, groups, split_seed) in enumerate(plan):

        def report(share: float, number: int = number, what: str = what) -> None:
            progress((number + share) / len(plan), f"measuring on {what}")

        found.setdefault(what, []).append(_held_out(sample, groups, split_seed, report))
    truth, grouped = sample.truth, found["unrelated songs"]
    confusion = scoring.confusion(grouped, truth)
    counts = np.bincount(truth, minlength=len(sample.genres))
    result: dict[str, Any] = {
        "unrelated": {**scoring.scores(grouped, truth, sample.groups, seed), "rounds": rounds},
        "regions": scoring.scores(found["whole regions"], truth, regions, seed),
        "shuffled": scoring.scores(found["shuffled songs"], truth, sample.groups, seed),
        "baseline": {
            "genre": sample.genres[int(counts.argmax())],
            "accuracy": round(float(counts.max() / counts.sum()), 4),
        },
        "per_genre": scoring.per_genre(confusion, sample.genres),
        "confusion": np.round(confusion, 2).tolist(),
    }
    english = _in_english(sample)
    for name, rows, groups in (("unrelated", grouped, sample.groups), ("regions", found["whole regions"], regions)):
        if english.any():
            part = scoring.scores([one[english] for one in rows], truth[english], groups[english], seed)
            result[name]["in_english"] = {"songs": int(english.sum()), "accuracy": part["accuracy"]}
    if sample.expected is not None:
        shares = np.array([sample.expected.get(genre, 0.0) for genre in sample.genres])
        for name, rows in (("unrelated", grouped), ("regions", found["whole regions"])):
            result[name]["accuracy_at_expected_shares"] = scoring.reweighted_accuracy(rows, truth, shares)
    return result


def _in_english(sample: Sample) -> npt.NDArray[np.bool_]:
    layout = new_layout((), {})
    english, other = (layout.names.index(name) for name in LANGUAGE)
    features = matrix(sample.songs, layout)
    return np.asarray(features[:, english] > features[:, other])


def _held_out(sample: Sample, groups: Groups, seed: int, progress: Callable[[float], None]) -> Floats:
    """Return the probabilities of each song from an ensemble that was fitted without its fold."""
    result = np.zeros((len(sample.songs), len(sample.genres)))
    splits = list(split(sample.truth, groups, seed))
    for number, (inside, outside) in enumerate(splits):

        def report(share: float, number: int = number) -> None:
            progress((number + share) / len(splits))

        ensemble = _fitted(sample.part(inside), seed + 10 * number, report)
        classifier = Classifier(_model(ensemble, sample, seed, now()))
        result[outside] = classifier.predict([sample.songs[place] for place in outside])
    return result
