"""Rows of videos as API bodies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from marshmallow import fields

from shelflist.shared.representing import RowSchema
from shelflist.shared.timestamps import Timestamp

Body = dict[str, Any]

CSV_COLUMNS = (
    "content_id",
    "title",
    "description",
    "channel_id",
    "channel_title",
    "published_at",
    "is_published_approximate",
    "thumbnails",
    "source",
    "live_state",
    "tvshow",
    "actual_label",
    "predicted_label",
    "created_at",
    "updated_at",
)


class VideoSchema(RowSchema):
    """One video as lists show it."""

    class Meta:
        """Fields in the order of the documentation."""

        ordered = True

    content_id = fields.String()
    title = fields.String()
    description = fields.String()
    channel_id = fields.String()
    channel_title = fields.String()
    published_at = Timestamp()
    is_published_approximate = fields.Boolean()
    thumbnails = fields.Raw()
    source = fields.String()
    live_state = fields.String()
    tvshow = fields.String()
    actual_label = fields.String()
    predicted_label = fields.String()
    created_at = Timestamp()
    updated_at = Timestamp()


class VideoDetailSchema(VideoSchema):
    """One video with its vector."""

    feature_vector = fields.Raw()


_VIDEO = VideoSchema()
_DETAIL = VideoDetailSchema()


def videos(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return videos as lists show them."""
    return list(_VIDEO.dump(rows, many=True))


def video(row: sa.Row[Any], only: Sequence[str] | None = None) -> Body:
    """Return one video with its vector, or only the fields that are named."""
    body: Body = _DETAIL.dump(row)
    return body if only is None else {name: value for name, value in body.items() if name in only}


def similar_videos(found: Sequence[tuple[sa.Row[Any], float]]) -> list[Body]:
    """Return videos, each with its similarity."""
    return [{**_VIDEO.dump(row), "similarity": similarity} for row, similarity in found]
