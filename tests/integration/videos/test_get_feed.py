"""GET /feeds/{feed_id}."""

from datetime import timedelta

import pytest
from tests.factories.feeds import NOBODY, NOW, NOW_TEXT, add_feeds
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_a_feed_that_has_been_polled_is_answered_whole(api: Api) -> None:
    row = {
        "query": "cats",
        "interval_seconds": 300,
        "watermark": NOW - timedelta(minutes=30),
        "next_poll_at": NOW + timedelta(minutes=5),
        "last_success_at": NOW - timedelta(minutes=1),
        "last_error": "YouTube did not answer",
        "failures": 2,
        "created_at": NOW - timedelta(days=1),
        "updated_at": NOW,
    }
    [feed_id] = add_feeds(api.engine, [row])
    assert api.get(f"/feeds/{feed_id}").json() == {
        "id": feed_id,
        "query": "cats",
        "interval_seconds": 300,
        "enabled": True,
        "watermark": "2026-11-21T09:00:00.000Z",
        "next_poll_at": "2026-11-21T09:35:00.000Z",
        "last_success_at": "2026-11-21T09:29:00.000Z",
        "last_error": "YouTube did not answer",
        "failures": 2,
        "created_at": "2026-11-20T09:30:00.000Z",
        "updated_at": NOW_TEXT,
    }


def test_a_disabled_feed_has_no_next_poll(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats", "enabled": False, "next_poll_at": NOW}])
    assert api.get(f"/feeds/{feed_id}").json()["next_poll_at"] is None


def test_an_unchanged_feed_is_a_304(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats"}])
    etag = api.get(f"/feeds/{feed_id}").headers["ETag"]
    assert api.get(f"/feeds/{feed_id}", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize(("feed_id", "status"), [(NOBODY, 404), ("not-an-id", 400), (NOBODY.upper() + "0", 400)])
def test_an_id_that_names_no_feed(feed_id: str, status: int, api: Api) -> None:
    problem(api.get(f"/feeds/{feed_id}"), status)
