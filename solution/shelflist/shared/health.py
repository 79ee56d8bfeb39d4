"""Whether this server can serve: is the database there, and is the server not about to stop."""

import mmap
from dataclasses import dataclass
from typing import Any, NoReturn

from shelflist import __version__

from .probing import Probe
from .settings import Settings

_COMPONENTS = """
SELECT
    CASE
        WHEN EXISTS (
            SELECT
            FROM procrastinate.procrastinate_workers
            WHERE last_heartbeat > now() - interval '1 minute'
        ) THEN 'ok'
        ELSE 'unavailable'
    END,
    CASE
        WHEN NOT EXISTS (SELECT FROM feeds WHERE enabled) THEN 'off'
        WHEN EXISTS (SELECT FROM feeds WHERE enabled AND failures > 0) THEN 'degraded'
        ELSE 'ok'
    END,
    CASE
        WHEN EXISTS (
            SELECT
            FROM image_contents
            WHERE labelling <> 'done'
              AND labelling_error IS DISTINCT FROM 'refused'
              AND touched_at < now() - interval '2 minutes'
        ) THEN 'degraded'
        ELSE 'ok'
    END,
    served.load_id,
    confirmed.age_seconds,
    latest.outcome,
    latest.reason
FROM (VALUES (true)) AS always
LEFT JOIN (
    SELECT load_id
    FROM dataset_loads
    WHERE is_current
      AND dataset = 'title.basics'
) AS served ON true
LEFT JOIN (
    SELECT greatest(floor(extract(epoch FROM clock_timestamp() - finished_at)), 0)::bigint AS age_seconds
    FROM dataset_loads
    WHERE outcome IN ('loaded', 'unchanged')
    ORDER BY started_at DESC, id DESC
    LIMIT 1
) AS confirmed ON true
LEFT JOIN (
    SELECT outcome, reason
    FROM dataset_loads
    WHERE outcome <> 'running'
    ORDER BY started_at DESC, id DESC
    LIMIT 1
) AS latest ON true
"""

# One byte that the Gunicorn master and all its workers see: memory mapped before they fork.
_draining = mmap.mmap(-1, 1)


def start_draining() -> None:
    """Make every worker of this server answer "not ready" from now on."""
    _draining[0] = 1


def is_draining() -> bool:
    """Return whether this server is about to stop."""
    return _draining[0] == 1


@dataclass(frozen=True)
class _Datasets:
    """What the ledger says of IMDb's files; None where no load has ended so."""

    version: str | None = None
    age_seconds: int | None = None
    last_outcome: str | None = None
    last_reason: str | None = None


@dataclass(frozen=True)
class _Components:
    """The states of what works beside the server, as far as the database can tell."""

    worker: str = "unavailable"
    harvest: str = "unavailable"
    labelling: str = "unavailable"
    datasets: _Datasets | None = None


class Health:
    """Answers for the server, by what a probe finds in the database."""

    def __init__(self, probe: Probe, settings: Settings) -> None:
        self._probe = probe
        self._has_vision = settings.has_vision()
        self._tells_reasons = settings.public_reads
        self._is_reloaded = settings.imdb_reload
        self._max_age_seconds = settings.imdb_max_age_hours * 3600

    async def unready(self) -> list[str]:
        """Return why the server should get no requests now; an empty list where it should."""
        reasons = ["draining"] if is_draining() else []
        if not await self.has_database():
            reasons.append("database")
        return reasons

    async def report(self) -> dict[str, Any]:
        """Return the state of each component, for a person."""
        has_database = await self.has_database()
        found = await self._components() if has_database else _Components()
        datasets = {"status": self._state_of(found.datasets), **vars(found.datasets or _Datasets())}
        is_degraded = "degraded" in (found.harvest, found.labelling, datasets["status"])
        return {
            # Without a worker jobs wait, but whatever is asked is answered.
            "status": "ok" if has_database and not is_degraded else "degraded",
            "name": "shelflist",
            "version": __version__,
            "components": {
                "database": {"status": "ok" if has_database else "unavailable"},
                "worker": {"status": found.worker},
                "harvest": {"status": found.harvest},
                "labelling": {"status": found.labelling},
                "datasets": datasets,
            },
        }

    async def has_database(self) -> bool:
        """Return whether the database answers; an answer is half a second old at most, and comes within two."""
        return await self._probe.recent("SELECT 1") is not None

    async def _components(self) -> _Components:
        rows = await self._probe.ask(_COMPONENTS)
        if rows is None:
            return _Components()
        worker, harvest, labelling, version, age_seconds, outcome, reason = rows[0]
        datasets = _Datasets(version, age_seconds, outcome, reason if self._tells_reasons else None)
        return _Components(worker, harvest, labelling if self._has_vision else "off", datasets)

    def _state_of(self, datasets: _Datasets | None) -> str:
        if datasets is None:
            return "unavailable"
        if datasets.last_outcome in ("failed", "interrupted"):
            return "degraded"
        if self._is_reloaded:
            age = datasets.age_seconds
            return "degraded" if age is None or age > self._max_age_seconds else "ok"
        return "off" if datasets.version is None else "ok"


def get_liveness() -> NoReturn:
    """Stand for an operation of the spec that the edge answers before it comes here."""
    raise RuntimeError("the edge answers the health operations and the metrics")


get_readiness = get_healthcheck = get_metrics = get_liveness
