"""Retention: what YouTube told is refreshed or deleted in time, and old entries of the ledger are removed."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from shelflist.shared import clock, schedules
from shelflist.shared.jobs import Arguments, JobContext, JobKind, register
from shelflist.shared.problems import ServiceUnavailable
from shelflist.shared.schedules import Schedule
from shelflist.shared.settings import Settings
from shelflist.videos.newest import announce
from shelflist.videos.tables import feature_vectors, videos

from . import keys
from .sources import youtube
from .sources.found import Answer, KeyRefused, QuotaSpent, RateLimited, SourceError
from .storing import refresh
from .tables import feed_runs, feed_videos

log = structlog.get_logger(__name__)

KIND = "keep-harvest"
KEPT_RUNS = timedelta(days=30)
"""How long an entry of the ledger is kept."""
BATCH = 50
"""Videos that one call of videos.list asks for."""
MOST_CALLS = 20
"""Such calls an hour: 480 a day, of a quota of 10,000 that searches do not share."""

_TEXTS = ("title", "title_key", "description", "search_key", "channel_id", "channel_title", "published_at")
_FORGOTTEN: dict[str, Any] = {
    **dict.fromkeys(_TEXTS),
    "is_published_approximate": False,
    "thumbnails": {},
    "live_state": None,
    "seen_at": None,
}
"""What a row holds of its source once that is forgotten: nothing."""


def run(context: JobContext, _arguments: Arguments) -> Arguments:
    """Refresh or delete what no harvest has seen for HARVEST_RETENTION_DAYS, and return the counts."""
    settings = context.settings
    counts = {"runs_removed": _remove_runs(context.engine), "refreshed": 0, "changed": 0, "deleted": 0}
    step = {"refresh": _refresh, "delete": _delete}.get(settings.harvest_retention)
    calls = 0
    while step is not None and calls < MOST_CALLS:
        context.progress(calls / MOST_CALLS)
        ids = _expired(context.engine, settings)
        done = step(context.engine, settings, ids) if ids else None
        if done is None:
            break
        announce(context.engine, settings)
        for name, count in done.items():
            counts[name] += count
        calls += settings.harvest_retention == "refresh"
    return counts


def forget(connection: sa.Connection, content_ids: Collection[str], limit: datetime) -> int:
    """Remove those of these videos that were not seen since `limit`, and return how many.

    Where users attached labels, a show or a vector, that is kept, and only what the source told is emptied.
    """
    # Locked before their labels are looked at: somebody may be attaching some at this moment.
    meant = (videos.c.content_id.in_(content_ids), videos.c.seen_at < limit)
    locked = sa.select(videos.c.id).where(*meant).order_by(videos.c.content_id).with_for_update()
    ids = list(connection.scalars(locked))
    has_label = [videos.c[name].is_not(None) for name in ("actual_label", "predicted_label", "tvshow")]
    is_kept = sa.or_(*has_label, sa.exists().where(feature_vectors.c.video_id == videos.c.id))
    kept = list(connection.scalars(sa.select(videos.c.id).where(videos.c.id.in_(ids), is_kept)))
    changed = {**_FORGOTTEN, "updated_at": sa.func.clock_timestamp()}
    connection.execute(videos.update().where(videos.c.id.in_(kept)).values(**changed))
    connection.execute(feed_videos.delete().where(feed_videos.c.video_id.in_(kept)))
    connection.execute(videos.delete().where(videos.c.id.in_(ids), videos.c.id.not_in(kept)))
    return len(ids)


def _remove_runs(engine: sa.Engine) -> int:
    with engine.begin() as connection:
        return connection.execute(feed_runs.delete().where(feed_runs.c.started_at < clock.now() - KEPT_RUNS)).rowcount


def _expired(engine: sa.Engine, settings: Settings) -> list[str]:
    """Return a batch of the harvested videos that were seen before the limit, the longest unseen first."""
    # Of uploaded rows nobody knows which texts are the user's.
    is_old = (videos.c.seen_at < _limit(settings), videos.c.source != "upload")
    oldest = sa.select(videos.c.content_id).where(*is_old).order_by(videos.c.seen_at, videos.c.id).limit(BATCH)
    with engine.begin() as connection:
        return list(connection.scalars(oldest))


def _limit(settings: Settings) -> datetime:
    return clock.now() - timedelta(days=settings.harvest_retention_days)


def _delete(engine: sa.Engine, settings: Settings, content_ids: list[str]) -> dict[str, int]:
    with engine.begin() as connection:
        return {"deleted": forget(connection, content_ids, _limit(settings))}


def _refresh(engine: sa.Engine, settings: Settings, content_ids: list[str]) -> dict[str, int] | None:
    """Bring the videos up to date and remove those that YouTube no longer shows; None where it cannot be asked."""
    answer = _ask(engine, settings, content_ids)
    if answer is None:
        return None
    gone = set(content_ids) - answer.content_ids
    with engine.begin() as connection:
        changed = refresh(connection, answer.videos, clock.now())
        # Those that YouTube shows and we cannot read are there, too.
        unread = videos.c.content_id.in_(answer.skipped_ids)
        connection.execute(videos.update().where(unread).values(seen_at=clock.now()))
        deleted = forget(connection, gone, _limit(settings))
    return {"refreshed": len(content_ids) - len(gone), "changed": changed, "deleted": deleted}


def _ask(engine: sa.Engine, settings: Settings, content_ids: list[str]) -> Answer | None:
    with engine.begin() as connection:
        states = {state.label: state.state for state in keys.key_states(connection, settings, clock.now())}
    for key in keys.configured(settings):
        # Those whose searches are spent may still list videos: that quota is another one.
        if states[key.label] == "disabled":
            continue
        try:
            return youtube.list_videos(settings.youtube_api_url, key.secret, content_ids)
        except KeyRefused as error:
            keys.disable(engine, key, clock.now(), error.reason)
        except (QuotaSpent, RateLimited) as error:
            log.warning("a key cannot refresh videos now", key_label=key.label, reason=error.reason)
        except SourceError as error:
            raise ServiceUnavailable(f"YouTube cannot refresh videos now: {error}") from None
    log.warning("videos are older than HARVEST_RETENTION_DAYS, and there is no key to refresh them with")
    return None


register(JobKind(KIND, run))
schedules.register(Schedule("keep-harvest", lambda _settings: "41 * * * *", KIND))
