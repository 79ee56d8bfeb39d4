"""The tables of videos, equal to the migrated database (a test compares)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL

from shelflist.shared.database import metadata

VECTOR_LENGTH = 256
"""Values of each feature vector."""

_KEY = sa.Text(collation="C")
_NOW = sa.func.now()

videos = sa.Table(
    "videos",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("content_id", _KEY, nullable=False, unique=True),
    sa.Column("title", sa.Text),
    sa.Column("title_key", _KEY),
    sa.Column("description", sa.Text),
    sa.Column("search_key", _KEY),
    sa.Column("channel_id", _KEY),
    sa.Column("channel_title", sa.Text),
    sa.Column("published_at", sa.DateTime(timezone=True)),
    sa.Column("is_published_approximate", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("thumbnails", JSONB, nullable=False, server_default="{}"),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("tvshow", _KEY),
    sa.Column("actual_label", _KEY),
    sa.Column("predicted_label", _KEY),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    sa.Column("live_state", sa.Text),
    sa.Column("seen_at", sa.DateTime(timezone=True)),
    sa.CheckConstraint("live_state IN ('none', 'live', 'upcoming')", name="live_state"),
    sa.CheckConstraint("source IN ('youtube', 'invidious', 'upload')", name="source"),
)

is_labelled = videos.c.actual_label.is_not(None) & videos.c.predicted_label.is_not(None)
"""The condition under which the analysis counts a video."""

for _column in ("published_at", "created_at", "title_key"):
    sa.Index(f"videos_{_column}_idx", videos.c[_column], videos.c.id)
for _column in ("channel_id", "tvshow", "predicted_label"):
    sa.Index(f"videos_{_column}_idx", videos.c[_column], videos.c.published_at, videos.c.id)
sa.Index("videos_seen_at_idx", videos.c.seen_at, postgresql_where=videos.c.seen_at.is_not(None))
sa.Index("videos_labels_idx", videos.c.actual_label, videos.c.predicted_label, videos.c.published_at, videos.c.id)
sa.Index("videos_matrix_idx", videos.c.actual_label, videos.c.predicted_label, postgresql_where=is_labelled)
sa.Index(
    "videos_analysis_idx",
    videos.c.tvshow,
    videos.c.actual_label,
    videos.c.predicted_label,
    videos.c.created_at,
    postgresql_where=is_labelled,
)
sa.Index(
    "videos_search_trgm_idx",
    videos.c.search_key,
    postgresql_using="gin",
    postgresql_ops={"search_key": "gin_trgm_ops"},
)

feature_vectors = sa.Table(
    "feature_vectors",
    metadata,
    sa.Column("video_id", sa.BigInteger, sa.ForeignKey(videos.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("feature_vector", ARRAY(REAL), nullable=False),
    sa.CheckConstraint(
        "array_ndims(feature_vector) = 1 AND array_length(feature_vector, 1) = 256 "
        "AND array_position(feature_vector, NULL) IS NULL",
        name="feature_vector",
    ),
)

video_revisions = sa.Table(
    "video_revisions",
    metadata,
    sa.Column("is_only", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.CheckConstraint("is_only", name="is_only"),
)

feature_importances = sa.Table(
    "feature_importances",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("arguments", JSONB, nullable=False),
    sa.Column("data_version", sa.BigInteger, nullable=False),
    sa.Column("result", JSONB, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=_NOW),
    sa.UniqueConstraint("arguments", "data_version", name="feature_importances_arguments_data_version_key"),
)
