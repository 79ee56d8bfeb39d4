"""The analysis as charts in Vega-Lite (https://vega.github.io/vega-lite/docs/), every value inside the chart.

Labels are data: they never stand in an expression, a field's name or a format.
"""

import re
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from .problems import TooManyGroups, TooManyLabels

Chart = dict[str, Any]
Body = Mapping[str, Any]

MAX_LABELS = 100
"""Labels on one axis of a picture."""
MAX_GROUPS = 25
"""Groups of one picture."""
MAX_MARKS = 20_000
"""Cells of all matrices of one picture."""
TOP_FEATURES = 30

# XML has no way to write these (https://www.w3.org/TR/xml/#charsets); C1 is left out because nobody can see it.
_NOT_XML = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufffe\\uffff]")

_CONFIG: Chart = {
    "font": "Liberation Sans, DejaVu Sans, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelLimit": 0,
        "titleLimit": 0,
        "labelFontSize": 11,
        "titleFontSize": 12,
        "labelOverlap": False,
        # Vega puts a title no further out than this, over longer labels where need be.
        "maxExtent": 10_000,
    },
    "legend": {"labelLimit": 0, "titleLimit": 0},
    "title": {
        "limit": 0,
        "fontSize": 15,
        "subtitleFontSize": 12,
        "subtitlePadding": 4,
        "anchor": "start",
        "offset": 12,
    },
}
_COLOURS = {"precision": "#4c78a8", "recall": "#f58518", "F1": "#54a24b"}
_DARK = 0.65
"""The share of the darkest cell's value above which white is easier to read than black."""
_GAINS = {"gain": "#4c78a8", "permutation": "#f58518"}


def confusion_matrix(body: Body, accuracies: Sequence[float | None]) -> Chart:
    """Return heat maps of the matrix and of each group's; `accuracies` are theirs, in the same order.

    Raises TooManyLabels and TooManyGroups where no one could read the picture.
    """
    if not body["total"]:
        return _nothing()
    parts = [body, *body["groups"]]
    _check_size(parts)
    charts = [_heat_map(part, body["normalize"], accuracy) for part, accuracy in zip(parts, accuracies, strict=True)]
    return _page(charts)


def performance_metrics(body: Body) -> Chart:
    """Return precision, recall and F1 of each label as bars, for all videos and for each group.

    Raises TooManyLabels and TooManyGroups where no one could read the picture.
    """
    if not body["total"]:
        return _nothing()
    parts = [body, *body["groups"]]
    _check_size(parts)
    return _page([_bars(part) for part in parts])


def feature_importance(body: Body) -> Chart:
    """Return the features of the highest gain, with gain and permutation importance side by side."""
    features = body["features"][:TOP_FEATURES]
    order = [f"feature {feature['feature_index']}" for feature in features]
    values = [
        {"feature": name, "kind": kind, "value": feature[kind]}
        for name, feature in zip(order, features, strict=True)
        for kind in _GAINS
    ]
    title = {
        "text": f"What predicts {body['target']}: {len(features)} of 256 features",
        "subtitle": [
            f"held-out accuracy {_percent(body['held_out_accuracy'])}"
            f" (most frequent class: {_percent(body['baseline_accuracy'])})",
            f"{body['model']}, {body['rows_used']} of {body['rows_available']} videos",
        ],
    }
    panel = {
        "width": 300,
        "height": {"step": 18},
        "mark": "bar",
        "encoding": {
            "y": {"field": "feature", "type": "nominal", "sort": order, "title": None},
            "x": {"field": "value", "type": "quantitative", "title": None, "axis": {"tickCount": 5}},
            "color": {"field": "kind", "type": "nominal", "legend": None, "scale": _scale(_GAINS)},
        },
    }
    facet = {"column": {"field": "kind", "type": "nominal", "title": None, "header": {"labelFontSize": 13}}}
    return _chart(
        {"data": {"values": values}, "title": title, "facet": facet, "spec": panel, "resolve": _independent("x")}
    )


def _check_size(parts: Sequence[Body]) -> None:
    if len(parts) - 1 > MAX_GROUPS:
        raise TooManyGroups(len(parts) - 1, MAX_GROUPS)
    sizes = [len(part["labels"]) for part in parts]
    if max(sizes) > MAX_LABELS:
        raise TooManyLabels(f"a picture shows at most {MAX_LABELS} labels, not {max(sizes)}")
    if sum(size**2 for size in sizes) > MAX_MARKS:
        raise TooManyLabels(f"the matrices have more than {MAX_MARKS} cells, too many for a picture")


def _heat_map(part: Body, normalize: str, accuracy: float | None) -> Chart:
    if not part["total"]:
        return _empty_panel(_title(part, "Confusion matrix", []))
    labels = [_shown(label) for label in part["labels"]]
    digits = 0 if normalize == "none" else 2
    highest = max((count for row in part["matrix"] for count in row), default=0)
    values = [
        {
            "actual": actual,
            "predicted": predicted,
            "value": value,
            "text": f"{value:.{digits}f}" if value else "",
            "is_dark": value > highest * _DARK,
        }
        for actual, row in zip(labels, part["matrix"], strict=True)
        for predicted, value in zip(labels, row, strict=True)
    ]
    longest = max((len(value["text"]) for value in values), default=1)
    # The axes' titles need some room where there are few labels.
    room = 140 // len(labels)
    step = max(room, 8 * longest + 10)
    shared = {
        "y": {"field": "actual", "type": "nominal", "sort": labels, "title": "actual label"},
        "x": {
            "field": "predicted",
            "type": "nominal",
            "sort": labels,
            "title": "predicted label",
            "axis": {"labelAngle": -45, "orient": "bottom"},
        },
    }
    colour = {
        "field": "value",
        "type": "quantitative",
        "legend": None,
        "scale": {"range": ["#f7fbff", "#08306b"], "domain": [0, highest or 1]},
    }
    ink = {"condition": {"test": {"field": "is_dark", "equal": True}, "value": "white"}, "value": "black"}
    unit = {"none": "videos", "actual": "share of the row", "predicted": "share of the column", "all": "share of all"}
    return {
        "data": {"values": values},
        "title": _title(part, "Confusion matrix", [f"accuracy {_percent(accuracy)}", f"cells: {unit[normalize]}"]),
        "width": {"step": step},
        "height": {"step": max(room, min(step, 30))},
        "layer": [
            {"mark": {"type": "rect", "stroke": "#dddddd"}, "encoding": {**shared, "color": colour}},
            {
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {**shared, "text": {"field": "text", "type": "nominal"}, "color": ink},
            },
        ],
    }


def _bars(part: Body) -> Chart:
    if not part["total"]:
        return _empty_panel(_title(part, "Precision, recall and F1", []))
    names = [f"{_shown(scores['label'])} ({scores['support']})" for scores in part["labels"]]
    values = [
        {"label": name, "score": score, "value": scores[score.lower()]}
        for name, scores in zip(names, part["labels"], strict=True)
        for score in _COLOURS
    ]
    notes = [f"accuracy {_percent(part['accuracy'])}", f"macro F1 {_percent(part['macro']['f1'])}"]
    return {
        "data": {"values": values},
        "title": _title(part, "Precision, recall and F1", notes),
        "width": 420,
        "height": {"step": 12, "for": "offset"},
        "mark": {"type": "bar", "height": {"band": 0.9}},
        "encoding": {
            "y": {
                "field": "label",
                "type": "nominal",
                "sort": names,
                "title": "label (videos)",
                "scale": {"paddingInner": 0.25},
            },
            "yOffset": {"field": "score", "sort": list(_COLOURS)},
            "x": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"domain": [0, 1]},
                "axis": {"format": ".1f", "tickCount": 10},
            },
            "color": {
                "field": "score",
                "type": "nominal",
                "title": None,
                "scale": _scale(_COLOURS),
                "legend": {"orient": "top", "symbolType": "square"},
            },
        },
    }


def _title(part: Body, subject: str, notes: Sequence[str]) -> Chart:
    name = part.get("name")
    text = subject if name is None else _wrapped(_shown(name))
    return {"text": text, "subtitle": ", ".join([f"{part['total']} videos", *notes])}


def _shown(text: str) -> str:
    return _NOT_XML.sub(" ", text)


def _wrapped(text: str, width: int = 60) -> list[str]:
    """Return the text in lines, cut even inside a word: a title must not be wider than its picture for ever."""
    return [text[start : start + width] for start in range(0, len(text), width)] or [""]


def _page(charts: Sequence[Chart]) -> Chart:
    if len(charts) == 1:
        return _chart(charts[0])
    columns = min(3, ceil(len(charts) ** 0.5))
    return _chart({"concat": list(charts), "columns": columns, "resolve": _independent("x", "y", "color")})


def _independent(*channels: str) -> Chart:
    return {"scale": dict.fromkeys(channels, "independent")}


def _scale(colours: Mapping[str, str]) -> Chart:
    return {"domain": list(colours), "range": list(colours.values())}


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _nothing() -> Chart:
    return _chart(_empty_panel(None))


def _empty_panel(title: Chart | None) -> Chart:
    return {
        "data": {"values": [{"text": "no labelled videos"}]},
        "title": title,
        "width": 320,
        "height": 80,
        "mark": {"type": "text", "fontSize": 16},
        "encoding": {"text": {"field": "text", "type": "nominal"}},
    }


def _chart(inner: Chart) -> Chart:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 16,
        "autosize": {"type": "pad"},
        "config": _CONFIG,
        **inner,
    }
