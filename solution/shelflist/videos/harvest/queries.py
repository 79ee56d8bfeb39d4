"""Every SELECT of feeds, their runs and what they have found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from shelflist.shared.folding import fold
from shelflist.shared.paging import Keyset, Page, Position, Sort
from shelflist.shared.problems import NotFound
from shelflist.shared.searching import words_of
from shelflist.videos.tables import videos

from .tables import feed_runs, feed_videos, feeds

Condition = sa.ColumnElement[bool]

FEED_SORTS: dict[str, Sort] = {
    "created_at": Sort(feeds.c.created_at, datetime, is_nullable=False),
    "query": Sort(feeds.c.query_key, str, is_nullable=False),
}
RUN_SORTS = {"started_at": Sort(feed_runs.c.started_at, datetime, is_nullable=False)}


def query_key(query: str) -> str:
    """Return what two queries share that ask the same: the text folded, its words one space apart."""
    return " ".join(fold(query).split())


def _asks_for(text: str) -> Condition:
    return feeds.c.query_key.contains(" ".join(words_of(text)), autoescape=True)


FEED_FILTERS: dict[str, Callable[[Any], Condition]] = {
    "enabled": lambda value: feeds.c.enabled if value else ~feeds.c.enabled,
    "q": _asks_for,
}
RUN_FILTERS: dict[str, Callable[[Any], Condition]] = {
    "outcome": lambda value: feed_runs.c.outcome == value,
}


def list_feeds(
    connection: sa.Connection,
    filters: Mapping[str, Any],
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of feeds behind `after`; `filters` as the caller gave them, None where not given."""
    conditions = [FEED_FILTERS[name](value) for name, value in filters.items() if value is not None]
    keyset = Keyset(FEED_SORTS[sort], feeds.c.id, desc)
    return keyset.fetch(connection, sa.select(feeds).where(*conditions), after, page_size)


def get_feed(connection: sa.Connection, feed_id: str) -> sa.Row[Any]:
    """Return the feed; raises NotFound."""
    return _found(connection, sa.select(feeds), feed_id)


def lock_feed(connection: sa.Connection, feed_id: str) -> sa.Row[Any]:
    """Return the feed, which nobody else changes until the transaction ends; raises NotFound."""
    return _found(connection, sa.select(feeds).with_for_update(), feed_id)


def feed_with_key(connection: sa.Connection, key: str) -> str | None:
    """Return the id of the feed whose query has this key, None where there is none."""
    return connection.scalar(sa.select(feeds.c.id).where(feeds.c.query_key == key))


def list_runs(
    connection: sa.Connection,
    feed_id: str,
    filters: Mapping[str, Any],
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of the feed's ledger behind `after`; raises NotFound where there is no such feed."""
    get_feed(connection, feed_id)
    conditions = [RUN_FILTERS[name](value) for name, value in filters.items() if value is not None]
    statement = sa.select(feed_runs).where(feed_runs.c.feed_id == feed_id, *conditions)
    return Keyset(RUN_SORTS[sort], feed_runs.c.id, desc).fetch(connection, statement, after, page_size)


@dataclass(frozen=True)
class FeedStatistics:
    """How many videos a feed has found, by what showed them to it first; on days without one they are left out."""

    feed_id: str
    sources: Mapping[str, int]
    first_published_at: datetime | None
    newest_published_at: datetime | None
    days: Mapping[date, Mapping[str, int]]


def get_statistics(connection: sa.Connection, feed_id: str, first: date, last: date) -> FeedStatistics:
    """Count what the feed has found: in all, and on each day in UTC from `first` to `last`; raises NotFound."""
    get_feed(connection, feed_id)
    rows = connection.execute(_counts(feed_id, first, last)).all()
    days: dict[date, dict[str, int]] = {}
    sources: dict[str, int] = {}
    for row in rows:
        sources[row.source] = sources.get(row.source, 0) + row.found
        if row.day is not None:
            days.setdefault(row.day, {})[row.source] = row.found
    oldest = min((row.oldest for row in rows if row.oldest is not None), default=None)
    newest = max((row.newest for row in rows if row.newest is not None), default=None)
    return FeedStatistics(feed_id, sources, oldest, newest, days)


def _counts(feed_id: str, first: date, last: date) -> sa.Select[Any]:
    """Return the statement that counts by source and day; the day is null outside of the days that are asked for."""
    moment = videos.c.published_at
    begin = datetime.combine(first, time(), UTC)
    end = datetime.combine(last, time(), UTC) + timedelta(days=1)
    is_asked_for = sa.and_(moment >= begin, moment < end)
    day = sa.case((is_asked_for, sa.cast(sa.func.timezone("UTC", moment), sa.Date))).label("day")
    figures = (
        sa.func.count().label("found"),
        sa.func.min(moment).label("oldest"),
        sa.func.max(moment).label("newest"),
    )
    joined = feed_videos.join(videos, videos.c.id == feed_videos.c.video_id)
    counts: sa.Select[Any] = sa.select(feed_videos.c.source, day, *figures).select_from(joined)
    return counts.where(feed_videos.c.feed_id == feed_id).group_by(feed_videos.c.source, sa.text("day"))


def _found(connection: sa.Connection, statement: sa.Select[Any], feed_id: str) -> sa.Row[Any]:
    row = connection.execute(statement.where(feeds.c.id == feed_id)).first()
    if row is None:
        raise NotFound(f"there is no feed {feed_id}")
    return row
