"""Every write of feeds that a request asks for, one transaction each."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from shelflist.shared import clock
from shelflist.shared.database import transaction_lock
from shelflist.shared.problems import FieldError, NotFound, Unprocessable
from shelflist.videos.rules import CONTROL

from .problems import FeedExists, TooManyFeeds
from .queries import feed_with_key, lock_feed, query_key
from .tables import feed_gaps, feed_runs, feeds

MAX_FEEDS = 1_000


def add_feed(connection: sa.Connection, body: Mapping[str, Any]) -> sa.Row[Any]:
    """Store a feed that is due at once, and return it; raises FeedExists, TooManyFeeds, Unprocessable."""
    query = _query(body["query"])
    _queue_for_queries(connection)
    known = feed_with_key(connection, query_key(query))
    if known is not None:
        raise FeedExists(known)
    if (connection.scalar(sa.select(sa.func.count()).select_from(feeds)) or 0) >= MAX_FEEDS:
        raise TooManyFeeds(MAX_FEEDS)
    now = clock.now()
    values = {
        "id": str(uuid7()),
        "query": query,
        "query_key": query_key(query),
        "interval_seconds": body.get("interval_seconds"),
        "enabled": body.get("enabled", True),
        **dict.fromkeys(("since", "next_poll_at", "created_at", "updated_at"), now),
    }
    return connection.execute(insert(feeds).values(**values).returning(feeds)).one()


def change_feed(connection: sa.Connection, feed_id: str, body: Mapping[str, Any], time_delay: int) -> sa.Row[Any]:
    """Change the given fields and return the feed; raises NotFound, FeedExists, Unprocessable.

    `time_delay` is the interval in seconds of a feed that has none of its own.
    """
    now = clock.now()
    values: dict[str, Any] = {name: body[name] for name in ("interval_seconds", "enabled") if name in body}
    if "query" in body:
        # Before the feed's row: who holds that must not wait for those who give queries.
        _queue_for_queries(connection)
        values["query"] = _query(body["query"])
        values["query_key"] = query_key(values["query"])
    row = lock_feed(connection, feed_id)
    if values.get("interval_seconds", row.interval_seconds) != row.interval_seconds:
        seconds = values["interval_seconds"] or time_delay
        values["next_poll_at"] = min(row.next_poll_at, now + timedelta(seconds=seconds))
    if values.get("enabled") and not row.enabled:
        values |= {"next_poll_at": now, "failures": 0, "last_error": None}
    if values.get("query_key", row.query_key) != row.query_key:
        values |= _start_afresh(connection, row, values["query_key"], now)
    changed = feeds.update().where(feeds.c.id == feed_id).values(**values, updated_at=now)
    return connection.execute(changed.returning(feeds)).one()


def delete_feed(connection: sa.Connection, feed_id: str) -> None:
    """Remove a feed with its runs, its gaps and its links to videos, which stay; raises NotFound."""
    if connection.execute(feeds.delete().where(feeds.c.id == feed_id)).rowcount == 0:
        raise NotFound(f"there is no feed {feed_id}")


def _start_afresh(connection: sa.Connection, row: sa.Row[Any], key: str, now: datetime) -> dict[str, Any]:
    """Forget what belongs to the query before and end a poll under way; returns the columns that this sets."""
    known = feed_with_key(connection, key)
    if known is not None:
        raise FeedExists(known)
    connection.execute(feed_gaps.delete().where(feed_gaps.c.feed_id == row.id))
    is_under_way = (feed_runs.c.feed_id == row.id, feed_runs.c.outcome == "running")
    connection.execute(feed_runs.update().where(*is_under_way).values(outcome="interrupted", finished_at=now))
    forgotten = dict.fromkeys(("watermark", "looks_from", "last_success_at", "last_error"))
    return {"since": now, "failures": 0, "next_poll_at": now, **forgotten}


def _query(text: str) -> str:
    query = text.strip()
    if CONTROL.search(query):
        rule = "must hold no control characters"
        raise Unprocessable(f"query {rule}", errors=[FieldError("query", "control-character", rule)])
    if not query_key(query):
        rule = "must hold more than spaces"
        raise Unprocessable(f"query {rule}", errors=[FieldError("query", "out-of-bounds", rule)])
    return query


def _queue_for_queries(connection: sa.Connection) -> None:
    """Wait until nobody else gives a feed a query, so that a query is found before it is given twice."""
    transaction_lock(connection, "shelflist-feeds")
