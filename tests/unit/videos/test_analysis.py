"""The figures from counts equal those of scikit-learn from rows."""

import csv
import gzip
import math
import warnings
from collections import Counter

import pytest
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics
from tests.conftest import REAL_DATA
from tests.factories.label_pairs import random_pairs

from shelflist.videos import analysis

Pairs = list[tuple[str, str]]

TABLES: dict[str, Pairs] = {
    "random": random_pairs(500, 8, seed=1),
    "many labels": random_pairs(2000, 60, seed=2),
    "few rows": random_pairs(5, 4, seed=3),
    "all right": [("A", "A"), ("B", "B"), ("B", "B")],
    "all wrong": [("A", "B"), ("B", "A")],
    "nothing in common": [("A", "B"), ("A", "C")],
    "one predicted": [("A", "A"), ("B", "A"), ("C", "A")],
    "one actual": [("A", "A"), ("A", "B"), ("A", "C")],
}


@pytest.fixture(params=[*TABLES, "real"])
def pairs(request: pytest.FixtureRequest) -> Pairs:
    """Actual and predicted labels of some rows."""
    return real_pairs() if request.param == "real" else TABLES[request.param]


def real_pairs() -> Pairs:
    path = REAL_DATA / "videos" / "labelled_videos.csv.gz"
    if not path.exists():
        pytest.skip("the real labelled videos are not beside the repository (../shared/data/videos)")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [(row["actual_label"], row["predicted_label"]) for row in csv.DictReader(file, delimiter=";")]


def close(value: float) -> object:
    return pytest.approx(value, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("none", None), ("actual", "true"), ("predicted", "pred"), ("all", "all")]
)
def test_the_matrix_is_that_of_scikit_learn(pairs: Pairs, ours: str, theirs: str | None) -> None:
    actual, predicted = zip(*pairs, strict=True)
    matrix = analysis.confusion(Counter(pairs))
    assert list(matrix.labels) == sorted({*actual, *predicted})
    with warnings.catch_warnings(action="ignore"):
        expected = sklearn_metrics.confusion_matrix(actual, predicted, labels=matrix.labels, normalize=theirs)
    for row, expected_row in zip(analysis.normalized(matrix, ours), expected.tolist(), strict=True):
        assert row == close(expected_row)


def test_the_figures_are_those_of_scikit_learn(pairs: Pairs) -> None:
    actual, predicted = zip(*pairs, strict=True)
    figures = analysis.metrics(analysis.confusion(Counter(pairs)))
    with warnings.catch_warnings(action="ignore"):
        kappa = sklearn_metrics.cohen_kappa_score(actual, predicted)
        assert figures.accuracy == close(sklearn_metrics.accuracy_score(actual, predicted))
        assert figures.balanced_accuracy == close(sklearn_metrics.balanced_accuracy_score(actual, predicted))
        assert figures.cohen_kappa == (None if math.isnan(kappa) else close(kappa))
        assert figures.matthews_correlation == close(sklearn_metrics.matthews_corrcoef(actual, predicted))
    for average in ("macro", "micro", "weighted"):
        *expected, _ = sklearn_metrics.precision_recall_fscore_support(
            actual, predicted, average=average, zero_division=0
        )
        scores = getattr(figures, average)
        assert [scores.precision, scores.recall, scores.f1] == close([float(value) for value in expected])


def test_the_scores_of_each_label_are_those_of_scikit_learn(pairs: Pairs) -> None:
    actual, predicted = zip(*pairs, strict=True)
    figures = analysis.metrics(analysis.confusion(Counter(pairs)))
    expected = sklearn_metrics.precision_recall_fscore_support(actual, predicted, zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [getattr(scores, name) for scores in figures.labels] == close(values.tolist())


@pytest.mark.parametrize(("successes", "total"), [(0, 1), (1, 1), (3, 4), (777, 1046), (0, 50), (50, 50)])
def test_the_interval_is_wilsons(successes: int, total: int) -> None:
    expected = binomtest(successes, total).proportion_ci(0.95, method="wilson")
    interval = analysis.wilson_interval(successes, total)
    assert [interval.low, interval.high] == close([float(expected.low), float(expected.high)])


def test_one_label_for_everything_leaves_kappa_undefined() -> None:
    figures = analysis.metrics(analysis.confusion({("A", "A"): 3}))
    assert (figures.accuracy, figures.cohen_kappa, figures.matthews_correlation) == (1.0, None, 0.0)


def test_without_rows_nothing_is_defined() -> None:
    nothing = analysis.Scores(None, None, None)
    assert analysis.metrics(analysis.confusion({})) == analysis.Metrics(
        total=0,
        accuracy=None,
        accuracy_interval=analysis.Interval(None, None),
        balanced_accuracy=None,
        cohen_kappa=None,
        matthews_correlation=None,
        macro=nothing,
        micro=nothing,
        weighted=nothing,
        labels=[],
    )


def test_the_real_labels_are_right_in_74_of_100_videos() -> None:
    matrix = analysis.confusion(Counter(real_pairs()))
    assert analysis.metrics(matrix).accuracy == pytest.approx(0.7428, abs=5e-5)
    undefined = matrix.labels.index("Undefined")
    assert (matrix.supports[undefined], matrix.predicted[undefined] > 0) == (0, True)
