"""The worker: takes jobs from the queue, runs them in threads or processes, and keeps the queue in order."""

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog
from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import JobAborted
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job

from shelflist.everything import die_with_parent
from shelflist.shared import job_attempts, schedules
from shelflist.shared.capacity import QUEUE
from shelflist.shared.database import create_engine
from shelflist.shared.job_queue import SEARCH_PATH, TASK
from shelflist.shared.jobs import enqueue, kind_of
from shelflist.shared.schedules import Schedule
from shelflist.shared.settings import Settings, environment_with
from shelflist.videos.harvest.loop import Harvester

log = structlog.get_logger(__name__)

JOB_MODULES: tuple[str, ...] = (
    "shelflist.images.contents",
    "shelflist.images.labelling",
    "shelflist.movies.reload",
    "shelflist.songs.batch_job",
    "shelflist.songs.rescoring",
    "shelflist.videos.harvest.retention",
    "shelflist.videos.importance",
)
"""The modules of contexts that register kinds of jobs, and schedules."""

CHILD_COMMAND = (sys.executable, "-m", "shelflist", "run-job")
"""What runs an isolated job, followed by its id and `--parent` with our process id."""

_LONGEST_PAUSE = 30.0
_LATEST_SECONDS = 6 * 3600
"""How late a periodic job is still queued, where no worker was up at its moment."""
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Timing:
    """The worker's seconds, which only tests change."""

    grace: float = 2
    """What running jobs get to end by themselves at a stop."""
    polling: float = 1
    """Between two looks for jobs that no notification has told of, as those that are tried again."""
    heartbeat: float = 10
    check: float = 10
    """Between two looks for workers that are gone."""
    stalled: float = 30
    """Without a heartbeat, after which a worker counts as gone."""
    tick: float = 1
    """Between two looks for feeds that are due."""


class _AgainAt(Exception):
    """Tells the queue when the job is to be run again."""

    def __init__(self, when: datetime) -> None:
        super().__init__(when)
        self.when = when


class _RetryStrategy(BaseRetryStrategy):
    """Follows _AgainAt; whatever else goes wrong is between us and the database, and is tried again soon."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:  # noqa: ARG002
        if isinstance(exception, _AgainAt):
            return RetryDecision(retry_at=exception.when)
        return None if isinstance(exception, JobAborted) else RetryDecision(retry_in={"seconds": 10})


def register_kinds() -> None:
    """Import what registers kinds of jobs."""
    for name in JOB_MODULES:
        importlib.import_module(name)


def run_worker(
    settings: Settings, url: str, *, child_command: Sequence[str] = CHILD_COMMAND, timing: Timing | None = None
) -> int:
    """Run jobs until SIGTERM or Ctrl-C and return the exit code; a database that is away is waited for.

    Jobs that do not end within the grace go back to the queue, for any worker to begin anew.
    """
    register_kinds()
    # What it tells of jobs, the attempts' own lines tell with the id that callers know.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL if settings.log_level != "DEBUG" else logging.DEBUG)
    asyncio.run(_Worker(settings, url, child_command, timing or Timing()).serve())
    return 0


def run_isolated(settings: Settings, url: str, job_id: str, *, parent: int) -> int:
    """Run the started job in this process, which ends with its parent; returns the exit code."""
    die_with_parent()
    # It may have ended before the kernel was asked to tell.
    if os.getppid() != parent:
        return 1
    register_kinds()
    engine = create_engine(url, "job")
    row = job_attempts.running_job(engine, job_id)
    if row is not None:
        job_attempts.run(engine, settings, row)
    engine.dispose()
    return 0


class _Worker:
    """One worker process: its queue, its database, and the jobs it runs."""

    def __init__(self, settings: Settings, url: str, child_command: Sequence[str], timing: Timing) -> None:
        self._settings = settings
        self._url = url
        self._child_command = child_command
        self._timing = timing
        self._engine = create_engine(url, "worker")
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        """Hold one session with the queue after the other until a signal says stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        log.info("worker started", concurrency=self._settings.worker_concurrency)
        harvester = Harvester(self._settings, self._url, self._timing.tick)
        harvester.start()
        await self._serve_queue(loop)
        await asyncio.to_thread(harvester.stop, self._timing.grace)
        log.info("worker stopped")

    async def _serve_queue(self, loop: asyncio.AbstractEventLoop) -> None:
        pause = 1.0
        while not self._stop.is_set():
            began = loop.time()
            await self._until_stop(self._session())
            if self._stop.is_set():
                break
            pause = 1.0 if loop.time() - began > 2 * _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
            log.warning("worker starts again", seconds=pause)
            await self._until_stop(asyncio.sleep(pause))

    async def _until_stop(self, work: Awaitable[None]) -> None:
        """Run `work` to its end or the stop's, whichever comes first; its errors are logged."""
        task = asyncio.ensure_future(work)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        except Exception as error:
            # A database that is away tells so at every attempt: a traceback each would bury the first.
            log.warning("the queue cannot be served", error=type(error).__name__, reason=str(error).partition("\n")[0])

    async def _session(self) -> None:
        app = self._app()
        timing = self._timing
        async with app.open_async():
            checks = asyncio.create_task(self._rescue())
            try:
                await app.run_worker_async(
                    name="shelflist",
                    concurrency=self._settings.worker_concurrency,
                    install_signal_handlers=False,
                    shutdown_graceful_timeout=timing.grace,
                    fetch_job_polling_interval=timing.polling,
                    abort_job_polling_interval=timing.polling,
                    update_heartbeat_interval=timing.heartbeat,
                    stalled_worker_timeout=timing.stalled,
                )
            finally:
                checks.cancel()

    def _app(self) -> App:
        conninfo = sa.make_url(self._url).set(drivername="postgresql").render_as_string(hide_password=False)
        arguments = {
            "application_name": "shelflist-worker",
            "connect_timeout": 5,
            "options": f"-c timezone=UTC -c search_path={SEARCH_PATH}",
        }
        connector = PsycopgConnector(conninfo=conninfo, kwargs=arguments, min_size=1, max_size=QUEUE)
        app = App(connector=connector, periodic_defaults={"max_delay": _LATEST_SECONDS})
        app.task(name=TASK, pass_context=True, retry=_RetryStrategy())(self._run_job)
        hourly = app.periodic(cron="17 * * * *")
        hourly(app.task(name="remove_finished", queueing_lock="remove_finished", pass_context=True)(self._remove))
        for schedule in schedules.known():
            self._follow(app, schedule)
        return app

    def _follow(self, app: App, schedule: Schedule) -> None:
        """Queue the schedule's job once for each of its moments, whichever worker is first."""

        async def queue(timestamp: int) -> None:  # noqa: ARG001 - the library's
            await asyncio.to_thread(self._queue, schedule)

        # Also where we do not want it: we may be given the moment that another worker has noticed.
        task = app.task(name=schedule.name, queueing_lock=schedule.name, retry=_RetryStrategy())(queue)
        if schedule.is_wanted(self._settings):
            app.periodic(cron=schedule.cron(self._settings))(task)

    def _queue(self, schedule: Schedule) -> None:
        with self._engine.begin() as connection:
            if schedule.has_work(connection):
                enqueue(connection, schedule.kind, schedule.arguments)

    async def _remove(self, context: JobContext, timestamp: int) -> None:  # noqa: ARG002 - the library's
        hours = int(job_attempts.KEPT.total_seconds() // 3600)
        await context.app.job_manager.delete_old_jobs(
            nb_hours=hours, include_failed=True, include_cancelled=True, include_aborted=True
        )
        await asyncio.to_thread(job_attempts.remove_finished, self._engine)

    async def _rescue(self) -> None:
        while True:
            try:
                await asyncio.to_thread(job_attempts.rescue_stalled, self._engine, self._timing.stalled)
            except Exception as error:
                log.warning("stalled jobs were not looked for", error=type(error).__name__)
            await asyncio.sleep(self._timing.check)

    async def _run_job(self, context: JobContext, job_id: str) -> None:
        row = await asyncio.to_thread(job_attempts.begin, self._engine, job_id)
        if row is None:
            return
        kind = kind_of(row.kind)
        run = self._run_in_process if kind is not None and kind.is_isolated else self._run_in_thread
        try:
            await run(context, row)
        except asyncio.CancelledError:
            if context.abort_reason() is AbortReason.USER_REQUEST:
                raise JobAborted from None
            await asyncio.to_thread(job_attempts.give_back, self._engine, row)
            # Long ago by any clock: the database's may be behind ours.
            raise _AgainAt(_LONG_AGO) from None
        when = await asyncio.to_thread(job_attempts.next_attempt_at, self._engine, job_id)
        if when is not None:
            raise _AgainAt(when)

    async def _run_in_thread(self, context: JobContext, row: sa.Row[Any]) -> None:
        stopping = threading.Event()
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def work() -> None:
            job_attempts.run_by_url(self._url, self._settings, row, stopping)

        _start_thread(work, ended)
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            stopping.set()
            # A thread cannot be ended. A cancelled job keeps its place until it asks; a stop does not wait for it.
            if context.abort_reason() is AbortReason.USER_REQUEST:
                with contextlib.suppress(Exception):
                    await asyncio.shield(ended)
            raise

    async def _run_in_process(self, _context: JobContext, row: sa.Row[Any]) -> None:
        child = await asyncio.create_subprocess_exec(
            *self._child_command,
            row.id,
            "--parent",
            str(os.getpid()),
            env=environment_with(DATABASE_URL=self._url),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = await child.wait()
        finally:
            await _end(child)
        lost = RuntimeError(f"the job's process ended with code {code}")
        if await asyncio.to_thread(self._still_runs, row):
            await asyncio.to_thread(job_attempts.record_failure, self._engine, self._settings, row, lost)

    def _still_runs(self, row: sa.Row[Any]) -> bool:
        found = job_attempts.running_job(self._engine, row.id)
        return found is not None and found.started_at == row.started_at


async def _end(child: asyncio.subprocess.Process) -> None:
    """End what is left of a child and its own children."""
    for number, seconds in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 10.0)):
        if child.returncode is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _start_thread(work: Callable[[], None], ended: "asyncio.Future[None]") -> None:
    """Run `work` in a thread that does not keep the process from ending, and tell `ended` of its end."""
    loop = asyncio.get_running_loop()

    def tell(error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def body() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=body, daemon=True, name="job").start()
