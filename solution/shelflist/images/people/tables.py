"""The tables of people, equal to the migrated database (a test compares)."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from shelflist.shared.database import metadata

_KEY = sa.Text(collation="C")
_ID = UUID(as_uuid=False)
_NOW = sa.func.now()
_MOMENT = sa.DateTime(timezone=True)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("username", _KEY, nullable=False),
    sa.Column("username_key", _KEY, sa.Computed("lower(username)", persisted=True), nullable=False),
    sa.Column("email", _KEY, nullable=False),
    sa.Column("email_key", _KEY, sa.Computed("lower(email)", persisted=True), nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("display_name", sa.Text),
    sa.Column("bio", sa.Text),
    sa.Column("search_key", _KEY, nullable=False),
    sa.Column("follower_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("following_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("post_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("updated_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.CheckConstraint("username ~ '^[A-Za-z0-9_.]{3,30}$'", name="username"),
)
sa.Index("users_username_key_idx", users.c.username_key, unique=True)
sa.Index("users_email_key_idx", users.c.email_key, unique=True)
sa.Index("users_username_idx", users.c.username_key, users.c.id)
sa.Index("users_created_at_idx", users.c.created_at, users.c.id)
sa.Index(
    "users_search_trgm_idx", users.c.search_key, postgresql_using="gin", postgresql_ops={"search_key": "gin_trgm_ops"}
)


def _user(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, _ID, sa.ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False, **options)


access_tokens = sa.Table(
    "access_tokens",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    _user("user_id"),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("expires_at", _MOMENT, nullable=False),
    sa.Index("access_tokens_user_id_idx", "user_id"),
    sa.Index("access_tokens_expires_at_idx", "expires_at"),
)

follows = sa.Table(
    "follows",
    metadata,
    _user("follower_id", primary_key=True),
    _user("followee_id", primary_key=True),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.CheckConstraint("follower_id <> followee_id", name="self"),
    sa.Index("follows_followers_idx", "followee_id", "created_at", "follower_id"),
    sa.Index("follows_following_idx", "follower_id", "created_at", "followee_id"),
)
