"""Found videos become rows: once each, exact over rough, and users' words untouched."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.videos import new_video
from tests.fixtures.api import Api, Headers

from shelflist.videos.harvest.sources.found import FoundVideo
from shelflist.videos.harvest.storing import Stored, store
from shelflist.videos.harvest.tables import feed_videos, feeds
from shelflist.videos.tables import videos

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FEED = "0198f000-0000-7000-8000-000000000001"
THUMBNAILS = {"default": {"url": "https://i.ytimg.com/vi/a/default.jpg", "width": 120, "height": 90}}

EXACT = FoundVideo("abc", "Cricket & tea", "Day one", "UC1", "Sport", NOW, False, THUMBNAILS, "none", "youtube")
ROUGH = replace(
    EXACT, title="cricket", published_at=NOW - timedelta(hours=1), is_published_approximate=True, source="invidious"
)


@pytest.fixture(autouse=True)
def feed(api: Api) -> None:
    with api.engine.begin() as connection:
        connection.execute(feeds.insert().values(id=FEED, query="cricket", query_key="cricket"))


@pytest.fixture
def caller(api: Api) -> Headers:
    return api.credentials()


def put(api: Api, *found: FoundVideo, now: datetime = NOW) -> Stored:
    with api.engine.begin() as connection:
        return store(connection, FEED, found, now)


def row(api: Api) -> sa.Row[Any]:
    with api.engine.begin() as connection:
        return connection.execute(sa.select(videos)).one()


def test_a_new_video_is_stored_and_linked_with_the_feed(api: Api) -> None:
    assert put(api, EXACT) == Stored(new=1)
    found = api.get("/videos", params={"feed": FEED, "q": "tea day"}).json()["videos"]
    assert len(found) == 1
    assert found[0] | {"created_at": None, "updated_at": None} == {
        "content_id": "abc",
        "title": "Cricket & tea",
        "description": "Day one",
        "channel_id": "UC1",
        "channel_title": "Sport",
        "published_at": "2026-11-21T12:00:00.000Z",
        "is_published_approximate": False,
        "thumbnails": THUMBNAILS,
        "source": "youtube",
        "live_state": "none",
        "tvshow": None,
        "actual_label": None,
        "predicted_label": None,
        "created_at": None,
        "updated_at": None,
    }


def test_duplicates_in_one_poll_and_over_polls_are_one_row(api: Api) -> None:
    other = replace(EXACT, content_id="xyz")
    assert put(api, EXACT, other, EXACT) == Stored(new=2, duplicates=1)
    assert put(api, EXACT, other) == Stored(duplicates=2)


def test_what_the_source_changes_is_changed(api: Api) -> None:
    put(api, replace(EXACT, live_state="live"))
    before = row(api)
    assert put(api, replace(EXACT, title="Tea only")) == Stored(updated=1)
    after = row(api)
    assert (after.title, after.title_key, after.live_state) == ("Tea only", "tea only", "none")
    assert after.updated_at > before.updated_at
    assert len(api.get("/videos", params={"q": "cricket"}).json()["videos"]) == 0


def test_nothing_is_written_where_nothing_changes_within_a_day(api: Api) -> None:
    put(api, EXACT)
    before = row(api)
    put(api, EXACT, now=NOW + timedelta(hours=23))
    assert row(api) == before
    put(api, EXACT, now=NOW + timedelta(hours=25))
    after = row(api)
    assert (after.seen_at, after.updated_at) == (NOW + timedelta(hours=25), before.updated_at)


def test_youtube_overwrites_a_rough_date(api: Api) -> None:
    put(api, ROUGH)
    assert row(api).is_published_approximate
    assert put(api, EXACT) == Stored(updated=1)
    after = row(api)
    assert (after.published_at, after.is_published_approximate) == (NOW, False)
    assert (after.title, after.source) == ("Cricket & tea", "invidious")


def test_invidious_never_overwrites_what_youtube_told(api: Api) -> None:
    put(api, EXACT)
    before = row(api)
    assert put(api, ROUGH) == Stored(duplicates=1)
    assert row(api) == before


def test_the_first_rough_date_stays(api: Api) -> None:
    put(api, ROUGH)
    put(api, replace(ROUGH, published_at=NOW - timedelta(hours=3), title="Cricket again"))
    after = row(api)
    assert (after.published_at, after.title) == (NOW - timedelta(hours=1), "Cricket again")


def test_labels_vector_and_titles_of_an_uploaded_video_are_not_touched(api: Api, caller: Headers) -> None:
    body = new_video(content_id="abc", title="Mine", published_at="2020-01-01T00:00:00Z")
    assert api.post("/videos", json=body, headers=caller).status_code == 201
    before = api.get("/videos/abc").json()
    put(api, EXACT)
    after = api.get("/videos/abc").json()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"channel_id", "channel_title", "thumbnails", "live_state", "updated_at"}


def test_labels_that_users_attach_to_a_harvested_video_stay(api: Api, caller: Headers) -> None:
    put(api, ROUGH)
    vector = [0.5] * 256
    labels = {"actual_label": "Sport", "predicted_label": "News", "tvshow": "Late", "feature_vector": vector}
    assert api.patch("/videos/abc", json=labels, headers=caller).status_code == 200
    put(api, EXACT)
    found = api.get("/videos/abc").json()
    assert {name: found[name] for name in labels} == labels
    assert found["title"] == "Cricket & tea"


def test_empty_fields_of_an_uploaded_video_are_filled(api: Api, caller: Headers) -> None:
    api.post("/videos", json=new_video(content_id="abc"), headers=caller)
    put(api, EXACT)
    found = api.get("/videos/abc").json()
    assert (found["title"], found["published_at"]) == ("Cricket & tea", "2026-11-21T12:00:00.000Z")
    assert len(api.get("/videos", params={"q": "tea"}).json()["videos"]) == 1


def test_polls_that_find_the_same_at_once_store_it_once(api: Api) -> None:
    found = [replace(EXACT, content_id=f"v{number:03}") for number in range(200)]
    orders = [found, found[::-1], found[100:] + found[:100], found]
    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(lambda order: put(api, *order), orders))
    assert sum(one.new for one in stored) == 200
    assert sum(one.duplicates for one in stored) == 600
    with api.engine.begin() as connection:
        counts = [connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in (videos, feed_videos)]
    assert counts == [200, 200]
