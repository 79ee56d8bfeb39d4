"""Polls of a feed against the stand-in: the window, the watermark, rotation, fallback, back-off, the ledger."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api
from tests.fixtures.harvesting import KEYS, NOON, Harvesting

from shelflist.shared import clock
from shelflist.videos.harvest import polls
from shelflist.videos.harvest.first_feed import ensure_first_feed
from shelflist.videos.harvest.keys import key_states
from shelflist.videos.harvest.tables import feed_runs, feeds
from shelflist.videos.tables import videos

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MIDNIGHT = datetime(2026, 11, 22, 8, tzinfo=UTC)


@pytest.fixture
def harvest(api: Api) -> Iterator[Harvesting]:
    with Harvesting(api) as made:
        yield made


def states(harvest: Harvesting) -> list[tuple[str, str | None, datetime | None]]:
    with harvest.api.engine.begin() as connection:
        found = key_states(connection, harvest.settings, clock.now())
    return [(one.state, one.reason, one.parked_until) for one in found]


def test_the_first_poll_makes_the_feed_of_query_and_stores_what_there_is(harvest: Harvesting) -> None:
    harvest.publish(*(NOON - minutes * MINUTE for minutes in range(120)))
    assert harvest.poll() == 1
    assert len(harvest.stored) == 120
    run = harvest.runs[0]
    assert (run.outcome, run.source, run.calls, run.pages, run.new) == ("succeeded", "youtube", 3, 3, 120)
    assert (harvest.feed.query, harvest.feed.watermark, harvest.feed.last_error) == ("cricket", NOON, None)
    asked = harvest.fake.calls("youtube")[0].params
    assert {name: asked[name] for name in ("q", "type", "order", "part", "maxResults")} == {
        "q": "cricket",
        "type": "video",
        "order": "date",
        "part": "snippet",
        "maxResults": "50",
    }
    assert asked["publishedAfter"] == "2005-04-23T00:00:00Z"


def test_the_next_poll_asks_from_the_watermark_less_the_overlap(harvest: Harvesting) -> None:
    harvest.options = {"harvest_overlap_seconds": 600}
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    harvest.publish(NOON + MINUTE)
    assert harvest.again() == 1
    assert harvest.fake.calls("youtube")[-1].params["publishedAfter"] == "2026-11-21T19:49:00Z"
    assert harvest.runs[-1].published_after == NOON - 11 * MINUTE
    assert (harvest.runs[-1].new, harvest.runs[-1].duplicates) == (1, 1)
    assert harvest.feed.watermark == NOON + MINUTE


def test_a_video_that_the_search_shows_late_is_stored(harvest: Harvesting) -> None:
    first = harvest.publish(NOON - MINUTE)
    late = harvest.publish(NOON - 10 * MINUTE, indexed_at=NOON + MINUTE)
    harvest.poll()
    assert harvest.stored == first
    harvest.again()
    assert harvest.stored == sorted(first + late)


def test_live_videos_and_dates_in_the_future_do_not_move_the_watermark(harvest: Harvesting) -> None:
    harvest.publish(NOON - HOUR)
    harvest.publish(NOON - MINUTE, live="live")
    harvest.publish(NOON - 2 * MINUTE, live="upcoming")
    harvest.poll()
    assert harvest.feed.watermark == NOON - HOUR
    with harvest.api.engine.begin() as connection:
        found = connection.scalars(sa.select(videos.c.live_state).order_by(videos.c.published_at)).all()
    assert found == ["none", "upcoming", "live"]


def test_polls_are_spread_over_what_is_left_of_the_day(harvest: Harvesting) -> None:
    harvest.publish(NOON)
    harvest.poll()
    # Twelve hours, two keys of 100 calls, one of them used.
    assert harvest.feed.next_poll_at == NOON + timedelta(seconds=round(12 * 3600 / 199, 3))


def test_time_delay_asks_for_more(harvest: Harvesting) -> None:
    harvest.options = {"time_delay": 3600}
    harvest.publish(NOON)
    harvest.poll()
    assert harvest.feed.next_poll_at == NOON + HOUR


def test_a_whole_day_takes_no_more_calls_than_there_are_and_leaves_no_hour_without_a_poll(harvest: Harvesting) -> None:
    harvest.poll()
    while harvest.clock.now() < MIDNIGHT:
        harvest.publish(harvest.clock.now())
        harvest.again()
    used = [entry.key for entry in harvest.fake.calls("youtube") if entry.at < "2026-11-22T08"]
    assert len(used) <= 200
    assert len(used) >= 190
    starts = [run.started_at for run in harvest.runs if run.started_at < MIDNIGHT]
    assert max(later - earlier for earlier, later in itertools.pairwise(starts)) < 6 * MINUTE


def test_a_spent_key_is_parked_and_the_next_one_used_in_the_same_poll(harvest: Harvesting) -> None:
    found = harvest.publish(NOON)
    harvest.fake.set_script({"faults": [{"kind": "quota_exceeded", "key": KEYS[0]}]})
    harvest.poll()
    assert harvest.stored == found
    assert [entry.key for entry in harvest.fake.calls("youtube")] == list(KEYS)
    assert states(harvest) == [("parked", "quotaExceeded", MIDNIGHT), ("usable", None, None)]
    run = harvest.runs[0]
    assert (run.outcome, run.calls, [error["reason"] for error in run.errors]) == ("succeeded", 2, ["quotaExceeded"])
    # What a restart knows is what the database knows: nothing is kept in the process.
    harvest.again()
    assert harvest.fake.calls("youtube")[-1].key == KEYS[1]
    harvest.fake.set_script(None)
    harvest.clock.moment = MIDNIGHT
    harvest.poll()
    assert harvest.fake.calls("youtube")[-1].key == KEYS[0]


def test_a_parked_key_is_free_again_at_midnight_in_summer_too(harvest: Harvesting) -> None:
    harvest.clock.moment = harvest.clock.start = datetime(2026, 7, 1, 20, tzinfo=UTC)
    harvest.fake.set_script({"faults": [{"kind": "quota_exceeded", "key": KEYS[0]}]})
    harvest.poll()
    assert states(harvest)[0][2] == datetime(2026, 7, 2, 7, tzinfo=UTC)


def test_the_daily_limit_of_the_newer_form_is_a_spent_quota(harvest: Harvesting) -> None:
    harvest.fake.set_script({"faults": [{"kind": "daily_limit_429", "key": KEYS[0]}]})
    harvest.poll()
    assert states(harvest)[0][2] == MIDNIGHT


@pytest.mark.parametrize("kind", ["key_invalid", "api_key_invalid", "access_not_configured"])
def test_a_refused_key_is_disabled_and_not_asked_again(harvest: Harvesting, kind: str) -> None:
    harvest.fake.set_script({"faults": [{"kind": kind, "key": KEYS[0]}]})
    harvest.poll()
    for _ in range(5):
        harvest.again()
    assert [entry.key for entry in harvest.fake.calls("youtube")].count(KEYS[0]) == 1
    assert states(harvest)[0][0] == "disabled"
    harvest.clock.moment = MIDNIGHT + HOUR
    harvest.poll()
    assert harvest.fake.calls("youtube")[-1].key == KEYS[1]


def test_all_keys_spent_the_fallback_is_used_once_an_interval(harvest: Harvesting) -> None:
    harvest.options = {"time_delay": 300}
    found = harvest.publish(*(NOON - minutes * MINUTE for minutes in range(1, 11)))
    harvest.fake.set_script({"faults": [{"kind": "quota_exceeded"}]})
    harvest.poll()
    assert harvest.stored == found
    run = harvest.runs[0]
    assert (run.outcome, run.source, run.key_label, run.calls) == ("succeeded", "invidious", None, 2)
    assert harvest.feed.watermark is None
    with harvest.api.engine.begin() as connection:
        assert set(connection.scalars(sa.select(videos.c.is_published_approximate))) == {True}
    for _ in range(5):
        harvest.again()
    assert harvest.calls() == 2
    starts = [run.started_at for run in harvest.runs]
    assert starts == [NOON + number * 5 * MINUTE for number in range(6)]
    # And at midnight the keys are new, the dates become exact.
    harvest.fake.set_script(None)
    harvest.clock.moment = MIDNIGHT
    harvest.poll()
    assert harvest.runs[-1].source == "youtube"
    with harvest.api.engine.begin() as connection:
        assert set(connection.scalars(sa.select(videos.c.is_published_approximate))) == {False}


def test_an_instance_that_fails_is_left_alone_and_the_next_one_asked(harvest: Harvesting) -> None:
    harvest.options = {"google_api_keys": ""}
    found = harvest.publish(NOON - MINUTE)
    first = next(iter(harvest.fake.invidious_urls))
    harvest.fake.set_script({"faults": [{"kind": "server_error", "target": first}]})
    harvest.poll()
    assert harvest.stored == found
    assert [error["source"] for error in harvest.runs[0].errors] == ["invidious"]
    before = harvest.calls(first)
    harvest.forward(seconds=5)
    with harvest.api.engine.begin() as connection:
        connection.execute(feeds.update().values(next_poll_at=clock.now()))
    harvest.poll()
    assert harvest.calls(first) == before
    harvest.fake.set_script(None)
    harvest.forward(hours=1)
    harvest.poll()
    assert harvest.calls(first) > before


def test_thumbnails_of_an_instance_with_relative_addresses_are_whole(harvest: Harvesting) -> None:
    url = harvest.fake.invidious_urls["relative"]
    harvest.options = {"google_api_keys": "", "invidious_api": f"{url}/api/v1/search"}
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    pictures = harvest.api.get("/videos").json()["videos"][0]["thumbnails"]
    assert pictures
    assert all(picture["url"].startswith(harvest.fake.url) for picture in pictures.values())


@pytest.mark.parametrize("retry_after", [None, "120"])
@pytest.mark.parametrize("status", [500, 503])
def test_errors_of_the_server_are_waited_out(harvest: Harvesting, status: int, retry_after: str | None) -> None:
    fault = {"kind": "server_error", "status": status, "target": "youtube", "retry_after": retry_after}
    harvest.fake.set_script({"faults": [fault]})
    harvest.poll()
    waits = []
    for _ in range(6):
        before = harvest.clock.now()
        harvest.again()
        waits.append((harvest.clock.now() - before).total_seconds())
    assert harvest.calls() == 7
    assert harvest.feed.failures == 7
    assert all(wait >= (float(retry_after) if retry_after else 11) for wait in waits)
    assert waits[-1] > 2 * waits[0] or retry_after
    assert harvest.api.get("/healthcheck").json()["components"]["harvest"] == {"status": "degraded"}
    harvest.fake.set_script(None)
    found = harvest.publish(NOON)
    harvest.again()
    assert (harvest.stored, harvest.feed.failures, harvest.feed.last_error) == (found, 0, None)


def test_a_key_that_is_told_to_slow_down_rests_and_the_other_goes_on(harvest: Harvesting) -> None:
    harvest.fake.set_script({"faults": [{"kind": "rate_limited", "key": KEYS[0], "retry_after": "3600", "times": 1}]})
    harvest.poll()
    assert states(harvest)[0] == ("parked", "rateLimitExceeded", NOON + HOUR)
    assert harvest.runs[0].outcome == "succeeded"
    harvest.again()
    assert harvest.fake.calls("youtube")[-1].key == KEYS[1]
    harvest.clock.moment = NOON + HOUR
    harvest.again()
    assert harvest.fake.calls("youtube")[-1].key == KEYS[0]


@pytest.mark.parametrize("kind", ["html", "truncated_json", "empty"])
def test_an_answer_that_cannot_be_read_is_asked_for_once_more(harvest: Harvesting, kind: str) -> None:
    found = harvest.publish(NOON)
    harvest.fake.set_script({"faults": [{"kind": kind, "times": 1, "target": "youtube"}]})
    harvest.poll()
    assert (harvest.stored, harvest.runs[0].outcome, harvest.runs[0].calls) == (found, "succeeded", 2)
    harvest.fake.set_script({"faults": [{"kind": kind, "target": "youtube"}]})
    harvest.again()
    assert (harvest.runs[1].outcome, harvest.runs[1].calls) == ("failed", 2)
    assert harvest.feed.next_poll_at > harvest.clock.now() + timedelta(seconds=10)


@pytest.mark.parametrize("kind", ["missing_fields", "other_types", "huge_description", "bad_text"])
def test_items_that_cannot_be_read_are_counted_and_the_others_stored(harvest: Harvesting, kind: str) -> None:
    found = harvest.publish(*(NOON - minutes * MINUTE for minutes in range(10)))
    harvest.fake.set_script({"faults": [{"kind": kind}]})
    harvest.poll()
    run = harvest.runs[0]
    assert run.outcome == "succeeded"
    assert run.skipped > 0
    assert 0 < len(harvest.stored) <= 10
    harvest.fake.set_script(None)
    harvest.again()
    assert harvest.stored == found


def test_duplicates_in_a_page_and_across_pages_are_one_row(harvest: Harvesting) -> None:
    found = harvest.publish(*(NOON - minutes * MINUTE for minutes in range(120)))
    harvest.fake.set_script({"faults": [{"kind": "duplicates"}]})
    harvest.poll()
    assert harvest.stored == found
    assert harvest.runs[0].duplicates > 0


def test_a_page_that_leads_to_itself_ends_the_walk(harvest: Harvesting) -> None:
    harvest.publish(*(NOON - minutes * MINUTE for minutes in range(120)))
    harvest.fake.set_script({"faults": [{"kind": "repeat_page"}]})
    harvest.poll()
    assert harvest.runs[0].calls <= 4


def test_what_one_poll_does_not_reach_the_next_ones_fetch(harvest: Harvesting) -> None:
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    found = harvest.publish(*(NOON + timedelta(seconds=5 * number) for number in range(1200)))
    harvest.forward(hours=2)
    harvest.poll()
    assert harvest.runs[-1].outcome == "partial"
    assert len(harvest.gaps) == 1
    while harvest.gaps:
        harvest.again()
        assert len(harvest.runs) < 10
    assert set(found) <= set(harvest.stored)


def test_a_walk_that_breaks_off_keeps_what_came_and_fetches_the_rest_later(harvest: Harvesting) -> None:
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    found = harvest.publish(*(NOON + timedelta(seconds=5 * number) for number in range(200)))
    harvest.forward(hours=1)
    # The third call from here on.
    harvest.fake.set_script({"faults": [{"kind": "server_error", "every": 3, "times": 1, "target": "youtube"}]})
    harvest.poll()
    assert (harvest.runs[-1].outcome, harvest.runs[-1].pages) == ("partial", 2)
    assert harvest.feed.watermark == NOON + timedelta(seconds=5 * 199)
    assert len(harvest.gaps) == 1
    harvest.again()
    harvest.again()
    assert set(found) <= set(harvest.stored)
    assert harvest.gaps == []


def test_quotas_that_end_in_the_middle_of_a_walk_lose_nothing(harvest: Harvesting) -> None:
    harvest.options = {"youtube_daily_calls": 2, "invidious_api": ""}
    harvest.publish(NOON - MINUTE)
    harvest.poll()
    found = harvest.publish(*(NOON + timedelta(seconds=5 * number) for number in range(300)))
    harvest.again()
    assert (harvest.runs[-1].outcome, harvest.runs[-1].calls) == ("partial", 3)
    # Nobody is asked before midnight, and nothing is written meanwhile.
    count = len(harvest.runs)
    while harvest.clock.now() < MIDNIGHT:
        harvest.again()
    assert len(harvest.runs) <= count + 2
    harvest.options = {}
    for _ in range(3):
        harvest.again()
    assert set(found) <= set(harvest.stored)
    assert harvest.gaps == []


def test_without_keys_and_instances_nothing_is_asked_or_written(harvest: Harvesting) -> None:
    harvest.options = {"google_api_keys": "", "invidious_api": ""}
    assert harvest.poll() == 0
    assert harvest.runs == []


def test_a_disabled_feed_is_not_polled(harvest: Harvesting) -> None:
    harvest.poll()
    with harvest.api.engine.begin() as connection:
        connection.execute(feeds.update().values(enabled=False))
    assert harvest.again() == 0


def test_rows_ledger_and_watermark_are_stored_together_or_not_at_all(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = harvest.publish(NOON)

    def cut_off(*arguments: Any, **named: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(polls, "_keep_gaps", cut_off)
        with pytest.raises(SystemExit):
            harvest.poll()
    assert harvest.stored == []
    assert (harvest.runs[0].outcome, harvest.feed.watermark) == ("running", None)
    assert harvest.again() == 1
    assert harvest.stored == found
    assert [run.outcome for run in harvest.runs] == ["interrupted", "succeeded"]


def test_a_poll_whose_feed_was_given_another_query_stores_nothing(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    harvest.publish(NOON)
    gather = polls.gather
    headers = harvest.api.credentials()

    def changed_meanwhile(*arguments: Any) -> Any:
        brought = gather(*arguments)
        feed = f"/feeds/{harvest.feed.id}"
        assert harvest.api.patch(feed, json={"query": "tea"}, headers=headers).status_code == 200
        return brought

    ensure_first_feed(harvest.api.engine, harvest.settings)
    monkeypatch.setattr(polls, "gather", changed_meanwhile)
    assert polls.poll_next(harvest.api.engine, harvest.settings)
    assert harvest.stored == []
    assert ([run.outcome for run in harvest.runs], harvest.feed.watermark) == (["interrupted"], None)


def test_a_fault_of_ours_is_recorded_and_waited_out(harvest: Harvesting, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Any:
        raise ZeroDivisionError("with the key AIzaFirst in its text")

    with monkeypatch.context() as patch:
        patch.setattr(polls, "gather", broken)
        assert harvest.poll() == 1
    run = harvest.runs[0]
    assert (run.outcome, run.errors[0]["reason"]) == ("failed", "internal-error")
    assert "AIza" not in repr(run)
    assert harvest.feed.next_poll_at > NOON + timedelta(seconds=10)


def test_the_saved_answers_load_as_they_are(api: Api, youtube_directory: Any) -> None:
    saved = {
        "youtube": youtube_directory / "search_list_order_date.json",
        "invidious": youtube_directory / "invidious_search_mixed_types.json",
    }
    with Harvesting(api, saved=saved) as harvest:
        harvest.poll()
        assert (harvest.runs[0].outcome, harvest.runs[0].new) == ("succeeded", 12)
        assert harvest.runs[0].calls == 2
        harvest.options = {"google_api_keys": ""}
        harvest.again()
        assert (harvest.runs[1].new, harvest.runs[1].pages, harvest.runs[1].skipped) == (3, 2, 6)
    found = api.get("/videos", params={"page_size": 100}).json()["videos"]
    assert len(found) == 15
    dates = [video["published_at"] for video in found]
    assert dates == sorted(dates, reverse=True)


def test_no_secret_is_written_anywhere(
    harvest: Harvesting, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    harvest.publish(NOON)
    harvest.poll()
    kinds = ("quota_exceeded", "key_invalid", "server_error", "html", "drop", "redirect", "rate_limited")
    for kind in kinds:
        harvest.fake.set_script({"faults": [{"kind": kind}]})
        harvest.again()
        with harvest.api.engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE youtube_keys, invidious_instances"))
    told = "".join([*capfd.readouterr(), caplog.text, repr(harvest.runs), repr(harvest.feed)])
    headers = harvest.api.credentials()
    told += harvest.api.get("/feeds").text + harvest.api.get(f"/feeds/{harvest.feed.id}/runs", headers=headers).text
    with harvest.api.engine.begin() as connection:
        told += repr(connection.execute(sa.select(feed_runs)).all())
    assert len(harvest.runs) == 1 + len(kinds)
    assert "AIza" not in told
