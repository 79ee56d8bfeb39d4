"""The made-up stream of videos of each query text: any stretch of it is computed from the seed alone."""

import hashlib
import random
import threading
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from . import texts
from .defaults import LATE_SECONDS, LATE_SHARE, MAX_VIDEOS_PER_HOUR, VIDEOS_PER_HOUR
from .video import Video
from .video_ids import INDEX_LIMIT, IdCode, Place

BUCKET_SECONDS = 600
# A busy bucket has half as many again as a quiet one has less.
_UNEVENNESS = 0.5
_LIVE, _UPCOMING, _LARGE = 0.03, 0.05, 0.4
_KEPT_BUCKETS = 2_000


class Stream:
    """Videos published from `begin` on, `videos_per_hour` on average, in buckets of ten minutes of their own drawing.

    A share `late_share` of them is indexed up to `late_seconds` after publication. The same seed gives the same videos
    in every process. Raises ValueError for figures that make no stream.
    """

    def __init__(
        self,
        begin: datetime,
        *,
        seed: int = 1,
        videos_per_hour: float = VIDEOS_PER_HOUR,
        late_share: float = LATE_SHARE,
        late_seconds: int = LATE_SECONDS,
    ) -> None:
        if not 0 <= videos_per_hour <= MAX_VIDEOS_PER_HOUR:
            raise ValueError(f"a stream has 0 to {MAX_VIDEOS_PER_HOUR:,} videos an hour, not {videos_per_hour:g}")
        if not 0 <= late_share <= 1 or late_seconds < 0:
            raise ValueError("the late share is from 0 to 1, and the late seconds are not negative")
        self._begin = begin
        self._seed = seed
        self._mean = videos_per_hour * BUCKET_SECONDS / 3600
        self._late_share = late_share
        self._late_seconds = late_seconds
        self._code = IdCode(seed)
        self._kept: OrderedDict[tuple[int, int], list[Video]] = OrderedDict()
        self._lock = threading.Lock()

    def between(self, query: str, first: datetime, last: datetime) -> Iterator[Video]:
        """Yield the query's videos published from `first` to `last`, both inclusive."""
        first = max(first, self._begin)
        if first > last:
            return
        number = _stream_number(query)
        for bucket in range(_bucket(first), _bucket(last) + 1):
            yield from (video for video in self._drawn(number, bucket) if first <= video.published_at <= last)

    def find(self, video_id: str) -> Video | None:
        """Return the video of this id, whichever text finds it and whenever it is published."""
        place = self._code.place(video_id)
        if place is None or place.bucket < _bucket(self._begin):
            return None
        found = [video for video in self._drawn(place.stream, place.bucket) if video.id == video_id]
        return found[0] if found and found[0].published_at >= self._begin else None

    def _drawn(self, number: int, bucket: int) -> list[Video]:
        with self._lock:
            videos = self._kept.pop((number, bucket), None)
            if videos is None:
                videos = self._draw(number, bucket)
            self._kept[number, bucket] = videos
            if len(self._kept) > _KEPT_BUCKETS:
                self._kept.popitem(last=False)
            return videos

    def _draw(self, number: int, bucket: int) -> list[Video]:
        # Of the methods of Random, only random() promises the same numbers from every version of Python.
        draw = random.Random(f"{self._seed}:{number}:{bucket}").random  # noqa: S311 - nothing secret
        count = min(int(self._mean * (1 + _UNEVENNESS * (2 * draw() - 1)) + draw()), INDEX_LIMIT)
        return [self._video(Place(number, bucket, index), draw) for index in range(count)]

    def _video(self, place: Place, draw: texts.Draw) -> Video:
        published = datetime.fromtimestamp((place.bucket * BUCKET_SECONDS) + int(draw() * BUCKET_SECONDS), UTC)
        delay = 1 + int(draw() * self._late_seconds) if draw() < self._late_share else 0
        state = draw()
        channel_id, channel_title = texts.channel(int(draw() * texts.CHANNELS))
        return Video(
            id=self._code.video_id(place),
            published_at=published,
            indexed_at=published + timedelta(seconds=min(delay, self._late_seconds)),
            title=texts.draw_title(draw),
            description=texts.draw_description(draw),
            channel_id=channel_id,
            channel_title=channel_title,
            live="live" if state < _LIVE else "upcoming" if state < _UPCOMING else "none",
            is_large=draw() < _LARGE,
            seconds=15 + int(draw() * 3600),
            views=int(draw() ** 4 * 1_000_000),
        )


def _bucket(moment: datetime) -> int:
    return int(moment.timestamp()) // BUCKET_SECONDS


def _stream_number(query: str) -> int:
    return int.from_bytes(hashlib.blake2b(query.encode(errors="surrogatepass"), digest_size=3).digest(), "big")
