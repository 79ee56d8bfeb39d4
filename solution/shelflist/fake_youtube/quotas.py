"""The daily quota of search.list that each key has, over days of Pacific time."""

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .video import rfc3339

PACIFIC = ZoneInfo("America/Los_Angeles")


def pacific_day(moment: datetime) -> date:
    """Return the day in California, at whose midnight quotas begin anew."""
    return moment.astimezone(PACIFIC).date()


def next_reset(moment: datetime) -> datetime:
    """Return the next midnight in California, in UTC."""
    following = pacific_day(moment) + timedelta(days=1)
    return datetime.combine(following, time(), PACIFIC).astimezone(UTC)


class Quotas:
    """How often each key may search a day, and how often it has; safe to be used by several threads."""

    def __init__(self, keys: Iterable[str], daily_calls: int, overrides: Mapping[str, int] | None = None) -> None:
        self._limits = dict.fromkeys(keys, daily_calls) | dict(overrides or {})
        self._used: dict[tuple[str, date], int] = {}
        self._lock = threading.Lock()

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that there are."""
        return tuple(self._limits)

    def spend(self, key: str, now: datetime) -> bool:
        """Count one call of the key and return whether the day's quota still allowed it."""
        day = pacific_day(now)
        with self._lock:
            self._used[key, day] = used = self._used.get((key, day), 0) + 1
        return used <= self._limits[key]

    def as_json(self, now: datetime) -> list[dict[str, Any]]:
        """Return each key's limit, the calls of this Pacific day and the next reset."""
        day = pacific_day(now)
        with self._lock:
            return [
                {
                    "key": key,
                    "daily_calls": limit,
                    "used": self._used.get((key, day), 0),
                    "day": day.isoformat(),
                    "resets_at": rfc3339(next_reset(now)),
                }
                for key, limit in self._limits.items()
            ]
