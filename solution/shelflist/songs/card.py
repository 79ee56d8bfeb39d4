"""The model card: what a model was trained on, what it scored and how that was measured, for people to read.

After Mitchell et al. 2019 (https://arxiv.org/abs/1810.03993).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shelflist.shared.rendering import RENDERER

from .fitting import CANDIDATES, WORD_GROUPS
from .model_files import FOLDS, Model
from .relatedness import BLOCK, REGIONS
from .scoring import LEVEL
from .tried import TRIED

_SECONDS = 60.0
_DARK = 0.65
"""The share of a row above which white is easier to read than black."""


def text(model: Model) -> str:
    """Return the card in Markdown."""
    parts = [_opening(model), _scores(model), _measuring(model), _genres(model.scores), _method(model), TRIED]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def confusion_picture(scores: Mapping[str, Any], genres: Sequence[str]) -> bytes:
    """Return the confusion matrix of held-out songs as SVG: shares of the actual genre, with the songs in the cells."""
    values = [
        {
            "actual": actual,
            "predicted": predicted,
            "share": share,
            "text": f"{share:.2f}" if count else "",
            "is_dark": share > _DARK,
        }
        for actual, row in zip(genres, scores["confusion"], strict=True)
        for predicted, count in zip(genres, row, strict=True)
        for share in [count / max(sum(row), 1e-9)]
    ]
    shared = {
        "y": {"field": "actual", "type": "nominal", "sort": list(genres), "title": "actual genre"},
        "x": {
            "field": "predicted",
            "type": "nominal",
            "sort": list(genres),
            "title": "predicted genre",
            "axis": {"labelAngle": -45, "orient": "bottom"},
        },
    }
    colour = {
        "field": "share",
        "type": "quantitative",
        "legend": None,
        "scale": {"range": ["#f7fbff", "#08306b"], "domain": [0, 1]},
    }
    ink = {"condition": {"test": {"field": "is_dark", "equal": True}, "value": "white"}, "value": "black"}
    figures = scores["unrelated"]
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 16,
        "config": {
            "font": "Liberation Sans, DejaVu Sans, sans-serif",
            "view": {"stroke": None},
            "axis": {"labelLimit": 0, "titleLimit": 0},
            "title": {"anchor": "start", "offset": 12, "limit": 0},
        },
        "title": {
            "text": "Genres of songs that are unrelated to those trained on",
            "subtitle": f"accuracy {figures['accuracy']['value']:.1%}; cells: share of the actual genre",
        },
        "data": {"values": values},
        "width": {"step": 46},
        "height": {"step": 30},
        "layer": [
            {"mark": {"type": "rect", "stroke": "#dddddd"}, "encoding": {**shared, "color": colour}},
            {
                "mark": {"type": "text", "fontSize": 11},
                "encoding": {**shared, "text": {"field": "text", "type": "nominal"}, "color": ink},
            },
        ],
    }
    return RENDERER.render(chart, "image/svg+xml", seconds=_SECONDS)


def _opening(model: Model) -> str:
    counts = ", ".join(f"{row['genre']} {row['songs']}" for row in model.scores["per_genre"])
    libraries = ", ".join(f"{name} {number}" for name, number in model.libraries.items())
    figures = [model.scores[name] for name in ("unrelated", "regions")]
    found = [part["accuracy"] for figure in figures for part in (figure, figure.get("in_english", figure))]
    low, high = min(part["interval"][0] for part in found), max(part["value"] for part in found)
    return f"""
# Genres of songs, model {model.version}

Trained {model.trained_at:%Y-%m-%d} on {model.rows} songs of {len(model.genres)} genres.

- Seed: {model.parameters["seed"]}.
- Genres: {counts}.
- Libraries: {libraries}.

**What to expect of songs that are unrelated to these: an accuracy between {low:.0%} and {high:.0%}**, nearer the lower
figure where artists and styles are unlike all that were trained on, or come from another collection. It judges by audio
descriptors and lyric words; songs without lyrics, or in a language that few of these songs are in, are judged worse. It
is meant to sort a catalogue that people correct, not to decide anything about an artist.
"""


def _scores(model: Model) -> str:
    scores = model.scores
    names = {
        "unrelated": "songs of unseen groups",
        "regions": "songs of unseen regions",
        "shuffled": "shuffled songs (flattering)",
    }
    lines = [f"| {names[name]} | {_row(scores[name])} |" for name in names]
    baseline = scores["baseline"]
    english = [
        f"Of the {figures['songs']} songs in English, {names[name]}: accuracy {figures['accuracy']['value']:.1%}"
        f" ({figures['accuracy']['interval'][0]:.1%} to {figures['accuracy']['interval'][1]:.1%})."
        for name in ("unrelated", "regions")
        if (figures := scores[name].get("in_english"))
    ]
    expected = [
        f"Were the genres' shares the expected ones, the accuracy on {names[name]} would be"
        f" {scores[name]['accuracy_at_expected_shares']:.1%}."
        for name in ("unrelated", "regions")
        if "accuracy_at_expected_shares" in scores[name]
    ]
    return "\n".join(
        [
            "## Scores",
            "",
            f"With {LEVEL:.0%} intervals, which cover the choice of groups but not of the genres' definition.",
            "",
            "| judged | accuracy | macro-F1 | log-loss | groups |",
            "| --- | --- | --- | --- | --- |",
            *lines,
            f"| always {baseline['genre']} | {baseline['accuracy']:.3f} | | | |",
            "",
            *english,
            *expected,
        ]
    )


def _row(figures: Mapping[str, Any]) -> str:
    cells = []
    for name in ("accuracy", "macro_f1", "log_loss"):
        low, high = figures[name]["interval"]
        cells.append(f"{figures[name]['value']:.3f} ({low:.3f} to {high:.3f})")
    return " | ".join([*cells, str(figures["groups"])])


def _measuring(model: Model) -> str:
    rounds = model.scores["unrelated"]["rounds"]
    return f"""
## How they were measured

- No column names the artist. Genres are taken as given to artists, so songs of different genres count as by different
  artists; the songs of each genre are cut into blocks of about {BLOCK} that resemble each other in recording and words
  (Ward clusters of three views), and blocks that share a song (the same words or title) are joined. A group is such a
  block. The real artists are not known: this is a stand-in.
- *Unseen groups*: {FOLDS} outer folds, stratified by genre, no group on both sides; mean of {rounds} ways to split.
- *Unseen regions*: the same with only {REGIONS} blocks a genre, so that what is held out is the part of each genre that
  is most unlike the rest. This is nearest to songs from another collection.
- *Shuffled*: the same with every song on its own. Related songs are on both sides, and the figure is too good; it
  stands here because it is the one that is usually reported.
- In every outer fold the words, the candidate layout and the calibration are chosen on the other three quarters alone:
  no score is computed on songs that took part in a choice of the training code. The intervals draw whole groups.
- What the training code itself prescribes (the themes, the trees' parameters, the candidates) was settled by people who
  had compared variants on the songs of the shipped model; its scores may flatter by a few hundredths for that.
"""


def _genres(scores: Mapping[str, Any]) -> str:
    lines = [
        f"| {row['genre']} | {row['songs']} | {row['precision']:.2f} | {row['recall']:.2f} | {row['f1']:.2f} |"
        for row in scores["per_genre"]
    ]
    head = ["## Genres, on songs of unseen groups", "", "| genre | songs | precision | recall | F1 |"]
    picture = "![Confusion matrix on songs of unseen groups](confusion.svg)"
    return "\n".join([*head, "| --- | --- | --- | --- | --- |", *lines, "", picture])


def _method(model: Model) -> str:
    layout, parameters = model.layout, model.parameters
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in model.scores["candidates"].items())
    return f"""
## The model

- {len(layout.names)} features: {len(layout.audio)} audio numbers as they are (`{parameters["audio"]}`), flags of mode
  and metre, the key on the circle of fifths, counts of words, {len(layout.themes)} themes as word lists, the shares of
  English and of the likeliest other language, and tf-idf of {len(layout.words)} words that occur in at least
  {WORD_GROUPS} groups. Titles and ids are not used.
- Which audio numbers: the lowest log-loss on held-out quarters of {len(CANDIDATES)} candidates ({losses}).
- {FOLDS} LightGBM models of {parameters["rounds"]} rounds, each trained on three quarters of the groups, every group
  with the same weight, and calibrated by one temperature on the last quarter; probabilities are their mean.
- {_expected(model)}
"""


def _expected(model: Model) -> str:
    shift = model.parameters["shift"]
    if shift is None:
        return "The genres' shares are those of the songs that were trained on."
    shares = ", ".join(f"{genre} {share:.1%}" for genre, share in model.parameters["expected"].items())
    return (
        f"The genres' shares are moved {shift:.0%} of the way, on a logarithmic scale, towards those of a larger"
        f" collection ({shares}): nobody knows whose mix of songs will be sent, and half-way costs least where either"
        " guess is wrong."
    )
