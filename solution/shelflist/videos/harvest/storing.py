"""Found videos become rows: each once, what its source says now, and never what users have said of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared.folding import fold
from shelflist.videos.commands import search_key
from shelflist.videos.tables import videos

from .sources.found import FoundVideo
from .tables import feed_videos

_SEEN_AGAIN = timedelta(days=1)
"""How old a row's seen_at becomes before it is written anew: an overlap shows the same rows many times an hour."""

_TEXTS = ("title", "title_key", "description", "search_key")


@dataclass(frozen=True)
class Stored:
    """What became of the videos that a poll found."""

    new: int = 0
    updated: int = 0
    duplicates: int = 0
    """Those that were found twice, or are known and have not changed."""


def store(connection: sa.Connection, feed_id: str, found: Sequence[FoundVideo], now: datetime) -> Stored:
    """Insert or update a row for each video and link it with the feed, in the caller's transaction."""
    # In one order, so that two polls that found the same do not wait for each other.
    wanted = {video.content_id: video for video in sorted(found, key=lambda video: video.content_id)}
    if not wanted:
        return Stored()
    inserted = _insert(connection, wanted.values(), now)
    known = _lock(connection, wanted.keys() - inserted.keys())
    updated = sum(_update(connection, row, wanted[row.content_id], now) for row in known)
    ids = inserted | {row.content_id: row.id for row in known}
    links = [{"feed_id": feed_id, "video_id": ids[one], "source": wanted[one].source} for one in wanted if one in ids]
    if links:
        connection.execute(insert(feed_videos).values(links).on_conflict_do_nothing())
    return Stored(len(inserted), updated, len(found) - len(inserted) - updated)


def refresh(connection: sa.Connection, found: Iterable[FoundVideo], now: datetime) -> int:
    """Bring the rows of these videos, which are known, to what their source says now; return how many changed."""
    wanted = {video.content_id: video for video in found}
    rows = _lock(connection, wanted.keys())
    return sum(_update(connection, row, wanted[row.content_id], now) for row in rows)


def merged(row: Any, found: FoundVideo) -> dict[str, Any]:
    """Return the columns of `row` that what was found changes.

    A harvested row follows its source, and YouTube, which knows exactly, overwrites what Invidious told. Of what users
    uploaded only the empty fields are filled.
    """
    told = _columns(found)
    is_exact = found.source == "youtube"
    is_ours = row.source != "upload" and (is_exact or row.is_published_approximate)
    values: dict[str, Any] = {}
    if is_ours or (row.title is None and row.description is None):
        values |= {name: told[name] for name in _TEXTS}
    for name in ("channel_id", "channel_title"):
        values[name] = told[name] if is_ours or getattr(row, name) is None else getattr(row, name)
    values["thumbnails"] = told["thumbnails"] if is_ours or not row.thumbnails else row.thumbnails
    values["live_state"] = told["live_state"] if is_ours or is_exact or row.live_state is None else row.live_state
    # The first rough date is the nearest one: "two hours ago" only becomes vaguer.
    if row.published_at is None or (is_exact and (is_ours or row.is_published_approximate)):
        values |= {name: told[name] for name in ("published_at", "is_published_approximate")}
    return {name: value for name, value in values.items() if value != getattr(row, name)}


def _columns(found: FoundVideo) -> dict[str, Any]:
    return {
        "title": found.title,
        "title_key": fold(found.title),
        "description": found.description,
        "search_key": search_key(found.title, found.description),
        "channel_id": found.channel_id,
        "channel_title": found.channel_title,
        "published_at": found.published_at,
        "is_published_approximate": found.is_published_approximate,
        "thumbnails": {name: dict(picture) for name, picture in found.thumbnails.items()},
        "live_state": found.live_state,
    }


def _insert(connection: sa.Connection, found: Iterable[FoundVideo], now: datetime) -> dict[str, int]:
    rows = [
        {"content_id": video.content_id, "source": video.source, "seen_at": now, **_columns(video)} for video in found
    ]
    statement = insert(videos).values(rows).on_conflict_do_nothing(index_elements=["content_id"])
    added = connection.execute(statement.returning(videos.c.content_id, videos.c.id))
    return {row.content_id: row.id for row in added}


def _lock(connection: sa.Connection, content_ids: Iterable[str]) -> Sequence[sa.Row[Any]]:
    found = sa.select(videos).where(videos.c.content_id.in_(sorted(content_ids))).order_by(videos.c.content_id)
    return connection.execute(found.with_for_update()).all()


def _update(connection: sa.Connection, row: sa.Row[Any], found: FoundVideo, now: datetime) -> bool:
    """Write what has changed; returns whether anything has but the moment at which it was seen."""
    values: Mapping[str, Any] = merged(row, found)
    is_seen = row.seen_at is not None and now - row.seen_at < _SEEN_AGAIN
    if values or not is_seen:
        changed = {"updated_at": sa.func.clock_timestamp()} if values else {}
        connection.execute(videos.update().where(videos.c.id == row.id).values(**values, **changed, seen_at=now))
    return bool(values)
