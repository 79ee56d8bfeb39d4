"""The daily load of IMDb's files: a job, queued by a schedule where IMDB_RELOAD is on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg2
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from shelflist.ingest import errors
from shelflist.ingest.errors import LoadError, published_reason
from shelflist.ingest.phases import Phase
from shelflist.ingest.reporter import Reporter
from shelflist.ingest.tables import dataset_loads
from shelflist.shared import schedules
from shelflist.shared.jobs import Arguments, JobCancelled, JobContext, JobKind, register
from shelflist.shared.schedules import Schedule
from shelflist.shared.settings import Settings

from .problems import LoadFailed, LoadRefused

log = structlog.get_logger(__name__)

KIND = "load-imdb"
_PHASES = 6.0
"""About as many as a load has: what its progress is told in."""


class _JobReporter(Reporter):
    """Tells the job's callers how many phases are done, and how much of the one at work."""

    def __init__(self, context: JobContext) -> None:
        super().__init__()
        self._context = context
        self._ended = 0
        self._told = 0.0

    @contextmanager
    def phase(self, name: str, total: int | None = None, unit: str = "rows") -> Iterator[None]:
        """See Reporter."""
        with super().phase(name, total, unit):
            yield
        self._ended += 1
        self._tell(0.0)

    def _progress(self, phase: Phase) -> None:
        self._tell(phase.share or 0.0)

    def _tell(self, share: float) -> None:
        # What is downloaded again does not turn a job back.
        done = min(0.99, (self._ended + share) / _PHASES)
        if done > self._told:
            self._told = done
            self._context.progress(done)


def run(context: JobContext, _arguments: Arguments) -> Arguments:
    """Load the files of IMDB_SOURCE and return how that ended.

    Raises LoadFailed, after which another attempt may do better, or LoadRefused, after which none can. Each failure is
    one line of the log.
    """
    # Imported here: the load engine would cost each worker 100 MB that only the job's own process needs.
    from .imdb import load_imdb

    started = time.monotonic()
    try:
        result = load_imdb(context.engine, context.settings, reporter=_JobReporter(context))
    except JobCancelled:
        raise
    except Exception as error:
        _tell(context, error, time.monotonic() - started)
        if not isinstance(error, LoadError):
            raise
        problem = LoadRefused if isinstance(error, errors.LoadRefused) else LoadFailed
        # Without the cause, whose text may name a path.
        raise problem(error.reason) from None
    rows = {"rows_kept": result.basics.rows_kept, "rows_rejected": result.basics.rejections.count}
    return {"outcome": result.outcome, **rows, "seconds": round(result.seconds, 1)}


def _tell(context: JobContext, error: Exception, seconds: float) -> None:
    reason = published_reason(error)
    load_id = _load_id(context, reason)
    log.error("load failed", job_id=context.job_id, load_id=load_id, reason=reason, seconds=round(seconds, 1))


def _load_id(context: JobContext, reason: str) -> str | None:
    """Return the id under which the ledger has the failure; None where it could not be recorded."""
    newest = (
        sa.select(dataset_loads.c.load_id)
        .where(
            dataset_loads.c.started_at >= context.started_at,
            dataset_loads.c.outcome == "failed",
            dataset_loads.c.reason == reason,
        )
        .order_by(dataset_loads.c.started_at.desc(), dataset_loads.c.id.desc())
        .limit(1)
    )
    with suppress(DBAPIError, psycopg2.Error), context.engine.connect() as connection:
        found: str | None = connection.scalar(newest)
        return found
    return None


def _cron(settings: Settings) -> str:
    hour, minute = settings.imdb_reload_at.split(":")
    return f"{int(minute)} {int(hour)} * * *"


register(JobKind(KIND, run, is_isolated=True, max_attempts=3))
schedules.register(Schedule("imdb-reload", _cron, KIND, is_wanted=lambda settings: settings.imdb_reload))
