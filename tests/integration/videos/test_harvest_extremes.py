"""Polls where time, sources and operators are at their worst: nothing lost, no key blocked, no feed starved."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api
from tests.fixtures.harvesting import KEYS, NOON, Harvesting

from shelflist.shared import clock
from shelflist.videos.harvest import polls
from shelflist.videos.harvest.commands import add_feed
from shelflist.videos.harvest.keys import key_states
from shelflist.videos.harvest.sources import youtube
from shelflist.videos.harvest.sources.found import RequestRefused
from shelflist.videos.harvest.tables import feeds

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MIDNIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.fixture
def harvest(api: Api) -> Iterator[Harvesting]:
    with Harvesting(api) as made:
        yield made


def used(harvest: Harvesting) -> list[tuple[str, int]]:
    with harvest.api.engine.begin() as connection:
        return [(one.state, one.calls_used) for one in key_states(connection, harvest.settings, clock.now())]


def add(harvest: Harvesting, count: int) -> None:
    """Make feeds of other queries than the first one's."""
    harvest.options |= {"query": ""}
    with harvest.api.engine.begin() as connection:
        for number in range(count):
            add_feed(connection, {"query": f"query {number}"})


def until(harvest: Harvesting, moment: datetime) -> None:
    """Poll whatever becomes due until `moment`."""
    while True:
        harvest.poll()
        with harvest.api.engine.begin() as connection:
            due = connection.scalar(sa.select(sa.func.min(feeds.c.next_poll_at)))
        assert due is not None
        if due >= moment:
            break
        harvest.clock.moment = max(harvest.clock.now(), due)
    harvest.clock.moment = moment


def calls_by_query(harvest: Harvesting) -> Counter[str]:
    return Counter(entry.params["q"] for entry in harvest.fake.calls("youtube") if entry.status == 200)


@pytest.mark.parametrize("how", ["repeated", "unreadable", "empty"])
def test_one_bad_page_in_the_middle_of_a_walk_loses_none_behind_it(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    found = harvest.publish(*(NOON + minutes * MINUTE for minutes in range(1, 300)))
    harvest.forward(hours=5)
    search, pages = youtube.search, itertools.count(1)

    def one_bad_page(*arguments: Any) -> Any:
        answer = search(*arguments)
        if next(pages) != 2:
            return answer
        ids = answer.content_ids if how == "unreadable" else frozenset()
        return replace(answer, videos=(), skipped=len(ids), skipped_ids=ids)

    with monkeypatch.context() as patch:
        if how == "repeated":
            harvest.fake.set_script({"faults": [{"kind": "repeat_page", "times": 1, "target": "youtube"}]})
        else:
            patch.setattr(youtube, "search", one_bad_page)
        harvest.poll()
    harvest.fake.set_script(None)
    for _ in range(5):
        harvest.again()
    # Of the page itself, what lies beyond the overlap cannot come again where its answer looked whole.
    lost = set(found) - set(harvest.stored)
    assert len(lost) <= (0 if how == "repeated" else 50)
    assert harvest.gaps == []


def test_late_videos_are_stored_though_gaps_wait(harvest: Harvesting) -> None:
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    harvest.forward(hours=6)
    harvest.publish(*(NOON + timedelta(seconds=18 * number) for number in range(1, 1100)))
    newest = NOON + timedelta(seconds=18 * 1099)
    late = harvest.publish(
        *(newest - 50 * MINUTE + number * MINUTE for number in range(3)), indexed_at=NOON + 6.2 * HOUR
    )
    harvest.poll()
    assert harvest.gaps
    for _ in range(12):
        harvest.again()
    assert set(late) <= set(harvest.stored)
    assert len(harvest.stored) == 1_103


def test_a_dense_feed_whose_answers_are_out_of_order_loses_none(harvest: Harvesting) -> None:
    harvest.options = {"youtube_daily_calls": 100_000}
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    found = harvest.publish(*(NOON + timedelta(seconds=2.5 * number) for number in range(1_400)))
    harvest.forward(hours=1)
    harvest.poll()
    while harvest.gaps:
        harvest.again()
        assert len(harvest.runs) < 40
    assert set(found) <= set(harvest.stored)


def test_a_quota_that_is_spent_just_after_midnight_parks_for_minutes(harvest: Harvesting) -> None:
    harvest.options = {"invidious_api": ""}
    harvest.poll()
    harvest.clock.moment = MIDNIGHT + timedelta(seconds=1)
    with harvest.api.engine.begin() as connection:
        connection.execute(feeds.update().values(next_poll_at=clock.now()))
    harvest.fake.set_script({"faults": [{"kind": "quota_exceeded", "times": 2}]})
    harvest.poll()
    assert {state for state, _ in used(harvest)} == {"parked"}
    harvest.fake.set_script(None)
    harvest.forward(minutes=11)
    harvest.again()
    assert harvest.runs[-1].source == "youtube"
    assert harvest.clock.now() < MIDNIGHT + 2 * HOUR


def test_midnight_does_not_shorten_what_a_feed_asks_for(harvest: Harvesting) -> None:
    harvest.options = {"time_delay": 2 * 86_400}
    harvest.poll()
    for _ in range(3):
        harvest.again()
    starts = [run.started_at for run in harvest.runs]
    assert all(later - earlier >= timedelta(days=2) for earlier, later in itertools.pairwise(starts))


def test_an_outage_on_our_side_takes_no_calls(harvest: Harvesting) -> None:
    harvest.options = {"invidious_api": "", "youtube_api_url": "http://127.0.0.1:9/youtube/v3"}
    add(harvest, 5)
    until(harvest, NOON + 6 * HOUR)
    assert used(harvest) == [("usable", 0), ("usable", 0)]
    assert len(harvest.runs) < 5 * 40


def test_a_query_that_is_refused_for_ever_takes_no_more_than_its_share(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    harvest.options = {"invidious_api": ""}
    add(harvest, 4)
    search, refused = youtube.search, Counter[str]()

    def refusing(url: str, key: str, wanted: youtube.Search) -> Any:
        if wanted.query != "query 0":
            return search(url, key, wanted)
        refused["calls"] += 1
        raise RequestRefused("YouTube answered 400 badRequest", reason="badRequest")

    monkeypatch.setattr(youtube, "search", refusing)
    until(harvest, MIDNIGHT - MINUTE)
    others = calls_by_query(harvest)
    assert refused["calls"] <= min(others.values()) + 3


def test_feeds_that_are_more_than_the_calls_take_turns(harvest: Harvesting) -> None:
    harvest.options = {"invidious_api": "", "google_api_keys": KEYS[0], "youtube_daily_calls": 4}
    add(harvest, 8)
    until(harvest, MIDNIGHT + timedelta(days=20))
    counts = calls_by_query(harvest)
    assert len(counts) == 8
    assert sum(counts.values()) <= 4 * 21
    assert min(counts.values()) >= 5


def test_a_new_key_is_used_when_the_worker_starts_with_it(harvest: Harvesting) -> None:
    harvest.options = {"invidious_api": "", "google_api_keys": KEYS[0], "youtube_daily_calls": 1}
    harvest.poll()
    assert harvest.feed.next_poll_at >= MIDNIGHT
    harvest.options = {"invidious_api": "", "youtube_daily_calls": 1}
    harvest.clock.moment = MIDNIGHT - 3 * HOUR
    polls.wake_feeds(harvest.api.engine, harvest.settings)
    assert harvest.poll() == 1
    assert harvest.runs[-1].source == "youtube"


def test_a_key_that_is_free_when_the_poll_is_recorded_is_used_soon(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    harvest.options = {"invidious_api": "", "google_api_keys": KEYS[0]}
    harvest.fake.set_script({"faults": [{"kind": "rate_limited", "times": 1}]})
    harvest.poll()
    harvest.clock.moment = NOON + timedelta(seconds=59)
    with harvest.api.engine.begin() as connection:
        connection.execute(feeds.update().values(next_poll_at=clock.now()))
    gather = polls.gather

    def slow(*arguments: Any) -> Any:
        brought = gather(*arguments)
        harvest.forward(seconds=2)
        return brought

    with monkeypatch.context() as patch:
        patch.setattr(polls, "gather", slow)
        harvest.poll()
    assert harvest.feed.next_poll_at - clock.now() < MINUTE


def test_an_answer_with_more_items_than_any_page_is_cut(api: Api) -> None:
    item = {"type": "video", "title": "A", "published": int(NOON.timestamp())}
    items = [{**item, "videoId": f"v{number:09}x"} for number in range(5_000)]
    with Harvesting(api, saved={"invidious": orjson.dumps(items)}) as other:
        other.options = {"google_api_keys": ""}
        other.poll()
        assert len(other.stored) == 200
        assert other.runs[-1].skipped >= 4_800


def test_a_poll_that_takes_its_worker_along_is_not_made_again_at_each_start(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    harvest.poll()
    harvest.until_due()

    def fatal(*arguments: Any) -> Any:
        raise SystemExit

    monkeypatch.setattr(polls, "gather", fatal)
    deaths = 0
    for _ in range(20):
        polls.wake_feeds(harvest.api.engine, harvest.settings)
        try:
            harvest.poll()
        except SystemExit:
            deaths += 1
        harvest.forward(seconds=1)
    assert deaths == 1
