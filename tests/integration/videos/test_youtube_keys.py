"""The state of the keys in PostgreSQL: counted, parked, disabled, shared."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api

from shelflist.shared.settings import Settings, load_settings
from shelflist.videos.harvest import keys
from shelflist.videos.harvest.tables import youtube_keys

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RESET = datetime(2026, 11, 22, 8, tzinfo=UTC)


def with_keys(names: str = "one,two", **more: Any) -> Settings:
    return load_settings(_env_file=None, google_api_keys=names, youtube_daily_calls=3, **more)


def taken(api: Api, settings: Settings, now: datetime = NOW) -> str | None:
    key = keys.take(api.engine, settings, now)
    return None if key is None else key.secret


def states(api: Api, settings: Settings, now: datetime = NOW) -> list[tuple[str, int, int]]:
    with api.engine.begin() as connection:
        return [(one.state, one.calls_used, one.calls_left) for one in keys.key_states(connection, settings, now)]


def test_keys_are_used_in_their_order_until_each_is_spent(api: Api) -> None:
    settings = with_keys()
    assert [taken(api, settings) for _ in range(8)] == ["one"] * 3 + ["two"] * 3 + [None] * 2
    assert states(api, settings) == [("spent", 3, 0), ("spent", 3, 0)]


def test_midnight_in_california_makes_them_new(api: Api) -> None:
    settings = with_keys("one")
    for _ in range(3):
        taken(api, settings)
    assert taken(api, settings, RESET - timedelta(seconds=1)) is None
    assert states(api, settings, RESET) == [("usable", 0, 3)]
    assert taken(api, settings, RESET) == "one"
    assert states(api, settings, RESET) == [("usable", 1, 2)]


def test_a_worker_whose_clock_is_behind_counts_for_the_new_day(api: Api) -> None:
    settings = with_keys("one")
    taken(api, settings, RESET)
    for _ in range(3):
        taken(api, settings, RESET - timedelta(seconds=2))
    assert states(api, settings, RESET) == [("spent", 3, 0)]


def test_a_parked_key_rests_and_comes_back(api: Api) -> None:
    settings = with_keys()
    first = keys.take(api.engine, settings, NOW)
    assert first is not None
    keys.park(api.engine, first, RESET, "quotaExceeded")
    with api.engine.begin() as connection:
        parked = keys.key_states(connection, settings, NOW)[0]
    assert (parked.state, parked.calls_left, parked.parked_until) == ("parked", 0, RESET)
    assert parked.reason == "quotaExceeded"
    assert taken(api, settings) == "two"
    assert taken(api, settings, RESET) == "one"
    assert states(api, settings, RESET)[0] == ("usable", 1, 2)


def test_a_key_that_rests_for_a_minute_keeps_what_it_has_left(api: Api) -> None:
    settings = with_keys("one")
    key = keys.take(api.engine, settings, NOW)
    assert key is not None
    keys.park(api.engine, key, NOW + timedelta(minutes=1), "rateLimitExceeded")
    assert states(api, settings) == [("parked", 1, 2)]


def test_a_disabled_key_stays_so_until_a_person_enables_it(api: Api) -> None:
    settings = with_keys("one")
    key = keys.take(api.engine, settings, NOW)
    assert key is not None
    keys.disable(api.engine, key, NOW, "keyInvalid")
    assert taken(api, settings, NOW + timedelta(days=30)) is None
    assert states(api, settings) == [("disabled", 1, 0)]
    with api.engine.begin() as connection:
        assert keys.enable(connection, settings, key.label, NOW)
        assert not keys.enable(connection, settings, "key-unknown", NOW)
    assert taken(api, settings) == "one"


@pytest.mark.parametrize("budget", [1, 40])
def test_workers_at_once_never_take_more_than_the_budget(api: Api, budget: int) -> None:
    settings = load_settings(_env_file=None, google_api_keys="one,two,three", youtube_daily_calls=budget)
    with ThreadPoolExecutor(8) as pool:
        counts = Counter(pool.map(lambda _: taken(api, settings), range(3 * budget + 20)))
    assert counts == {"one": budget, "two": budget, "three": budget, None: 20}


def test_the_database_holds_no_key(api: Api) -> None:
    taken(api, with_keys("AIza-very-secret"))
    with api.engine.begin() as connection:
        rows = connection.execute(sa.select(youtube_keys)).all()
    assert len(rows) == 1
    assert "secret" not in repr(rows)
