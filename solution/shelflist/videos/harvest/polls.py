"""The polls of feeds: each due one is asked for by one worker, and what it found is recorded in one transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from uuid6 import uuid7

from shelflist.shared import clock
from shelflist.shared.database import advisory_lock, autocommitting
from shelflist.shared.settings import Settings
from shelflist.videos.newest import announce

from .gathering import Feed, Harvest, begun, gather
from .quota import FeedPlan, read_quota
from .sources.found import SourceError
from .storing import Stored, store
from .tables import feed_gaps, feed_runs, feeds
from .timing import Polled, is_anybody_there, next_poll_at
from .windows import Window

log = structlog.get_logger(__name__)

CLAIM_SECONDS = 60.0
"""When a poll is tried again, at the latest, that its worker did not live to record."""
NO_SOURCE = "no key may be used now, and no Invidious instance"


@dataclass(frozen=True)
class _Run:
    """A poll under way."""

    id: str
    feed_id: str
    started_at: datetime
    feed: Feed


def has_source(settings: Settings) -> bool:
    """Return whether the settings name anything that could be asked."""
    return bool(settings.google_api_keys or settings.invidious_api)


def poll_next(engine: sa.Engine, settings: Settings) -> bool:
    """Poll the feed that has been due for longest and that no other worker polls; False where there is none."""
    if not has_source(settings):
        return False
    for feed_id in _due(engine, clock.now()):
        # The lock ends with its session: where a worker is killed, another one need not wait.
        with (
            autocommitting(engine) as connection,
            advisory_lock(connection, f"shelflist-feed-{feed_id}", wait=False) as is_ours,
        ):
            run = _begin(engine, settings, feed_id, clock.now()) if is_ours else None
            if run is not None:
                _poll(engine, settings, run)
                return True
    return False


def wake_feeds(engine: sa.Engine, settings: Settings) -> None:
    """Bring forward the polls that wait for longer than they would have to by now, as where settings have changed."""
    now = clock.now()
    # What was cut off waits for its claim's time, or workers that a poll takes along would make it again at each start.
    has_ended = ~sa.exists().where(feed_runs.c.feed_id == feeds.c.id, feed_runs.c.outcome == "running")
    with engine.begin() as connection:
        quota = read_quota(connection, settings, now)
        if is_anybody_there(quota):
            lonely = (feeds.c.last_error == NO_SOURCE, feeds.c.next_poll_at > now, has_ended)
            connection.execute(feeds.update().where(*lonely).values(next_poll_at=now))
        for plan in quota.feeds:
            if plan.planned_interval_seconds is not None:
                planned = feeds.c.last_success_at + timedelta(seconds=plan.planned_interval_seconds)
                waits = (feeds.c.id == plan.feed_id, feeds.c.failures == 0, feeds.c.next_poll_at > planned, has_ended)
                connection.execute(feeds.update().where(*waits).values(next_poll_at=planned))


def _due(engine: sa.Engine, now: datetime) -> list[str]:
    is_due = (feeds.c.enabled, feeds.c.next_poll_at <= now)
    order = (feeds.c.next_poll_at, feeds.c.last_success_at.asc().nulls_first(), feeds.c.id)
    with engine.begin() as connection:
        return list(connection.scalars(sa.select(feeds.c.id).where(*is_due).order_by(*order).limit(20)))


def _begin(engine: sa.Engine, settings: Settings, feed_id: str, now: datetime) -> _Run | None:
    """Enter a poll in the ledger; None where the feed is no longer due."""
    with engine.begin() as connection:
        is_due = (feeds.c.id == feed_id, feeds.c.enabled, feeds.c.next_poll_at <= now)
        row = connection.execute(sa.select(feeds).where(*is_due).with_for_update()).first()
        if row is None:
            return None
        # Nobody else polls this feed now: those that seem to were cut off.
        cut_off = (feed_runs.c.feed_id == feed_id, feed_runs.c.outcome == "running")
        connection.execute(feed_runs.update().where(*cut_off).values(outcome="interrupted", finished_at=now))
        run = _Run(str(uuid7()), feed_id, now, _feed(connection, row))
        connection.execute(feed_runs.insert().values(id=run.id, feed_id=feed_id, started_at=now))
        # Not at once again, where a poll takes its worker along.
        seconds = min(CLAIM_SECONDS, _interval(row, settings))
        again = now + timedelta(seconds=seconds)
        connection.execute(feeds.update().where(feeds.c.id == feed_id).values(next_poll_at=again))
    return run


def _feed(connection: sa.Connection, row: sa.Row[Any]) -> Feed:
    newest = feed_gaps.c.published_before.desc()
    gaps = connection.execute(sa.select(feed_gaps).where(feed_gaps.c.feed_id == row.id).order_by(newest)).all()
    windows = [Window(gap.published_after, gap.published_before) for gap in gaps]
    return Feed(row.query, row.since, row.watermark, row.looks_from, row.last_success_at, windows)


def _interval(row: sa.Row[Any], settings: Settings) -> float:
    return float(row.interval_seconds or settings.time_delay)


def _poll(engine: sa.Engine, settings: Settings, run: _Run) -> None:
    try:
        _record(engine, settings, run, gather(engine, settings, run.feed))
    except sa.exc.OperationalError:
        # Without a database nothing can be recorded either; the claim's time brings the next poll.
        raise
    except Exception as error:
        log.exception("a poll failed", feed_id=run.feed_id)
        harvest = begun(settings, run.feed)
        harvest.failure = SourceError(f"an unexpected {type(error).__name__}", reason="internal-error")
        harvest.note("shelflist", harvest.failure)
        _record(engine, settings, run, harvest)


def _record(engine: sa.Engine, settings: Settings, run: _Run, harvest: Harvest) -> None:
    """Store the rows, the ledger's end, the gaps and the watermark: all of it or nothing."""
    now = clock.now()
    with engine.begin() as connection:
        row = connection.execute(sa.select(feeds).where(feeds.c.id == run.feed_id).with_for_update()).first()
        if row is None or not _end(connection, run, harvest, now):
            # Removed, given another query, or taken for dead while the sources were asked.
            log.info("a poll is no longer wanted", feed_id=run.feed_id, run_id=run.id)
            return
        stored = store(connection, run.feed_id, harvest.videos, now)
        counts = {"new": stored.new, "updated": stored.updated, "duplicates": stored.duplicates}
        connection.execute(feed_runs.update().where(feed_runs.c.id == run.id).values(**counts))
        _keep_gaps(connection, run.feed_id, harvest.gaps)
        state = _state(row, harvest, now)
        connection.execute(feeds.update().where(feeds.c.id == run.feed_id).values(**state))
        moment = _next_poll_at(connection, settings, run, harvest, state["failures"])
        connection.execute(feeds.update().where(feeds.c.id == run.feed_id).values(next_poll_at=moment))
    if stored.new or stored.updated:
        announce(engine, settings)
    _tell(run, harvest, stored)


def _end(connection: sa.Connection, run: _Run, harvest: Harvest, now: datetime) -> bool:
    """Write the end of the poll into the ledger; False where somebody has done so before."""
    ended = connection.execute(
        feed_runs.update()
        .where(feed_runs.c.id == run.id, feed_runs.c.outcome == "running")
        .values(
            finished_at=now,
            outcome=_outcome(harvest),
            source=harvest.source,
            key_label=harvest.key_label if harvest.source == "youtube" else None,
            published_after=None if harvest.source == "invidious" else harvest.window.after,
            published_before=None if harvest.source == "invidious" else run.started_at,
            calls=harvest.calls,
            pages=harvest.pages,
            skipped=harvest.skipped,
            errors=harvest.errors,
        )
    )
    return ended.rowcount == 1


def _outcome(harvest: Harvest) -> str:
    if harvest.pages == 0:
        return "failed"
    return "partial" if harvest.failure is not None or harvest.gaps else "succeeded"


def _keep_gaps(connection: sa.Connection, feed_id: str, gaps: list[Window]) -> None:
    connection.execute(feed_gaps.delete().where(feed_gaps.c.feed_id == feed_id))
    rows = [{"feed_id": feed_id, "published_after": gap.after, "published_before": gap.before} for gap in gaps]
    if rows:
        connection.execute(feed_gaps.insert().values(rows))


def _state(row: sa.Row[Any], harvest: Harvest, now: datetime) -> dict[str, Any]:
    error = _last_error(harvest)
    return {
        "watermark": harvest.watermark,
        "looks_from": harvest.looks_from,
        "last_error": error,
        "failures": row.failures + 1 if error is not None else 0,
        "last_success_at": now if error is None else row.last_success_at,
    }


def _last_error(harvest: Harvest) -> str | None:
    """Return what everybody may read: who failed and why, in a word; addresses and quotations are in the ledger."""
    if harvest.failure is not None:
        return f"{harvest.errors[-1]['source']}: {harvest.failure.reason}"
    return NO_SOURCE if harvest.is_without_source else None


def _next_poll_at(
    connection: sa.Connection, settings: Settings, run: _Run, harvest: Harvest, failures: int
) -> datetime:
    row = connection.execute(sa.select(feeds).where(feeds.c.id == run.feed_id)).one()
    now = clock.now()
    quota = read_quota(connection, settings, now)
    # A feed that was disabled meanwhile has no share in the plan.
    plan = next((one for one in quota.feeds if one.feed_id == run.feed_id), FeedPlan(run.feed_id, None))
    polled = Polled(run.started_at, _interval(row, settings), harvest.failure, failures, harvest.is_without_source)
    return next_poll_at(polled, plan, quota, now)


def _tell(run: _Run, harvest: Harvest, stored: Stored) -> None:
    log.info(
        "feed polled",
        feed_id=run.feed_id,
        outcome=_outcome(harvest),
        source=harvest.source,
        calls=harvest.calls,
        new=stored.new,
        updated=stored.updated,
        duplicates=stored.duplicates,
    )
