"""Rows of songs, genres and models as API bodies."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from marshmallow import fields

from shelflist.shared.representing import RowSchema
from shelflist.shared.timestamps import Timestamp

from .judge import Judgement
from .queries import SHOWN

Body = dict[str, Any]

CSV_COLUMNS = tuple(column.name for column in SHOWN)

_TIMESTAMP = Timestamp()


class SongSchema(RowSchema):
    """One song."""

    class Meta:
        """Fields in the order of the documentation."""

        ordered = True

    trackid = fields.String()
    title = fields.String()
    genre = fields.String()
    probability = fields.Float()
    predicted_genre = fields.String()
    corrected_genre = fields.String()
    model_version = fields.String()
    predicted_at = Timestamp()
    corrected_at = Timestamp()
    created_at = Timestamp()
    updated_at = Timestamp()


_SONG = SongSchema()


def songs(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return songs as lists show them."""
    return list(_SONG.dump(rows, many=True))


def song(row: sa.Row[Any]) -> Body:
    """Return one song."""
    body: Body = _SONG.dump(row)
    return body


def titles(rows: Sequence[sa.Row[Any]]) -> Any:
    """Return the titles of songs."""
    return [row.title for row in rows]


def genres(counts: Mapping[str, int]) -> Body:
    """Return genres with their numbers of songs."""
    return {"genres": [{"name": name, "count": count} for name, count in counts.items()]}


def prediction(version: str, judgement: Judgement) -> Body:
    """Return what a model takes one song for."""
    [probabilities] = judgement.probabilities
    ranked = sorted(zip(probabilities, judgement.genres, strict=True), key=lambda pair: -pair[0])
    found = [{"genre": genre, "probability": probability} for probability, genre in ranked]
    return {"model_version": version, **found[0], "genres": found}


def model(row: sa.Row[Any]) -> Body:
    """Return a model with its card."""
    description = row.description
    shown = ("rows", "genres", "layout", "parameters", "scores", "libraries")
    return {
        "version": row.version,
        "origin": row.origin,
        "trained_at": _moment(datetime.fromisoformat(description["trained_at"])),
        "activated_at": _moment(row.activated_at),
        **{name: description[name] for name in shown},
        "card": row.card,
    }


def _moment(value: datetime | None) -> Any:
    return _TIMESTAMP.serialize("moment", {"moment": value})
