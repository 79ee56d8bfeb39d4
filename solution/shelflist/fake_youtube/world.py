"""The videos that exist: a made-up stream for every query text, or given ones, and what is published and removed."""

import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Self

from .stream import Stream
from .video import Video, rfc3339

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class World:
    """Every video there is; safe to be used by several threads."""

    def __init__(self, stream: Stream | None = None, videos: Iterable[Video] = ()) -> None:
        self._stream = stream
        self._given = {video.id: video for video in videos}
        self._removed: dict[str, datetime] = {}
        self._lock = threading.Lock()

    @classmethod
    def generated(cls, begin: datetime, **options: Any) -> Self:
        """Return a world with a stream of videos from `begin` on; the options are those of `Stream`."""
        return cls(Stream(begin, **options))

    @classmethod
    def of(cls, videos: Iterable[Video]) -> Self:
        """Return a world of these videos alone."""
        return cls(None, videos)

    def publish(self, video: Video) -> None:
        """Add the video, or replace the one of its id; a removed one is back."""
        with self._lock:
            self._given[video.id] = video
            self._removed.pop(video.id, None)

    def remove(self, video_id: str, now: datetime) -> bool:
        """Let nobody see the video any more; return whether there was one to be seen or to come."""
        with self._lock:
            is_known = video_id not in self._removed and self._existing(video_id) is not None
            if is_known:
                self._removed[video_id] = now
            return is_known

    def published(
        self, query: str, now: datetime, after: datetime | None = None, before: datetime | None = None
    ) -> list[Video]:
        """Return what the query text finds once it is indexed, oldest first, removed ones too: published up to `now`.

        `after` and `before` bound the moment of publication, both inclusive.
        """
        first, last = after or _EARLIEST, min(before or now, now)
        with self._lock:
            given = [
                video
                for video in self._given.values()
                if first <= video.published_at <= last and video.query in (None, query)
            ]
            replaced = set(self._given)
        streamed = self._stream.between(query, first, last) if self._stream else ()
        found = [*given, *(video for video in streamed if video.id not in replaced)]
        return sorted(found, key=lambda video: (video.published_at, video.id))

    def shown(
        self, query: str, now: datetime, after: datetime | None = None, before: datetime | None = None
    ) -> list[Video]:
        """Return what a search for the text shows at `now`, oldest first: indexed, and not removed."""
        with self._lock:
            removed = set(self._removed)
        return [
            video
            for video in self.published(query, now, after, before)
            if video.shown_from <= now and video.id not in removed
        ]

    def find(self, video_id: str, now: datetime) -> Video | None:
        """Return the video of this id if it is published by `now` and not removed."""
        with self._lock:
            video = None if video_id in self._removed else self._existing(video_id)
        return video if video is not None and video.published_at <= now else None

    def truth(
        self, query: str, now: datetime, after: datetime | None = None, before: datetime | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield a JSON object for each video published up to `now`, oldest first; `removed_at` may be null."""
        for video in self.published(query, now, after, before):
            removed = self._removed.get(video.id)
            yield {**video.as_json(), "removed_at": None if removed is None else rfc3339(removed)}

    def _existing(self, video_id: str) -> Video | None:
        given = self._given.get(video_id)
        if given is not None:
            return given
        return self._stream.find(video_id) if self._stream else None
