"""What is left of the quota, and what is planned with it."""

import math
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from shelflist.shared.settings import Settings

from .instances import InstanceState, instance_states
from .keys import KeyState, key_states, next_reset
from .plan import Demand, spread
from .tables import feed_runs, feeds
from .windows import FIRST_VIDEO

_DAY_SECONDS = 86_400.0
RUNS_LOOKED_AT = 10
"""The newest polls of a feed that tell how many calls one takes."""


@dataclass(frozen=True)
class FeedPlan:
    """The seconds between two polls of a feed, today and on a whole day; None where none can be planned."""

    feed_id: str
    planned_interval_seconds: float | None
    next_day_interval_seconds: float | None = None


@dataclass(frozen=True)
class Quota:
    """The keys with what they have left, and the plan."""

    keys: tuple[KeyState, ...]
    calls_per_day: int
    """Of each key."""
    calls_left: int
    """Of all keys until `resets_at`."""
    resets_at: datetime
    planned_interval_seconds: float | None
    """The longest of the feeds'; None where there is nothing to plan, or with."""
    feeds: tuple[FeedPlan, ...]
    instances: tuple[InstanceState, ...]


def read_quota(connection: sa.Connection, settings: Settings, now: datetime) -> Quota:
    """Return the state of all keys at `now`, and the plan for the enabled feeds."""
    keys = key_states(connection, settings, now)
    left, resets_at = sum(key.calls_left for key in keys), next_reset(now)
    demands = read_demands(connection, settings)
    today = spread(demands, left, (resets_at - now).total_seconds())
    whole = sum(settings.youtube_daily_calls for key in keys if key.state != "disabled")
    next_day = spread(demands, whole, _DAY_SECONDS)
    plans = tuple(FeedPlan(one.feed_id, _finite(today[one.feed_id]), _finite(next_day[one.feed_id])) for one in demands)
    return Quota(
        keys=keys,
        calls_per_day=settings.youtube_daily_calls,
        calls_left=left,
        resets_at=resets_at,
        planned_interval_seconds=_finite(max(today.values(), default=math.inf)),
        feeds=plans,
        instances=instance_states(connection, settings, now),
    )


def read_demands(connection: sa.Connection, settings: Settings) -> list[Demand]:
    """Return what each enabled feed asks for."""
    newest = (
        sa.select(feed_runs.c.calls)
        # A first poll, which looks back as far as the search goes, says nothing of the others.
        .where(feed_runs.c.feed_id == feeds.c.id, feed_runs.c.calls > 0, feed_runs.c.published_after > FIRST_VIDEO)
        .order_by(feed_runs.c.started_at.desc(), feed_runs.c.id.desc())
        .limit(RUNS_LOOKED_AT)
        .correlate(feeds)
        .subquery()
    )
    calls = sa.select(sa.func.avg(newest.c.calls)).select_from(newest).scalar_subquery()
    wanted = sa.select(feeds.c.id, feeds.c.interval_seconds, calls.label("calls")).where(feeds.c.enabled)
    return [
        Demand(row.id, max(1.0, float(row.calls or 1)), float(row.interval_seconds or settings.time_delay))
        for row in connection.execute(wanted.order_by(feeds.c.created_at, feeds.c.id))
    ]


def _finite(seconds: float) -> float | None:
    return round(seconds, 3) if math.isfinite(seconds) else None
