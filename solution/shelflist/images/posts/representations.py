"""Rows of posts as API bodies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from marshmallow import fields

from shelflist.shared.representing import RowSchema
from shelflist.shared.timestamps import Timestamp

from ..queries import SIZES
from ..representations import image
from .queries import Beside

Body = dict[str, Any]


class SharedPostSchema(RowSchema):
    """What everybody may see who has the link: nothing by which anything else could be found."""

    class Meta:
        """Fields in the order of the documentation."""

        ordered = True

    username = fields.String()
    display_name = fields.String()
    caption = fields.String()
    created_at = Timestamp()
    like_count = fields.Integer()
    image_url = fields.String()


class PostSchema(RowSchema):
    """One post without what is beside its row."""

    class Meta:
        """Fields in the order of the documentation."""

        ordered = True

    id = fields.String()
    username = fields.String()
    caption = fields.String()
    image_id = fields.String()
    image_url = fields.String()
    like_count = fields.Integer()
    created_at = Timestamp()
    updated_at = Timestamp()


_POST, _SHARED = PostSchema(), SharedPostSchema()


def posts(rows: Sequence[sa.Row[Any]], beside: Beside) -> list[Body]:
    """Return posts as lists show them."""
    return [post(row, beside) for row in rows]


def post(row: sa.Row[Any], beside: Beside) -> Body:
    """Return one post with its image, and whether the caller likes it; null where nobody calls."""
    shown = beside.images.get(row.image_id)
    liked = None if beside.liked is None else row.id in beside.liked
    return {**_POST.dump(row), "image": None if shown is None else image(shown), "liked": liked}


def link(link_id: str, public_url: str | None) -> Body:
    """Return a link to share: an address where the operator has said where people reach the API, else a path."""
    return {"link_id": link_id, "url": f"{(public_url or '').rstrip('/')}{shared_path(link_id)}"}


def shared_path(link_id: str) -> str:
    """Return where a link leads."""
    return f"/shared/{link_id}"


def shared_post(row: sa.Row[Any], beside: Beside, link_id: str) -> Body:
    """Return what the link shows of a post: no id but the link's own."""
    shown = beside.images.get(row.image_id)
    return {**_SHARED.dump(row), "image": None if shown is None else _shared_image(image(shown), link_id)}


def _shared_image(whole: Body, link_id: str) -> Body:
    urls = {size: f"{shared_path(link_id)}/content?size={size}" for size in SIZES}
    return {name: whole[name] for name in ("width", "height", "labels")} | {"urls": urls}
