"""The tables of images and of what was seen on them, equal to the migrated database (a test compares)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from shelflist.shared.database import metadata

from .people.tables import users

_KEY = sa.Text(collation="C")
_ID = UUID(as_uuid=False)
_NOW = sa.func.now()
_MOMENT = sa.DateTime(timezone=True)

image_contents = sa.Table(
    "image_contents",
    metadata,
    sa.Column("sha256", _KEY, primary_key=True),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("frames", sa.Integer, nullable=False),
    sa.Column("stored_at", _MOMENT),
    sa.Column("lost_at", _MOMENT),
    sa.Column("touched_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("labelling", sa.Text, nullable=False, server_default="pending"),
    sa.Column("labelling_error", sa.Text),
    sa.Column("labelling_failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("labelling_tried_at", _MOMENT),
    sa.Column("model", sa.Text),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256"),
    sa.CheckConstraint("format IN ('jpeg', 'png', 'webp', 'gif')", name="format"),
    sa.CheckConstraint("labelling IN ('pending', 'done', 'failed')", name="labelling"),
)
sa.Index(
    "image_contents_labelling_idx",
    image_contents.c.labelling,
    image_contents.c.created_at,
    postgresql_where=image_contents.c.labelling != "done",
)


def _content(*, primary_key: bool = False) -> sa.Column[str]:
    key = sa.ForeignKey(image_contents.c.sha256, ondelete="CASCADE")
    return sa.Column("content_sha256", _KEY, key, nullable=False, primary_key=primary_key)


image_variants = sa.Table(
    "image_variants",
    metadata,
    _content(primary_key=True),
    sa.Column("size", sa.Text, primary_key=True),
    sa.Column("sha256", _KEY, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.CheckConstraint("size IN ('original', 'medium', 'thumb')", name="size"),
    sa.Index("image_variants_sha256_idx", "sha256"),
)

image_files = sa.Table(
    "image_files",
    metadata,
    sa.Column("sha256", _KEY, primary_key=True),
    _content(),
    sa.Index("image_files_content_sha256_idx", "content_sha256"),
)

image_inferences = sa.Table(
    "image_inferences",
    metadata,
    _content(primary_key=True),
    sa.Column("model", _KEY, primary_key=True),
    sa.Column("labels", JSONB, nullable=False),
    sa.Column("caption", sa.Text),
    sa.Column("caption_source", sa.Text),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
)

sa.Index(
    "image_inferences_caption_idx",
    image_inferences.c.created_at,
    postgresql_where=image_inferences.c.caption_source.is_(None),
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("owner_id", _ID, sa.ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("content_sha256", _KEY, sa.ForeignKey(image_contents.c.sha256), nullable=False),
    sa.Column("owner_labels", ARRAY(sa.Text)),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("updated_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Index("images_owner_content_idx", "owner_id", "content_sha256", unique=True),
    sa.Index("images_owner_created_at_idx", "owner_id", "created_at", "id"),
    sa.Index("images_content_sha256_idx", "content_sha256"),
)
