"""Scores of predictions on songs that took no part in training, with intervals over groups of related songs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

RESAMPLES = 2_000
LEVEL = 0.95


def scores(rounds: Sequence[Floats], truth: Integers, groups: Integers, seed: int) -> dict[str, Any]:
    """Return accuracy, macro-F1 and log-loss of the mean of several rounds, each with its 95 % interval.

    A round is the probabilities (songs x genres) of one way to split. Intervals are percentiles of a bootstrap that
    draws whole groups: songs of one artist are no independent observations.
    """
    genres = rounds[0].shape[1]
    _, places = np.unique(groups, return_inverse=True)
    matrices = np.zeros((places.max() + 1, genres, genres))
    losses = np.zeros(places.max() + 1)
    for probabilities in rounds:
        np.add.at(matrices, (places, truth, probabilities.argmax(axis=1)), 1 / len(rounds))
        np.add.at(losses, places, -np.log(_of_truth(probabilities, truth)) / len(rounds))
    drawn = np.random.default_rng(seed).multinomial(len(losses), np.full(len(losses), 1 / len(losses)), RESAMPLES)
    draws = drawn.astype(np.float64)
    found = np.stack([*_figures(np.einsum("dg,gij->dij", draws, matrices, optimize=True), draws @ losses)])
    low, high = np.percentile(found, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=1)
    total = matrices.sum(axis=0)
    means = np.stack([*_figures(total[None], losses.sum()[None])])[:, 0]
    names = ("accuracy", "macro_f1", "log_loss")
    return {
        name: {"value": _rounded(mean), "interval": [_rounded(lower), _rounded(upper)]}
        for name, mean, lower, upper in zip(names, means, low, high, strict=True)
    } | {"groups": len(losses)}


def reweighted_accuracy(rounds: Sequence[Floats], truth: Integers, shares: Floats) -> float:
    """Return the accuracy that would be had where the genres had these shares."""
    hits = np.mean([probabilities.argmax(axis=1) == truth for probabilities in rounds], axis=0)
    recalls = np.array([hits[truth == genre].mean() for genre in range(len(shares))])
    return _rounded(float(recalls @ shares / shares.sum()))


def confusion(rounds: Sequence[Floats], truth: Integers) -> Floats:
    """Return the matrix of songs, actual x predicted genre, as the mean of the rounds."""
    genres = rounds[0].shape[1]
    result = np.zeros((genres, genres))
    for probabilities in rounds:
        np.add.at(result, (truth, probabilities.argmax(axis=1)), 1 / len(rounds))
    return result


def per_genre(matrix: Floats, genres: Sequence[str]) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of each genre, 0 where nothing was predicted."""
    precision, recall, f1 = _ratios(matrix[None])
    return [
        {
            "genre": genre,
            "songs": round(float(matrix[place].sum())),
            "precision": _rounded(precision[0, place]),
            "recall": _rounded(recall[0, place]),
            "f1": _rounded(f1[0, place]),
        }
        for place, genre in enumerate(genres)
    ]


def log_loss(probabilities: Floats, truth: Integers, weights: Floats) -> float:
    """Return the weighted mean of the negative logarithm of the probability of what is true."""
    return float(np.average(-np.log(_of_truth(probabilities, truth)), weights=weights))


def _of_truth(probabilities: Floats, truth: Integers) -> Floats:
    return np.asarray(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12))


def _figures(matrices: Floats, losses: Floats) -> tuple[Floats, Floats, Floats]:
    totals = matrices.sum(axis=(1, 2))
    accuracy = np.trace(matrices, axis1=1, axis2=2) / totals
    return accuracy, _ratios(matrices)[2].mean(axis=1), losses / totals


def _ratios(matrices: Floats) -> tuple[Floats, Floats, Floats]:
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    actual, predicted = matrices.sum(axis=2), matrices.sum(axis=1)
    return (
        hits / np.maximum(predicted, 1e-12),
        hits / np.maximum(actual, 1e-12),
        2 * hits / np.maximum(actual + predicted, 1e-12),
    )


def _rounded(value: float) -> float:
    return round(float(value), 4)
