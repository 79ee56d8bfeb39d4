"""GET /feeds/{feed_id}/statistics."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.factories.feeds import NOBODY, add_feeds, link, time_stands_still
from tests.factories.videos import add_rows, harvested
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


def found(api: Api, feed_id: str, source: str, *moments: datetime | None) -> None:
    """Let the feed have found a video for each moment of publication."""
    rows = [harvested(f"{feed_id[-4:]}-{source}-{moment}", published_at=moment) for moment in moments]
    link(api.engine, feed_id, add_rows(api.engine, rows), source)


def statistics(api: Api, feed_id: str, now: datetime = MIDNIGHT + timedelta(hours=9), **query: Any) -> dict[str, Any]:
    with time_stands_still(now):
        answer = api.get(f"/feeds/{feed_id}/statistics", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def day(text: str, youtube: int = 0, invidious: int = 0) -> dict[str, Any]:
    return {"day": text, "total": youtube + invidious, "youtube": youtube, "invidious": invidious}


def test_videos_are_counted_by_source_and_by_day_in_utc(api: Api) -> None:
    feed_id, other = add_feeds(api.engine, [{"query": "cats"}, {"query": "dogs"}])
    second = timedelta(seconds=1)
    yesterday_in_tokyo = (MIDNIGHT - second).astimezone(timezone(timedelta(hours=9)))
    found(api, feed_id, "youtube", MIDNIGHT, MIDNIGHT + 5 * second, yesterday_in_tokyo, MIDNIGHT - timedelta(days=99))
    found(api, feed_id, "invidious", MIDNIGHT - timedelta(days=2), MIDNIGHT - timedelta(days=2) - second, None)
    found(api, other, "youtube", MIDNIGHT)
    assert statistics(api, feed_id, days=4) == {
        "feed_id": feed_id,
        "total": 7,
        "sources": {"youtube": 4, "invidious": 3},
        "first_published_at": "2026-08-14T00:00:00.000Z",
        "newest_published_at": "2026-11-21T00:00:05.000Z",
        "days": [
            day("2026-11-21", youtube=2),
            day("2026-11-20", youtube=1),
            day("2026-11-19", invidious=1),
            day("2026-11-18", invidious=1),
        ],
    }


def test_the_first_second_of_the_first_day_counts_and_the_one_before_does_not(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats"}])
    first = MIDNIGHT - timedelta(days=1)
    found(api, feed_id, "youtube", first, first - timedelta(microseconds=1), MIDNIGHT + timedelta(days=1))
    body = statistics(api, feed_id, days=2)
    assert body["days"] == [day("2026-11-21"), day("2026-11-20", youtube=1)]
    assert (body["total"], body["newest_published_at"]) == (3, "2026-11-22T00:00:00.000Z")


@pytest.mark.parametrize(
    ("now", "today"),
    [(MIDNIGHT, "2026-11-21"), (MIDNIGHT - timedelta(microseconds=1), "2026-11-20")],
)
def test_today_is_the_day_in_utc(now: datetime, today: str, api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats"}])
    assert statistics(api, feed_id, now, days=1)["days"] == [day(today)]


def test_a_feed_that_has_found_nothing_has_a_month_of_empty_days(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats"}])
    body = statistics(api, feed_id)
    assert len(body.pop("days")) == 30
    assert body == {
        "feed_id": feed_id,
        "total": 0,
        "sources": {"youtube": 0, "invidious": 0},
        "first_published_at": None,
        "newest_published_at": None,
    }
    year = statistics(api, feed_id, days=366)["days"]
    assert (len(year), year[0], year[-1]) == (366, day("2026-11-21"), day("2025-11-21"))


def test_the_source_is_what_showed_it_to_this_feed(api: Api) -> None:
    feed_id, other = add_feeds(api.engine, [{"query": "cats"}, {"query": "dogs"}])
    ids = add_rows(api.engine, [harvested("v1", published_at=MIDNIGHT)])
    link(api.engine, feed_id, ids, "youtube")
    link(api.engine, other, ids, "invidious")
    assert statistics(api, feed_id, days=1)["days"] == [day("2026-11-21", youtube=1)]
    assert statistics(api, other, days=1)["days"] == [day("2026-11-21", invidious=1)]


def test_unchanged_counts_are_a_304(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats"}])
    with time_stands_still():
        etag = api.get(f"/feeds/{feed_id}/statistics").headers["ETag"]
        answer = api.get(f"/feeds/{feed_id}/statistics", headers={"If-None-Match": etag})
    assert answer.status_code == 304


@pytest.mark.parametrize("days", ["0", "367", "-1", "1.5", "x", ""])
def test_days_that_are_none_are_refused(days: str, api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats"}])
    answer = problem(api.get(f"/feeds/{feed_id}/statistics", params={"days": days}), 400)
    assert [error["name"] for error in answer["errors"]] == ["days"]


@pytest.mark.parametrize(("feed_id", "status"), [(NOBODY, 404), ("not-an-id", 400)])
def test_an_id_that_names_no_feed(feed_id: str, status: int, api: Api) -> None:
    problem(api.get(f"/feeds/{feed_id}/statistics"), status)
