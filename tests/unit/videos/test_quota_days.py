"""Days of the quota begin at midnight in California, daylight saving included."""

from datetime import UTC, date, datetime

import pytest

from shelflist.videos.harvest.keys import Key, digest_of, next_reset, quota_day


@pytest.mark.parametrize(
    ("moment", "day", "reset"),
    [
        ("2026-11-21T07:59:59", "2026-11-20", "2026-11-21T08:00:00"),
        ("2026-11-21T08:00:00", "2026-11-21", "2026-11-22T08:00:00"),
        ("2026-07-01T06:59:59", "2026-06-30", "2026-07-01T07:00:00"),
        # Clocks go back on 1 November: that day has 25 hours.
        ("2026-11-01T07:00:00", "2026-11-01", "2026-11-02T08:00:00"),
        # And forward on 8 March: that day has 23.
        ("2026-03-08T08:00:00", "2026-03-08", "2026-03-09T07:00:00"),
    ],
)
def test_the_day_and_its_end(moment: str, day: str, reset: str) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert quota_day(now) == date.fromisoformat(day)
    assert next_reset(now) == datetime.fromisoformat(reset).replace(tzinfo=UTC)


def test_a_key_is_never_shown() -> None:
    key = Key("AIza-very-secret", digest_of("AIza-very-secret"))
    assert "secret" not in f"{key!r} {key} {key.label}"
