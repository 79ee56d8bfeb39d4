from datetime import UTC, datetime, timedelta

import pytest

from shelflist.fake_youtube.quotas import Quotas, next_reset


def test_a_key_may_search_so_often_a_day() -> None:
    quotas = Quotas(("one", "two"), 3, {"two": 1})
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert [quotas.spend("one", now) for _ in range(5)] == [True, True, True, False, False]
    assert [quotas.spend("two", now) for _ in range(2)] == [True, False]
    assert quotas.as_json(now)[1] == {
        "key": "two",
        "daily_calls": 1,
        "used": 2,
        "day": "2026-11-21",
        "resets_at": "2026-11-22T08:00:00Z",
    }


@pytest.mark.parametrize(
    ("midnight", "hours"),
    [
        # 2026-03-08 has 23 hours in California, 2026-11-01 has 25.
        (datetime(2026, 3, 8, 8, tzinfo=UTC), 23),
        (datetime(2026, 11, 1, 7, tzinfo=UTC), 25),
        (datetime(2026, 7, 1, 7, tzinfo=UTC), 24),
        (datetime(2026, 12, 1, 8, tzinfo=UTC), 24),
    ],
)
def test_quotas_begin_anew_at_midnight_in_california(midnight: datetime, hours: int) -> None:
    quotas = Quotas(("key",), 1)
    moment = timedelta(seconds=1)
    end = midnight + timedelta(hours=hours)
    assert quotas.spend("key", midnight - moment)
    assert quotas.spend("key", midnight)
    assert not quotas.spend("key", end - moment)
    assert quotas.spend("key", end)
    assert next_reset(midnight) == end
    assert next_reset(midnight - moment) == midnight
