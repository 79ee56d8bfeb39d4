"""GET /videos, newest first, page by page through 100,000 rows, while a harvest stores and changes others."""

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.feeds import add_feeds
from tests.fixtures.api import Api

from shelflist.shared.database import create_engine
from shelflist.videos.harvest.sources.found import FoundVideo
from shelflist.videos.harvest.storing import store

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ROWS = 100_000
CHANGING = 2_000

# Sixteen to a moment, one in a thousand without one; those that are changed meanwhile lie among them.
FILL = """
INSERT INTO videos (content_id, title, title_key, search_key, published_at, source, live_state)
SELECT
    format('%s%s', :prefix, n),
    format('Video %s', n),
    format('video %s', n),
    format('video %s', n),
    CASE WHEN n % 1000 <> 0 THEN CAST(:start AS timestamptz) - (n * 7919 % :rows / 16) * interval '1 minute' END,
    'youtube',
    'none'
FROM generate_series(1, :rows) AS n
"""
# Only a tenth was found by the feed.
LINK = "INSERT INTO feed_videos SELECT :feed, id, 'youtube' FROM videos WHERE content_id LIKE 'c%' OR id % 10 = 0"


def found(content_id: str, published_at: datetime, title: str) -> FoundVideo:
    return FoundVideo(
        content_id=content_id,
        title=title,
        description="As the source tells it",
        channel_id="UCone",
        channel_title="One",
        published_at=published_at,
        is_published_approximate=False,
        thumbnails={},
        live_state="none",
        source="youtube",
    )


class Harvest:
    """Stores videos without a pause: new ones of any age, and others for known ones, dates included."""

    def __init__(self, api: Api, feed: str) -> None:
        self.stored = 0
        self.error: BaseException | None = None
        self._engine = create_engine(api.url, "harvest")
        self._feed = feed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Harvest":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        draw = random.Random(1)
        try:
            while not self._stop.wait(0.05):
                self._store(draw)
        except BaseException as error:
            self.error = error

    def _store(self, draw: random.Random) -> None:
        def any_time() -> datetime:
            return START + timedelta(minutes=draw.randrange(-ROWS // 16, 120))

        new = [found(f"n{self.stored + place}", any_time(), "New") for place in range(10)]
        changed = [
            found(f"c{number}", any_time(), f"Changed {self.stored}")
            for number in draw.sample(range(1, CHANGING + 1), 10)
        ]
        with self._engine.begin() as connection:
            store(connection, self._feed, [*new, *changed], START)
        self.stored += len(new)


@pytest.fixture
def feed(api: Api) -> str:
    [feed_id] = add_feeds(api.engine, [{"query": "cricket"}])
    with api.engine.begin() as connection:
        connection.execute(sa.text(FILL), {"prefix": "v", "start": START, "rows": ROWS})
        connection.execute(sa.text(FILL), {"prefix": "c", "start": START, "rows": CHANGING})
        connection.execute(sa.text(LINK), {"feed": feed_id})
    with api.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE videos, feed_videos"))
    return feed_id


def walk(api: Api, **parameters: Any) -> list[dict[str, Any]]:
    """Return every video of every page, in their order."""
    videos: list[dict[str, Any]] = []
    asked = {"page_size": 100, **parameters}
    while True:
        answer = api.get("/videos", params=asked)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        videos += page["videos"]
        if page["next_cursor"] is None:
            return videos
        asked["cursor"] = page["next_cursor"]


def untouched(api: Api, condition: str = "TRUE") -> list[str]:
    """Return the rows that nobody changes, as a list that nothing disturbs would show them."""
    rows = f"SELECT content_id FROM videos WHERE content_id LIKE 'v%' AND {condition}"
    with api.engine.begin() as connection:
        return list(connection.scalars(sa.text(f"{rows} ORDER BY published_at DESC NULLS LAST, id DESC")))


def check(listed: list[dict[str, Any]], expected: list[str]) -> None:
    """The untouched rows are there in their order, and all rows are by date, those without one last."""
    assert [video["content_id"] for video in listed if video["content_id"].startswith("v")] == expected
    dates = [video["published_at"] or "" for video in listed]
    assert dates == sorted(dates, reverse=True)
    new = [video["content_id"] for video in listed if video["content_id"].startswith("n")]
    assert len(new) == len(set(new))


def test_every_row_is_listed_once_and_in_order_while_others_are_stored_and_changed(api: Api, feed: str) -> None:
    expected, of_feed = untouched(api), untouched(api, "id % 10 = 0")
    assert (len(expected), len(of_feed)) == (ROWS, ROWS // 10)
    with Harvest(api, feed) as harvest:
        everything = walk(api)
        before = harvest.stored
        of_one = walk(api, feed=feed)
        assert 100 < before < harvest.stored
    assert harvest.error is None
    check(everything, expected)
    check(of_one, of_feed)
    assert any(video["title"].startswith("Changed") for video in everything)
    assert any(video["title"] == "New" for video in of_one)
