"""The plan: what is left of the day's calls, spread over what is left of the day."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """What one feed asks for."""

    feed_id: str
    calls: float
    """Calls that one poll of it takes, 1 at least."""
    least_seconds: float
    """Between two polls of it, however many calls are left."""


def spread(demands: Iterable[Demand], calls_left: float, seconds_left: float) -> dict[str, float]:
    """Return the seconds between two polls for each feed, so that the calls last as long as the time.

    All feeds get the same interval, but for those that ask for a longer one: what they leave is shared by the others.
    Infinite where no call is left.
    """
    rate = calls_left / max(seconds_left, 1.0)
    waiting = sorted(demands, key=lambda demand: demand.least_seconds)
    intervals: dict[str, float] = {}
    while waiting:
        shared = sum(demand.calls for demand in waiting) / rate if rate > 0 else math.inf
        slowest = waiting[-1]
        if slowest.least_seconds < shared:
            return intervals | {demand.feed_id: shared for demand in waiting}
        intervals[slowest.feed_id] = slowest.least_seconds
        rate -= slowest.calls / slowest.least_seconds
        waiting.pop()
    return intervals
