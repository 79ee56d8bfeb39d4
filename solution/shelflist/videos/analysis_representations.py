"""The analysis as API bodies."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .analysis import CONFIDENCE, Confusion, Metrics, metrics, normalized

Body = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """The matrix of all videos, and that of each group by its name; `by` is None where nothing is compared."""

    whole: Confusion
    by: str | None
    groups: Mapping[str, Confusion]


def confusion_matrix(compared: Comparison, normalize: str) -> Body:
    """Return the matrices as the API shows them."""
    return {
        **_matrix(compared.whole, normalize),
        "normalize": normalize,
        "by": compared.by,
        "groups": [{"name": name, **_matrix(group, normalize)} for name, group in sorted(compared.groups.items())],
    }


def accuracies(compared: Comparison) -> list[float | None]:
    """Return the accuracy of all videos, then of each group in the order of the body."""
    groups = [group for _, group in sorted(compared.groups.items())]
    return [metrics(matrix).accuracy for matrix in (compared.whole, *groups)]


def performance_metrics(compared: Comparison) -> Body:
    """Return the figures as the API shows them."""
    return {
        **_figures(metrics(compared.whole)),
        "zero_division": 0,
        "by": compared.by,
        "groups": [{"name": name, **_figures(metrics(group))} for name, group in sorted(compared.groups.items())],
    }


def feature_importance(result: Mapping[str, Any], top: int) -> Body:
    """Return what was computed, with the `top` features of the highest gain."""
    features: Sequence[Body] = result["features"]
    return {**result, "features": features[:top]}


def _matrix(matrix: Confusion, normalize: str) -> Body:
    return {"total": matrix.total, "labels": matrix.labels, "matrix": normalized(matrix, normalize)}


def _figures(figures: Metrics) -> Body:
    body = asdict(figures)
    body["accuracy_interval"] = {"confidence": CONFIDENCE, "method": "wilson", **body["accuracy_interval"]}
    return body
