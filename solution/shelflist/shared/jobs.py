"""Background jobs as contexts and callers see them: kinds, queueing, reading and cancelling."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from .database import transaction_lock
from .job_queue import defer, withdraw
from .paging import Keyset, Page, Position, Sort
from .problems import Conflict, NotFound, ServiceUnavailable
from .settings import Settings
from .tables import jobs

Arguments = dict[str, Any]

PENDING = ("queued", "running")
SORTS = {"created_at": Sort(jobs.c.created_at, datetime, is_nullable=False)}

_PROGRESS_SECONDS = 0.5
# The very words of jobs_pending_idx: PostgreSQL finds the index by them.
_IS_PENDING = sa.text("state IN ('queued', 'running')")


class JobFinished(Conflict):
    """The job has succeeded, failed or been cancelled already."""

    slug, title = "job-finished", "Job finished"
    advice = "Read its result at GET /jobs/{job_id}; there is nothing left to cancel."


class JobCancelled(Exception):
    """The job in hand is no longer wanted, or no longer this worker's; raised by JobContext.progress."""


class JobPostponed(Exception):
    """Raised by a job that could not even try: it runs again after `seconds`, and the attempt does not count."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"postponed for {seconds:g} seconds")
        self.seconds = seconds


class JobContext:
    """What a running job is given: the database, the settings, and a way to tell how far it is."""

    def __init__(
        self,
        engine: sa.Engine,
        settings: Settings,
        job_id: str,
        started_at: datetime,
        stopping: threading.Event | None = None,
        *,
        is_last_attempt: bool = False,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.job_id = job_id
        self.started_at = started_at
        self.is_last_attempt = is_last_attempt
        self._stopping = stopping or threading.Event()
        self._told_at = float("-inf")

    def progress(self, share: float) -> None:
        """Tell callers that `share` (0 to 1) of the work is done; call it as often as you like.

        Raises JobCancelled where the job has been cancelled, or the worker is stopping: let it pass.
        """
        if self._stopping.is_set():
            raise JobCancelled("the worker is stopping")
        if time.monotonic() - self._told_at < _PROGRESS_SECONDS:
            return
        self._told_at = time.monotonic()
        with self.engine.begin() as connection:
            told = connection.execute(
                jobs.update().where(is_attempt(self.job_id, self.started_at)).values(progress=min(max(share, 0), 1))
            )
        if told.rowcount == 0:
            raise JobCancelled("the job was cancelled")


Run = Callable[[JobContext, Arguments], Arguments]


@dataclass(frozen=True)
class JobKind:
    """One kind of work: its name, what runs it, whether in a process of its own, and how often it is tried."""

    name: str
    run: Run
    is_isolated: bool = False
    max_attempts: int = 5


_KINDS: dict[str, JobKind] = {}


def register(kind: JobKind) -> None:
    """Make a kind known to this process; the module that does so stands in worker.JOB_MODULES."""
    _KINDS[kind.name] = kind


def kind_of(name: str) -> JobKind | None:
    """Return the registered kind of this name, None where this process knows none."""
    return _KINDS.get(name)


def is_attempt(job_id: str, started_at: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that the attempt begun at `started_at` still is the one that runs."""
    return sa.and_(jobs.c.id == job_id, jobs.c.state == "running", jobs.c.started_at == started_at)


def enqueue(
    connection: sa.Connection,
    kind: str,
    arguments: Arguments,
    *,
    owner: str | None = None,
    limit: int | None = None,
    priority: int = 0,
) -> sa.Row[Any]:
    """Queue a job in the caller's open transaction and return its row; the pending job with these arguments if any.

    `arguments` are small (2 kB of JSON at most). `owner` alone may see the job, anybody where it is None: two callers
    who must not share one job each name themselves in the arguments, too. A negative `priority` lets others go first.

    Raises ServiceUnavailable where `limit` jobs
    of this kind are pending already.
    """
    if limit is not None:
        transaction_lock(connection, f"shelflist-jobs-{kind}")
        found = _pending(connection, kind, arguments)
        if found is not None:
            return found
        if _count_pending(connection, kind) >= limit:
            raise ServiceUnavailable("too many jobs of this kind are waiting", retry_after=10)
    new = insert(jobs).values(id=str(uuid7()), kind=kind, arguments=arguments, owner=owner)
    once = new.on_conflict_do_nothing(index_elements=["kind", "arguments"], index_where=_IS_PENDING).returning(jobs)
    while True:
        row = connection.execute(once).first()
        if row is not None:
            defer(connection, row.id, priority)
            return row
        found = _pending(connection, kind, arguments)
        # None where it has finished between the two statements.
        if found is not None:
            return found


def _pending(connection: sa.Connection, kind: str, arguments: Arguments) -> sa.Row[Any] | None:
    same = (jobs.c.kind == kind, jobs.c.arguments == sa.literal(arguments, jobs.c.arguments.type), _IS_PENDING)
    return connection.execute(sa.select(jobs).where(*same)).first()


def _count_pending(connection: sa.Connection, kind: str) -> int:
    count = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.kind == kind, _IS_PENDING)
    return int(connection.scalar(count) or 0)


def _is_visible(caller: str | None) -> sa.ColumnElement[bool]:
    return jobs.c.owner.is_(None) if caller is None else sa.or_(jobs.c.owner.is_(None), jobs.c.owner == caller)


def get_job(connection: sa.Connection, job_id: str, *, caller: str | None) -> sa.Row[Any]:
    """Return the job; raises NotFound where there is none, or it is another client's."""
    row = connection.execute(sa.select(jobs).where(jobs.c.id == job_id, _is_visible(caller))).first()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return row


@dataclass(frozen=True)
class JobFilters:
    """Whose jobs are listed, and which; None where not given."""

    caller: str | None
    kind: str | None = None
    state: str | None = None


def list_jobs(
    connection: sa.Connection,
    wanted: JobFilters,
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page behind `after` of the jobs that the caller may see."""
    statement = sa.select(jobs).where(_is_visible(wanted.caller))
    if wanted.kind is not None:
        statement = statement.where(jobs.c.kind == wanted.kind)
    if wanted.state is not None:
        statement = statement.where(jobs.c.state == wanted.state)
    return Keyset(SORTS[sort], jobs.c.id, desc).fetch(connection, statement, after, page_size)


def cancel_job(connection: sa.Connection, job_id: str, *, caller: str | None) -> None:
    """Cancel the job at once, whether it waits or runs.

    Raises NotFound where there is none or it is another client's, JobFinished where there is nothing left to cancel.
    """
    row = get_job(connection, job_id, caller=caller)
    cancelled = connection.execute(
        jobs.update()
        .where(jobs.c.id == row.id, jobs.c.state.in_(PENDING))
        .values(state="cancelled", finished_at=sa.func.now(), next_attempt_at=None)
    )
    if cancelled.rowcount == 0:
        raise JobFinished(f"job {job_id} has finished")
    withdraw(connection, row.id)
