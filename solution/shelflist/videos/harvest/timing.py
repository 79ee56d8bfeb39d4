"""When a feed is polled next."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from shelflist.shared.backoff import backoff_seconds

from .quota import FeedPlan, Quota
from .sources.found import RequestRefused, SourceError

FIRST_BACKOFF = 15.0
"""Seconds to the next poll after one failure; about twice as many after each further one."""
LONGEST_BACKOFF = 900.0
"""The longest such wait, unless the feed is polled more seldom anyhow."""
HASTY_FAILURES = 3
"""How many failures in a row may be followed by a poll sooner than planned."""
NOBODY_SECONDS = 3600.0
"""Between two polls that find every key disabled and nobody else to ask."""


@dataclass(frozen=True)
class Polled:
    """How a poll ended, as far as the next one depends on it."""

    started_at: datetime
    least_seconds: float
    """Between two polls of this feed, as it or TIME_DELAY says."""
    failure: SourceError | None
    failures: int
    """In a row, this one included."""
    is_without_source: bool


def next_poll_at(polled: Polled, plan: FeedPlan, quota: Quota, now: datetime) -> datetime:
    """Return the moment of the poll that follows."""
    if polled.failure is not None:
        return now + timedelta(seconds=_wait(polled, polled.failure, plan))
    if polled.is_without_source:
        return _somebody_at(quota, plan, now)
    return max(_planned_at(polled, plan, quota), polled.started_at + timedelta(seconds=polled.least_seconds))


def is_anybody_there(quota: Quota) -> bool:
    """Return whether a key or an instance may be asked."""
    return any(key.state == "usable" for key in quota.keys) or any(one.state == "closed" for one in quota.instances)


def _wait(polled: Polled, failure: SourceError, plan: FeedPlan) -> float:
    wait = backoff_seconds(FIRST_BACKOFF, polled.failures, max(polled.least_seconds, LONGEST_BACKOFF))
    if isinstance(failure, RequestRefused) or polled.failures > HASTY_FAILURES:
        # What fails for long takes no more of the calls than what does not.
        wait = max(wait, plan.planned_interval_seconds or 0)
    return max(wait, failure.retry_after or 0)


def _planned_at(polled: Polled, plan: FeedPlan, quota: Quota) -> datetime:
    planned = plan.planned_interval_seconds
    if planned is None and quota.instances:
        planned = polled.least_seconds
    moments = [polled.started_at + timedelta(seconds=planned)] if planned is not None else []
    # In the new day there is more to plan with, but not all feeds begin it at its first second.
    return min([*moments, _new_day(quota, plan)])


def _new_day(quota: Quota, plan: FeedPlan) -> datetime:
    share = random.random()  # noqa: S311 - spreads load, keeps no secret
    return quota.resets_at + timedelta(seconds=share * (plan.next_day_interval_seconds or NOBODY_SECONDS))


def _somebody_at(quota: Quota, plan: FeedPlan, now: datetime) -> datetime:
    """Return when somebody can be asked again; soon where that has changed while the poll was recorded."""
    if is_anybody_there(quota):
        return now + timedelta(seconds=FIRST_BACKOFF)
    parked = [key.parked_until for key in quota.keys if key.parked_until is not None]
    open_until = [one.open_until for one in quota.instances if one.open_until is not None]
    spent = [_new_day(quota, plan) for key in quota.keys if key.state == "spent"]
    return min([*parked, *open_until, *spent], default=now + timedelta(seconds=NOBODY_SECONDS))
