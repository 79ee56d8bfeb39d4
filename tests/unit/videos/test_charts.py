"""Charts hold every label as it is, never in an expression, and refuse what nobody could read."""

from collections import Counter
from typing import Any

import pytest

from shelflist.videos import charts
from shelflist.videos.analysis import confusion, normalized
from shelflist.videos.problems import TooManyGroups, TooManyLabels


def body(labels: int, groups: int = 0) -> dict[str, Any]:
    matrix = confusion(Counter((f"{number}", f"{number}") for number in range(labels)))
    part = {"total": matrix.total, "labels": matrix.labels, "matrix": normalized(matrix, "none")}
    return {**part, "normalize": "none", "groups": [{**part, "name": f"{number}"} for number in range(groups)]}


def texts_outside_of_data(node: Any) -> set[str]:
    """Return every text of the chart but for its data and the orders of its axes."""
    if isinstance(node, dict):
        inner = [value for key, value in node.items() if key not in ("values", "sort")]
        return {text for value in inner for text in texts_outside_of_data(value)}
    if isinstance(node, list):
        return {text for value in node for text in texts_outside_of_data(value)}
    return {node} if isinstance(node, str) else set()


def test_labels_are_data_alone() -> None:
    evil = "datum.x; {{y}} ${z}"
    matrix = {"total": 1, "labels": [evil], "matrix": [[1]], "normalize": "none", "groups": []}
    assert not any(evil in text for text in texts_outside_of_data(charts.confusion_matrix(matrix, [1.0])))


def test_more_labels_than_a_picture_shows_are_refused() -> None:
    charts.confusion_matrix(body(charts.MAX_LABELS), [1.0])
    with pytest.raises(TooManyLabels):
        charts.confusion_matrix(body(charts.MAX_LABELS + 1), [1.0])
    with pytest.raises(TooManyLabels):
        charts.confusion_matrix(body(charts.MAX_LABELS, groups=2), [1.0] * 3)


def test_more_groups_than_a_picture_shows_are_refused() -> None:
    with pytest.raises(TooManyGroups):
        charts.confusion_matrix(body(1, groups=charts.MAX_GROUPS + 1), [1.0] * (charts.MAX_GROUPS + 2))
