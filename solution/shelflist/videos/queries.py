"""Every SELECT of videos, but for the analysis."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shelflist.shared.paging import Keyset, Page, Position, Sort
from shelflist.shared.problems import NotFound
from shelflist.shared.searching import words_of
from shelflist.shared.timestamps import parse_timestamp

from .harvest.tables import feed_videos
from .tables import feature_vectors, is_labelled, videos

Condition = sa.ColumnElement[bool]

SHOWN = [column for column in videos.c if column.name not in ("title_key", "search_key", "seen_at")]
"""The columns that rows of lists carry; what only searching needs stays in the database."""

SORTS: dict[str, Sort] = {
    "published_at": Sort(videos.c.published_at, datetime),
    "created_at": Sort(videos.c.created_at, datetime, is_nullable=False),
    "title": Sort(videos.c.title_key, str),
}


def _mentions(text: str) -> Condition:
    return sa.and_(*(videos.c.search_key.contains(word, autoescape=True) for word in words_of(text)))


def _found_by(feed: str) -> Condition:
    return sa.exists().where(feed_videos.c.feed_id == feed, feed_videos.c.video_id == videos.c.id)


def _is_correct(wanted: bool) -> Condition:
    is_equal = videos.c.actual_label == videos.c.predicted_label
    return is_labelled & (is_equal if wanted else ~is_equal)


FILTERS: dict[str, Callable[[Any], Condition]] = {
    "q": _mentions,
    "published_gte": lambda value: videos.c.published_at >= parse_timestamp(value, "published_gte"),
    "published_lt": lambda value: videos.c.published_at < parse_timestamp(value, "published_lt"),
    "created_gte": lambda value: videos.c.created_at >= parse_timestamp(value, "created_gte"),
    "created_lt": lambda value: videos.c.created_at < parse_timestamp(value, "created_lt"),
    "channel_id": lambda value: videos.c.channel_id == value,
    "feed": _found_by,
    "source": lambda value: videos.c.source == value,
    "live_state": lambda value: videos.c.live_state == value,
    "tvshow": lambda value: videos.c.tvshow == value,
    "actual_label": lambda value: videos.c.actual_label == value,
    "predicted_label": lambda value: videos.c.predicted_label == value,
    "labelled": lambda value: is_labelled if value else ~is_labelled,
    "correct": _is_correct,
}
"""Filter name -> condition."""


def list_videos(
    connection: sa.Connection,
    filters: Mapping[str, Any],
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of videos behind `after`; `filters` as the caller gave them, None where not given."""
    conditions = [FILTERS[name](value) for name, value in filters.items() if value is not None]
    keyset = Keyset(SORTS[sort], videos.c.id, desc)
    return keyset.fetch(connection, sa.select(*SHOWN).where(*conditions), after, page_size)


def get_video(connection: sa.Connection, content_id: str) -> sa.Row[Any]:
    """Return the video with its vector, None where it has none; raises NotFound."""
    joined = videos.outerjoin(feature_vectors, feature_vectors.c.video_id == videos.c.id)
    statement: sa.Select[Any] = sa.select(*SHOWN, feature_vectors.c.feature_vector).select_from(joined)
    row = connection.execute(statement.where(videos.c.content_id == content_id)).first()
    if row is None:
        raise NotFound(f"there is no video {content_id}")
    return row
