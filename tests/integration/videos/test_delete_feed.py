"""DELETE /feeds/{feed_id}."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.factories.feeds import NOBODY, NOW, add_feeds, add_gap, add_runs, link, stored
from tests.factories.videos import add_rows, harvested
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.videos.harvest.tables import feed_gaps, feed_runs, feed_videos, feeds

OF_A_FEED = (feeds, feed_runs, feed_gaps, feed_videos)


def fill(api: Api) -> tuple[str, str]:
    """Store two feeds that have found the same video, each with a run and a gap."""
    first, second = add_feeds(api.engine, [{"query": "cats"}, {"query": "dogs"}])
    video_ids = add_rows(api.engine, [harvested("v1")])
    for feed_id in (first, second):
        add_runs(api.engine, feed_id, [{}])
        add_gap(api.engine, feed_id, NOW - timedelta(hours=1), NOW)
        link(api.engine, feed_id, video_ids)
    return first, second


def test_its_runs_gaps_and_links_go_and_the_videos_stay(api: Api) -> None:
    first, second = fill(api)
    before = api.get("/videos/v1").json()
    answer = api.delete(f"/feeds/{first}", headers=api.credentials())
    assert (answer.status_code, answer.content) == (204, b"")
    assert [len(stored(api.engine, table, first)) for table in OF_A_FEED] == [0, 0, 0, 0]
    assert [len(stored(api.engine, table, second)) for table in OF_A_FEED] == [1, 1, 1, 1]
    assert api.get("/videos/v1").json() == before
    assert api.get("/videos", params={"feed": first}).json()["videos"] == []
    problem(api.get(f"/feeds/{first}"), 404)


def test_its_query_is_free_again(api: Api) -> None:
    first, _ = fill(api)
    headers = api.credentials()
    api.delete(f"/feeds/{first}", headers=headers)
    assert api.post("/feeds", json={"query": "Cats"}, headers=headers).status_code == 201


def test_what_is_gone_is_gone(api: Api) -> None:
    first, _ = fill(api)
    headers = api.credentials()
    assert api.delete(f"/feeds/{first}", headers=headers).status_code == 204
    problem(api.delete(f"/feeds/{first}", headers=headers), 404)


@pytest.mark.parametrize(("feed_id", "status"), [(NOBODY, 404), ("not-an-id", 400)])
def test_an_id_that_names_no_feed(feed_id: str, status: int, api: Api) -> None:
    problem(api.delete(f"/feeds/{feed_id}", headers=api.credentials()), status)


def test_only_a_client_that_may_write_removes(api: Api) -> None:
    first, _ = fill(api)
    problem(api.delete(f"/feeds/{first}"), 401)
    problem(api.delete(f"/feeds/{first}", headers=api.credentials("reader", ("read",))), 403)
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(feeds)) == 2
