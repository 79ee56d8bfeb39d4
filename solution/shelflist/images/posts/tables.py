"""The tables of posts, equal to the migrated database (a test compares)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from shelflist.shared.database import metadata

from ..people.tables import users
from ..tables import images

_KEY = sa.Text(collation="C")
_ID = UUID(as_uuid=False)
_NOW = sa.func.now()
_MOMENT = sa.DateTime(timezone=True)

posts = sa.Table(
    "posts",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("user_id", _ID, sa.ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("image_id", _ID, sa.ForeignKey(images.c.id)),
    sa.Column("image_url", sa.Text),
    sa.Column("caption", sa.Text),
    sa.Column("like_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("updated_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.CheckConstraint("(image_id IS NULL) <> (image_url IS NULL)", name="image"),
    sa.CheckConstraint("char_length(caption) <= 100", name="caption"),
    sa.Index("posts_created_at_idx", "created_at", "id", postgresql_include=["user_id"]),
    sa.Index("posts_user_created_at_idx", "user_id", "created_at", "id"),
    sa.Index("posts_like_count_idx", "like_count", "id"),
    sa.Index("posts_image_id_idx", "image_id"),
)


def _post(*, primary_key: bool = False) -> sa.Column[str]:
    post = sa.ForeignKey(posts.c.id, ondelete="CASCADE")
    return sa.Column("post_id", _ID, post, primary_key=primary_key, nullable=False)


likes = sa.Table(
    "likes",
    metadata,
    _post(primary_key=True),
    sa.Column("user_id", _ID, sa.ForeignKey(users.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Index("likes_user_id_idx", "user_id", "post_id"),
)

post_labels = sa.Table(
    "post_labels",
    metadata,
    sa.Column("term", _KEY, primary_key=True),
    sa.Column("created_at", _MOMENT, primary_key=True),
    _post(primary_key=True),
    sa.Column("user_id", _ID, nullable=False),
    sa.Index("post_labels_user_id_idx", "user_id", "term", "created_at", "post_id"),
    sa.Index("post_labels_post_id_idx", "post_id"),
)

post_links = sa.Table(
    "post_links",
    metadata,
    sa.Column("link_id", _KEY, primary_key=True),
    _post(),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Index("post_links_post_id_idx", "post_id", unique=True),
)
