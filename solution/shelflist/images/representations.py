"""Rows of images as API bodies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from marshmallow import fields

from shelflist.shared.representing import RowSchema
from shelflist.shared.timestamps import Timestamp

from .queries import SIZES

Body = dict[str, Any]


def _urls(row: sa.Row[Any]) -> dict[str, str]:
    return {size: f"/images/{row.id}/content?size={size}" for size in SIZES}


def _labels(row: sa.Row[Any]) -> list[Body]:
    if row.owner_labels is not None:
        return [{"class_name": name, "score": None} for name in row.owner_labels]
    return [{"class_name": label["class_name"], "score": label["score"]} for label in row.model_labels or ()]


def _labelled_by(row: sa.Row[Any]) -> str | None:
    if row.owner_labels is not None:
        return "owner"
    return None if row.model_labels is None else "model"


class ImageSchema(RowSchema):
    """One image, as lists and posts show it, too."""

    class Meta:
        """Fields in the order of the documentation."""

        ordered = True

    id = fields.String()
    owner = fields.String()
    format = fields.String()
    width = fields.Integer()
    height = fields.Integer()
    frames = fields.Integer()
    bytes = fields.Integer()
    urls = fields.Function(_urls)
    labels = fields.Function(_labels)
    labelled_by = fields.Function(_labelled_by)
    labelling = fields.String()
    model = fields.String()
    suggested_caption = fields.String(attribute="caption")
    caption_source = fields.String()
    created_at = Timestamp()
    updated_at = Timestamp()


_IMAGE = ImageSchema()


def image(row: sa.Row[Any]) -> Body:
    """Return one image; the row is one of `queries.images_by_id`."""
    body: Body = _IMAGE.dump(row)
    return body


def images(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return images as lists show them."""
    return list(_IMAGE.dump(rows, many=True))
