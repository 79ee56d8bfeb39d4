"""One attempt at a job: its beginning, its run, and how its end is recorded."""

import threading
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from .backoff import backoff_seconds
from .database import create_engine, transaction_lock
from .job_queue import requeue_stalled
from .jobs import PENDING, JobCancelled, JobContext, JobKind, JobPostponed, is_attempt, kind_of
from .problems import InternalError, Problem, from_exception
from .settings import Settings
from .tables import jobs

log = structlog.get_logger(__name__)

KEPT = timedelta(days=7)
"""How long a finished job can be read."""

_NOW = sa.func.clock_timestamp()


def begin(engine: sa.Engine, job_id: str) -> sa.Row[Any] | None:
    """Count and start an attempt and return the job; None where nobody wants it any more.

    A job that still counts as running was left by a worker that is gone. One that takes its worker along every time
    fails for good.
    """
    with engine.begin() as connection:
        row = connection.execute(
            sa.select(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(PENDING)).with_for_update()
        ).first()
        if row is None:
            return None
        started: dict[str, Any] = {"state": "running", "started_at": _NOW, "next_attempt_at": None, "progress": 0}
        kind = kind_of(row.kind)
        if kind is not None and row.attempts >= kind.max_attempts:
            lost = Problem("the worker ended in the middle of the job, every time it was tried")
            started |= {"state": "failed", "problem": _document(lost), "finished_at": _NOW}
        else:
            started["attempts"] = jobs.c.attempts + 1
        row = connection.execute(jobs.update().where(jobs.c.id == job_id).values(started).returning(jobs)).one()
    return row if row.state == "running" else None


def run(engine: sa.Engine, settings: Settings, row: sa.Row[Any], stopping: threading.Event | None = None) -> None:
    """Run the attempt that `row` began and record how it ended; a job that was cancelled meanwhile stays so."""
    kind = kind_of(row.kind)
    is_last = row.attempts >= _attempts_of(kind)
    context = JobContext(engine, settings, row.id, row.started_at, stopping, is_last_attempt=is_last)
    try:
        if kind is None:
            raise Problem("this worker knows no jobs of this kind")
        result = kind.run(context, row.arguments)
        _succeed(engine, row, result)
    except JobCancelled as reason:
        log.info("job left", job_id=row.id, kind=row.kind, reason=str(reason))
    except JobPostponed as wait:
        _postpone(engine, row, wait.seconds)
    except Exception as error:
        record_failure(engine, settings, row, error)


def run_by_url(url: str, settings: Settings, row: sa.Row[Any], stopping: threading.Event | None = None) -> None:
    """Run the attempt over connections of its own."""
    engine = create_engine(url, "job")
    try:
        run(engine, settings, row, stopping)
    finally:
        engine.dispose()


def running_job(engine: sa.Engine, job_id: str) -> sa.Row[Any] | None:
    """Return the job if an attempt at it runs."""
    with engine.begin() as connection:
        return connection.execute(sa.select(jobs).where(jobs.c.id == job_id, jobs.c.state == "running")).first()


def _succeed(engine: sa.Engine, row: sa.Row[Any], result: dict[str, Any]) -> None:
    with engine.begin() as connection:
        connection.execute(
            jobs.update()
            .where(is_attempt(row.id, row.started_at))
            .values(state="succeeded", progress=1, result=result, problem=None, finished_at=_NOW)
        )
    log.info("job succeeded", job_id=row.id, kind=row.kind, attempt=row.attempts)


def _postpone(engine: sa.Engine, row: sa.Row[Any], seconds: float) -> None:
    later = backoff_seconds(seconds, 1)
    with engine.begin() as connection:
        connection.execute(
            jobs.update()
            .where(is_attempt(row.id, row.started_at))
            .values(
                state="queued",
                attempts=jobs.c.attempts - 1,
                progress=0,
                next_attempt_at=_NOW + timedelta(seconds=later),
            )
        )
    log.info("job postponed", job_id=row.id, kind=row.kind, seconds=round(later, 1))


def record_failure(engine: sa.Engine, settings: Settings, row: sa.Row[Any], error: Exception) -> None:
    """Record why the attempt failed: the job waits for the next one, or has failed where that would not help."""
    problem = _problem(error)
    kind = kind_of(row.kind)
    is_final = row.attempts >= _attempts_of(kind) or (isinstance(error, Problem) and 400 <= error.status < 500)
    values: dict[str, Any] = {"problem": _document(problem), "progress": 0}
    if is_final:
        values |= {"state": "failed", "finished_at": _NOW}
    else:
        seconds = backoff_seconds(settings.job_retry_seconds, row.attempts)
        values |= {"state": "queued", "next_attempt_at": _NOW + timedelta(seconds=seconds)}
    _tell_failure(row, error, is_final)
    with engine.begin() as connection:
        connection.execute(jobs.update().where(is_attempt(row.id, row.started_at)).values(values))


def _tell_failure(row: sa.Row[Any], error: Exception, is_final: bool) -> None:
    told = log.bind(job_id=row.id, kind=row.kind, attempt=row.attempts, is_final=is_final)
    if isinstance(error, Problem) and error.status != 500:
        # Foreseen, and its detail is meant to be read: a traceback would tell nothing more.
        told.warning("job failed", slug=error.slug, reason=error.detail)
    else:
        told.error("job failed", exc_info=error)


def _attempts_of(kind: JobKind | None) -> int:
    return kind.max_attempts if kind is not None else 5


def _problem(error: Exception) -> Problem:
    problem = from_exception(error)
    if isinstance(problem, InternalError):
        return Problem("the job could not be completed; the log tells why under the id of the job")
    return problem


def _document(problem: Problem) -> dict[str, Any]:
    return {
        "type": f"/problems/{problem.slug}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
    }


def give_back(engine: sa.Engine, row: sa.Row[Any]) -> None:
    """Put the attempt's job back among the queued ones as if it had not begun."""
    with engine.begin() as connection:
        connection.execute(
            jobs.update()
            .where(is_attempt(row.id, row.started_at))
            .values(state="queued", attempts=jobs.c.attempts - 1, progress=0, started_at=None)
        )
    log.info("job given back", job_id=row.id, kind=row.kind)


def next_attempt_at(engine: sa.Engine, job_id: str) -> datetime | None:
    """Return when the job is to be tried again; None where it has finished."""
    with engine.begin() as connection:
        waiting = sa.select(sa.func.coalesce(jobs.c.next_attempt_at, jobs.c.created_at))
        found: datetime | None = connection.scalar(waiting.where(jobs.c.id == job_id, jobs.c.state == "queued"))
    return found


def rescue_stalled(engine: sa.Engine, stalled_seconds: float) -> None:
    """Queue again the jobs of workers that have shown no sign of life for so long; the attempts stay counted."""
    with engine.begin() as connection:
        transaction_lock(connection, "shelflist-stalled-jobs")
        stalled = requeue_stalled(connection, stalled_seconds)
        connection.execute(
            jobs.update()
            .where(jobs.c.id.in_(stalled), jobs.c.state == "running")
            .values(state="queued", progress=0, next_attempt_at=_NOW)
        )
    for job_id in stalled:
        log.warning("job taken from a worker that is gone", job_id=job_id)


def remove_finished(engine: sa.Engine) -> None:
    """Remove the jobs that finished longer ago than they are kept."""
    with engine.begin() as connection:
        connection.execute(jobs.delete().where(jobs.c.finished_at < _NOW - KEPT))
