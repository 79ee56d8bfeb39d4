"""How well predicted labels meet actual ones: the figures of scikit-learn from counts alone, without its weight."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95

_Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

Counts = Mapping[tuple[str, str], int]
"""(actual label, predicted label) -> rows."""


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1; None where there are no rows at all."""

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class LabelScores:
    """The scores of one label; `support` is the number of rows that actually have it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a share; without ends where there are no rows."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class Metrics:
    """The figures over some rows; None where they are not defined."""

    total: int
    accuracy: float | None
    accuracy_interval: Interval
    balanced_accuracy: float | None
    cohen_kappa: float | None
    matthews_correlation: float | None
    macro: Scores
    micro: Scores
    weighted: Scores
    labels: Sequence[LabelScores]


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix: rows are actual labels, columns predicted ones, both in the order of `labels`."""

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]

    @cached_property
    def supports(self) -> list[int]:
        """Rows that actually have each label."""
        return [sum(row) for row in self.matrix]

    @cached_property
    def predicted(self) -> list[int]:
        """Rows that are predicted to have each label."""
        return [sum(column) for column in zip(*self.matrix, strict=True)]

    @cached_property
    def correct(self) -> int:
        """Rows whose two labels are the same."""
        return sum(row[place] for place, row in enumerate(self.matrix))

    @cached_property
    def total(self) -> int:
        """All rows."""
        return sum(self.supports)


def confusion(counts: Counts) -> Confusion:
    """Return the matrix over the sorted union of actual and predicted labels."""
    labels = sorted({label for pair in counts for label in pair})
    matrix = tuple(tuple(counts.get((actual, predicted), 0) for predicted in labels) for actual in labels)
    return Confusion(tuple(labels), matrix)


def only_actual(counts: Counts, labels: Iterable[str]) -> Counts:
    """Return the counts of the rows whose actual label is one of `labels`."""
    wanted = frozenset(labels)
    return {pair: count for pair, count in counts.items() if pair[0] in wanted}


def normalized(matrix: Confusion, by: str) -> list[list[float]]:
    """Return the cells as shares of their row (`actual`), column (`predicted`) or all rows; 0 where that is empty.

    `none` keeps the counts. Equal to `normalize` of sklearn.metrics.confusion_matrix.
    """
    if by == "none":
        return [list(row) for row in matrix.matrix]

    def whole(row: int, column: int) -> int:
        return {"actual": matrix.supports[row], "predicted": matrix.predicted[column], "all": matrix.total}[by]

    return [
        [_share(count, whole(row, column)) for column, count in enumerate(cells)]
        for row, cells in enumerate(matrix.matrix)
    ]


def metrics(matrix: Confusion) -> Metrics:
    """Return the figures as scikit-learn computes them over the union of the labels, with zero_division=0.

    Cohen's kappa is None where every row has one and the same label for both: it is 0/0 there. The interval is
    Wilson's (https://doi.org/10.1080/01621459.1927.10502953).
    """
    labels = _label_scores(matrix)
    accuracy = matrix.correct / matrix.total if matrix.total else None
    return Metrics(
        total=matrix.total,
        accuracy=accuracy,
        accuracy_interval=wilson_interval(matrix.correct, matrix.total),
        balanced_accuracy=_balanced_accuracy(labels),
        cohen_kappa=_cohen_kappa(matrix),
        matthews_correlation=_matthews_correlation(matrix),
        macro=_mean(labels, [1] * len(labels)),
        micro=Scores(accuracy, accuracy, accuracy),
        weighted=_mean(labels, matrix.supports),
        labels=labels,
    )


def wilson_interval(successes: int, total: int) -> Interval:
    """Return Wilson's score interval, without continuity correction, of a share of `total`."""
    if not total:
        return Interval(None, None)
    share = successes / total
    centre = share + _Z**2 / (2 * total)
    reach = _Z * sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    scale = 1 + _Z**2 / total
    low = 0.0 if successes == 0 else (centre - reach) / scale
    high = 1.0 if successes == total else (centre + reach) / scale
    return Interval(low, high)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _label_scores(matrix: Confusion) -> list[LabelScores]:
    return [
        LabelScores(
            label=label,
            precision=_share(row[place], predicted),
            recall=_share(row[place], support),
            f1=_share(2 * row[place], predicted + support),
            support=support,
        )
        for place, (label, row, support, predicted) in enumerate(
            zip(matrix.labels, matrix.matrix, matrix.supports, matrix.predicted, strict=True)
        )
    ]


def _mean(labels: Sequence[LabelScores], weights: Sequence[int]) -> Scores:
    whole = sum(weights)
    if not whole:
        return Scores(None, None, None)

    def mean(name: str) -> float:
        values = (getattr(label, name) for label in labels)
        return float(sum(value * weight for value, weight in zip(values, weights, strict=True)) / whole)

    return Scores(mean("precision"), mean("recall"), mean("f1"))


def _balanced_accuracy(labels: Sequence[LabelScores]) -> float | None:
    recalls = [label.recall for label in labels if label.support]
    return sum(recalls) / len(recalls) if recalls else None


def _cohen_kappa(matrix: Confusion) -> float | None:
    chance = sum(actual * predicted for actual, predicted in zip(matrix.supports, matrix.predicted, strict=True))
    disagreement = matrix.total**2 - chance
    if not disagreement:
        return None
    return (matrix.total * matrix.correct - chance) / disagreement


def _matthews_correlation(matrix: Confusion) -> float | None:
    if not matrix.total:
        return None
    square = matrix.total**2
    chance = sum(actual * predicted for actual, predicted in zip(matrix.supports, matrix.predicted, strict=True))
    actual_spread = square - sum(count**2 for count in matrix.supports)
    predicted_spread = square - sum(count**2 for count in matrix.predicted)
    if not actual_spread or not predicted_spread:
        return 0.0
    return (matrix.total * matrix.correct - chance) / (sqrt(actual_spread) * sqrt(predicted_spread))
