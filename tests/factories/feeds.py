"""Feeds and their runs for tests, with what they do not care about filled in."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from uuid6 import uuid7

from shelflist.shared import clock
from shelflist.videos.harvest.queries import query_key
from shelflist.videos.harvest.tables import feed_gaps, feed_runs, feed_videos, feeds

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NOW_TEXT = "2026-11-21T09:30:00.000Z"
NOBODY = "00000000-0000-4000-8000-000000000000"


@contextmanager
def time_stands_still(moment: datetime = NOW) -> Iterator[None]:
    """Let it be `moment` for the whole process."""
    clock.simulate(clock.SimulatedClock(moment, speed=0))
    try:
        yield
    finally:
        clock.simulate(None)


def add_feeds(engine: sa.Engine, rows: Iterable[dict[str, Any]]) -> list[str]:
    """Store rows of the table feeds and return their ids."""
    with engine.begin() as connection:
        return [_insert(connection, feeds, {"query_key": query_key(row["query"]), **row}) for row in rows]


def add_runs(engine: sa.Engine, feed_id: str, rows: Iterable[dict[str, Any]]) -> list[str]:
    """Store rows of the table feed_runs and return their ids."""
    with engine.begin() as connection:
        return [_insert(connection, feed_runs, {"feed_id": feed_id, "started_at": NOW, **row}) for row in rows]


def add_gap(engine: sa.Engine, feed_id: str, after: datetime, before: datetime) -> None:
    """Store a window that the feed still has to look for."""
    with engine.begin() as connection:
        values = {"feed_id": feed_id, "published_after": after, "published_before": before}
        connection.execute(feed_gaps.insert().values(values))


def link(engine: sa.Engine, feed_id: str, video_ids: Iterable[int], source: str = "youtube") -> None:
    """Let the feed have found the videos."""
    with engine.begin() as connection:
        rows = [{"feed_id": feed_id, "video_id": video_id, "source": source} for video_id in video_ids]
        connection.execute(feed_videos.insert(), rows)


def stored(engine: sa.Engine, table: sa.Table, feed_id: str) -> list[Any]:
    """Return the rows of a table that belong to the feed."""
    column = table.c.id if table is feeds else table.c.feed_id
    with engine.connect() as connection:
        return list(connection.execute(sa.select(table).where(column == feed_id)))


def _insert(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> str:
    values = {"id": str(uuid7()), **row}
    connection.execute(table.insert().values(values))
    return str(values["id"])
