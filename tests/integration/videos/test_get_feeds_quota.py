"""GET /feeds/quota."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from pydantic import SecretStr
from tests.factories.feeds import NOW, add_feeds, add_runs, time_stands_still
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.videos.harvest.keys import digest_of
from shelflist.videos.harvest.tables import invidious_instances, youtube_keys

RESET = "2026-11-22T08:00:00.000Z"
USED, PARKED, REFUSED, FRESH = "AIza-used", "AIza-parked", "AIza-refused", "AIza-fresh"
FAILING, GOOD = "https://user:hunter2@failing.example.org", "https://good.example.org"


@pytest.fixture(scope="module")
def harvesting(running_api: Api) -> Iterator[Api]:
    """The application over the same database, with keys and instances; use it together with `api`."""
    keys = tuple(map(SecretStr, (USED, PARKED, REFUSED, FRESH)))
    instances = tuple(map(SecretStr, (FAILING, GOOD)))
    changed = {"google_api_keys": keys, "invidious_api": instances, "youtube_daily_calls": 50, "time_delay": 60}
    with Api(running_api.settings.model_copy(update=changed), running_api.url) as started:
        yield started


def add_states(api: Api) -> None:
    today = date(2026, 11, 21)
    with api.engine.begin() as connection:
        for key, state in {
            USED: {"calls_used": 20},
            PARKED: {"calls_used": 10, "parked_until": NOW + timedelta(minutes=1), "reason": "rateLimitExceeded"},
            REFUSED: {"calls_used": 1, "disabled_at": NOW, "reason": "keyInvalid"},
        }.items():
            connection.execute(youtube_keys.insert().values(digest=digest_of(key), quota_day=today, **state))
        rest = {"failures": 3, "open_until": NOW + timedelta(minutes=4), "reason": "timeout"}
        connection.execute(invidious_instances.insert().values(digest=digest_of(FAILING), **rest))


def test_each_key_feed_and_instance_is_told_with_its_state(api: Api, harvesting: Api) -> None:
    add_states(api)
    slow, quick, _ = add_feeds(
        api.engine,
        [
            {"query": "slow", "interval_seconds": 604_800, "created_at": NOW},
            {"query": "quick", "created_at": NOW + timedelta(seconds=1)},
            {"query": "off", "enabled": False},
        ],
    )
    with time_stands_still():
        body = harvesting.get("/feeds/quota", headers=api.credentials("reader", ("read",))).json()
    [plan] = [feed["planned_interval_seconds"] for feed in body["feeds"] if feed["feed_id"] == quick]
    # 120 calls for the 81,000 seconds until midnight in California, nearly all for the one feed.
    assert 675 <= plan <= 681
    labels = {key: f"key-{digest_of(key)[:8]}" for key in (USED, PARKED, REFUSED, FRESH)}
    none = {"parked_until": None, "reason": None}
    parked = {"parked_until": "2026-11-21T09:31:00.000Z", "reason": "rateLimitExceeded"}
    refused = {"parked_until": None, "reason": "keyInvalid"}
    rest = {"failures": 3, "open_until": "2026-11-21T09:34:00.000Z", "reason": "timeout"}
    assert body == {
        "keys": [
            {"label": labels[USED], "state": "usable", "calls_used": 20, "calls_left": 30, **none},
            {"label": labels[PARKED], "state": "parked", "calls_used": 10, "calls_left": 40, **parked},
            {"label": labels[REFUSED], "state": "disabled", "calls_used": 1, "calls_left": 0, **refused},
            {"label": labels[FRESH], "state": "usable", "calls_used": 0, "calls_left": 50, **none},
        ],
        "calls_per_day": 50,
        "calls_left": 120,
        "resets_at": RESET,
        "planned_interval_seconds": 604_800,
        "feeds": [
            {"feed_id": slow, "planned_interval_seconds": 604_800},
            {"feed_id": quick, "planned_interval_seconds": plan},
        ],
        "instances": [
            {"name": "https://failing.example.org", "state": "open", **rest},
            {"name": GOOD, "state": "closed", "failures": 0, "open_until": None, "reason": None},
        ],
    }


def test_a_feed_whose_polls_take_more_calls_is_polled_less_often(api: Api, harvesting: Api) -> None:
    one, other = add_feeds(api.engine, [{"query": "a", "created_at": NOW}, {"query": "b", "created_at": NOW}])
    asked = {"published_after": NOW}
    add_runs(api.engine, one, [{"calls": 3, **asked}, {"calls": 5, **asked}, {"calls": 0}])
    with time_stands_still():
        alone = harvesting.get("/feeds/quota", headers=api.credentials("a")).json()["planned_interval_seconds"]
        add_runs(api.engine, other, [{"calls": 6, **asked}])
        both = harvesting.get("/feeds/quota", headers=api.credentials("b")).json()["planned_interval_seconds"]
    # 200 calls for 81,000 seconds: (4 + 1) calls a round, then (4 + 6).
    assert (alone, both) == (2025, 4050)


def test_a_key_whose_calls_are_used_up_is_spent(api: Api, harvesting: Api) -> None:
    with api.engine.begin() as connection:
        row = {"digest": digest_of(USED), "quota_day": date(2026, 11, 21), "calls_used": 50}
        connection.execute(youtube_keys.insert().values(row))
    with time_stands_still():
        key = harvesting.get("/feeds/quota", headers=api.credentials()).json()["keys"][0]
    assert (key["state"], key["calls_used"], key["calls_left"]) == ("spent", 50, 0)


def test_the_day_is_california_s(api: Api, harvesting: Api) -> None:
    with api.engine.begin() as connection:
        row = {"digest": digest_of(USED), "quota_day": date(2026, 11, 21), "calls_used": 50}
        connection.execute(youtube_keys.insert().values(row))
    with time_stands_still(NOW + timedelta(days=1)):
        body = harvesting.get("/feeds/quota", headers=api.credentials()).json()
    assert (body["keys"][0]["calls_left"], body["resets_at"]) == (50, "2026-11-23T08:00:00.000Z")


def test_without_keys_nothing_is_planned(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "cats"}])
    with time_stands_still():
        body = api.get("/feeds/quota", headers=api.credentials()).json()
    assert body == {
        "keys": [],
        "calls_per_day": api.settings.youtube_daily_calls,
        "calls_left": 0,
        "resets_at": RESET,
        "planned_interval_seconds": None,
        "feeds": [{"feed_id": feed_id, "planned_interval_seconds": None}],
        "instances": [],
    }


def test_no_secret_is_told(api: Api, harvesting: Api) -> None:
    add_states(api)
    text = harvesting.get("/feeds/quota", headers=api.credentials()).text
    assert [secret for secret in (USED, PARKED, REFUSED, FRESH, "hunter2", digest_of(USED)) if secret in text] == []


def test_an_unchanged_quota_is_a_304(api: Api, harvesting: Api) -> None:
    headers = api.credentials()
    with time_stands_still():
        etag = harvesting.get("/feeds/quota", headers=headers).headers["ETag"]
        assert harvesting.get("/feeds/quota", headers={**headers, "If-None-Match": etag}).status_code == 304


def test_only_a_client_that_may_read_is_told(api: Api) -> None:
    problem(api.get("/feeds/quota"), 401)
    problem(api.get("/feeds/quota", headers=api.credentials("writer", ("write",))), 403)
    problem(api.get("/feeds/quota", params={"days": "1"}, headers=api.credentials()), 400)
