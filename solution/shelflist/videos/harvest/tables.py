"""The tables of the harvest, equal to the migrated database (a test compares)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from shelflist.shared.database import metadata
from shelflist.videos.tables import videos

_NOW = sa.func.now()
_MOMENT = sa.DateTime(timezone=True)


def _feed_id(*, is_key: bool = False) -> sa.Column[str]:
    reference = sa.ForeignKey(feeds.c.id, ondelete="CASCADE")
    return sa.Column("feed_id", UUID(as_uuid=False), reference, primary_key=is_key, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


feeds = sa.Table(
    "feeds",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("updated_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("query_key", sa.Text(collation="C"), nullable=False, unique=True),
    sa.Column("interval_seconds", sa.Integer),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("since", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("watermark", _MOMENT),
    sa.Column("looks_from", _MOMENT),
    sa.Column("next_poll_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("last_success_at", _MOMENT),
    sa.Column("last_error", sa.Text),
    _count("failures"),
    sa.CheckConstraint("interval_seconds BETWEEN 1 AND 604800", name="interval_seconds"),
    sa.CheckConstraint("failures >= 0", name="failures"),
)
sa.Index("feeds_created_at_idx", feeds.c.created_at, feeds.c.id)
sa.Index("feeds_next_poll_at_idx", feeds.c.next_poll_at, postgresql_where=feeds.c.enabled)

feed_videos = sa.Table(
    "feed_videos",
    metadata,
    _feed_id(is_key=True),
    sa.Column("video_id", sa.BigInteger, sa.ForeignKey(videos.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Index("feed_videos_video_id_idx", "video_id"),
    sa.CheckConstraint("source IN ('youtube', 'invidious')", name="source"),
)

feed_runs = sa.Table(
    "feed_runs",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    _feed_id(),
    sa.Column("started_at", _MOMENT, nullable=False),
    sa.Column("finished_at", _MOMENT),
    sa.Column("outcome", sa.Text, nullable=False, server_default="running"),
    sa.Column("source", sa.Text),
    sa.Column("key_label", sa.Text),
    sa.Column("published_after", _MOMENT),
    sa.Column("published_before", _MOMENT),
    *(_count(name) for name in ("calls", "pages", "new", "updated", "duplicates", "skipped")),
    sa.Column("errors", JSONB, nullable=False, server_default="[]"),
    sa.Index("feed_runs_feed_id_idx", "feed_id", "started_at", "id"),
    sa.Index("feed_runs_calls_idx", "feed_id", "started_at", "id", postgresql_where=sa.text("calls > 0")),
    sa.Index("feed_runs_started_at_idx", "started_at"),
    sa.CheckConstraint(
        "outcome IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')",
        name="outcome",
    ),
    sa.CheckConstraint("source IN ('youtube', 'invidious')", name="source"),
)

feed_gaps = sa.Table(
    "feed_gaps",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _feed_id(),
    sa.Column("published_after", _MOMENT, nullable=False),
    sa.Column("published_before", _MOMENT, nullable=False),
    sa.Index("feed_gaps_feed_id_idx", "feed_id", "published_before"),
    sa.CheckConstraint("published_after < published_before", name="window"),
)

youtube_keys = sa.Table(
    "youtube_keys",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("quota_day", sa.Date, nullable=False),
    _count("calls_used"),
    sa.Column("parked_until", _MOMENT),
    sa.Column("disabled_at", _MOMENT),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint("calls_used >= 0", name="calls_used"),
)

invidious_instances = sa.Table(
    "invidious_instances",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    _count("failures"),
    sa.Column("open_until", _MOMENT),
    sa.Column("reason", sa.Text),
    sa.CheckConstraint("failures >= 0", name="failures"),
)
