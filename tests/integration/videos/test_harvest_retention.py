"""What no harvest has seen for long is refreshed or deleted; users' labels stay."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.videos import new_video
from tests.fixtures.api import Api
from tests.fixtures.harvesting import NOON, Harvesting

from shelflist.shared.clock import now
from shelflist.shared.jobs import JobContext
from shelflist.videos.harvest import retention
from shelflist.videos.harvest.tables import feed_runs, feed_videos, feeds
from shelflist.videos.tables import videos

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def harvest(api: Api) -> Iterator[Harvesting]:
    with Harvesting(api) as made:
        yield made


def keep(harvest: Harvesting) -> dict[str, Any]:
    """Run the job as the worker does each hour."""
    context = JobContext(harvest.api.engine, harvest.settings, "0198f000-0000-7000-8000-000000000001", now())
    context.progress = lambda share: None  # type: ignore[method-assign] # there is no row of a job
    return retention.run(context, {})


def test_after_thirty_days_videos_are_asked_for_anew_and_those_that_are_gone_removed(harvest: Harvesting) -> None:
    found = harvest.publish(*(NOON - minutes * MINUTE for minutes in range(70)))
    harvest.poll()
    harvest.fake.remove(found[3])
    harvest.forward(days=29)
    assert keep(harvest) == {"runs_removed": 0, "refreshed": 0, "changed": 0, "deleted": 0}
    harvest.forward(days=2)
    assert keep(harvest) == {"runs_removed": 1, "refreshed": 69, "changed": 0, "deleted": 1}
    assert harvest.stored == sorted(set(found) - {found[3]})
    # Those that were refreshed are good for another month.
    harvest.forward(days=29)
    assert keep(harvest)["refreshed"] == 0


def test_what_has_changed_at_the_source_is_changed(harvest: Harvesting) -> None:
    harvest.publish(NOON, live="live")
    harvest.poll()
    video = harvest.fake.world.find("video000000", NOON)
    assert video is not None
    harvest.fake.publish(type(video)(video.id, video.published_at, "Another & title", live="none"))
    harvest.forward(days=31)
    assert keep(harvest)["changed"] == 1
    found = harvest.api.get("/videos/video000000").json()
    assert (found["title"], found["live_state"]) == ("Another & title", "none")


def test_rough_dates_become_exact_when_they_are_refreshed(harvest: Harvesting) -> None:
    harvest.options = {"google_api_keys": ""}
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    assert harvest.api.get("/videos/video000000").json()["is_published_approximate"]
    harvest.options = {}
    harvest.forward(days=31)
    keep(harvest)
    found = harvest.api.get("/videos/video000000").json()
    assert (found["published_at"], found["is_published_approximate"]) == ("2026-11-21T19:59:00.000Z", False)


def test_delete_removes_them_and_keep_does_nothing(harvest: Harvesting) -> None:
    harvest.publish(*(NOON - minutes * MINUTE for minutes in range(120)))
    harvest.poll()
    harvest.forward(days=8)
    harvest.options = {"harvest_retention": "keep", "harvest_retention_days": 7}
    assert keep(harvest)["deleted"] == 0
    harvest.options = {"harvest_retention": "delete", "harvest_retention_days": 7}
    before = harvest.calls()
    assert keep(harvest)["deleted"] == 120
    assert harvest.calls() == before
    assert harvest.stored == []
    with harvest.api.engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(feed_videos)) == 0


def test_labels_outlive_what_the_source_told(harvest: Harvesting) -> None:
    harvest.publish(NOON, NOON - MINUTE)
    harvest.poll()
    headers = harvest.api.credentials()
    labels = {"actual_label": "Sport", "feature_vector": [0.5] * 256}
    harvest.api.patch("/videos/video000000", json=labels, headers=headers)
    harvest.options = {"harvest_retention": "delete"}
    harvest.forward(days=31)
    assert keep(harvest)["deleted"] == 2
    assert harvest.stored == ["video000000"]
    found = harvest.api.get("/videos/video000000").json()
    assert (found["actual_label"], found["feature_vector"]) == ("Sport", [0.5] * 256)
    told = ("title", "description", "channel_id", "channel_title", "published_at", "live_state")
    assert [found[name] for name in told] == [None] * len(told)
    assert found["thumbnails"] == {}
    assert keep(harvest)["deleted"] == 0


def test_uploaded_videos_are_left_alone(harvest: Harvesting) -> None:
    headers = harvest.api.credentials()
    body = new_video("video000000", title="Mine")
    assert harvest.api.post("/videos", json=body, headers=headers).status_code == 201
    harvest.publish(NOON)
    harvest.poll()
    harvest.options = {"harvest_retention": "delete"}
    harvest.forward(days=400)
    assert keep(harvest)["deleted"] == 0
    assert harvest.api.get("/videos/video000000").json()["title"] == "Mine"


def test_one_hour_asks_for_a_thousand_videos_at_most(harvest: Harvesting) -> None:
    with harvest.api.engine.begin() as connection:
        old = NOON - 40 * DAY
        rows = [{"content_id": f"gone{number:06}x", "source": "youtube", "seen_at": old} for number in range(1_100)]
        connection.execute(videos.insert().values(rows))
    assert keep(harvest)["deleted"] == 1_000
    assert keep(harvest)["deleted"] == 100


def test_a_video_that_cannot_be_read_is_not_taken_for_a_removed_one(harvest: Harvesting) -> None:
    found = harvest.publish(*(NOON - minutes * MINUTE for minutes in range(10)))
    harvest.poll()
    harvest.forward(days=31)
    harvest.fake.set_script({"faults": [{"kind": "huge_description", "operation": "videos"}]})
    keep(harvest)
    assert harvest.stored == found
    before = harvest.calls()
    keep(harvest)
    assert harvest.calls() == before


def test_without_a_usable_key_nothing_is_removed(harvest: Harvesting) -> None:
    found = harvest.publish(NOON)
    harvest.poll()
    harvest.forward(days=31)
    harvest.fake.set_script({"faults": [{"kind": "quota_exceeded"}]})
    assert keep(harvest)["deleted"] == 0
    assert harvest.stored == found


def test_old_entries_of_the_ledger_are_removed(harvest: Harvesting) -> None:
    harvest.poll()
    harvest.forward(days=29)
    assert keep(harvest)["runs_removed"] == 0
    harvest.forward(days=2)
    assert keep(harvest)["runs_removed"] == 1
    with harvest.api.engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(feed_runs)) == 0
        assert connection.scalar(sa.select(sa.func.count()).select_from(feeds)) == 1
