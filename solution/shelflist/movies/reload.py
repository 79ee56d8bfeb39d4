"""The daily load of IMDb's files: a job, queued by a schedule where IMDB_RELOAD is on."""

from collections.abc import Iterator
from contextlib import contextmanager

from shelflist.ingest.errors import LoadError
from shelflist.ingest.reporter import Reporter
from shelflist.shared import schedules
from shelflist.shared.jobs import Arguments, JobContext, JobKind, register
from shelflist.shared.schedules import Schedule
from shelflist.shared.settings import Settings

from .imdb import load_imdb
from .problems import LoadFailed

KIND = "load-imdb"
_PHASES = 4.0
"""About as many as a load has: what its progress is told in."""


class _JobReporter(Reporter):
    """Tells the job's callers how many phases are done."""

    def __init__(self, context: JobContext) -> None:
        super().__init__()
        self._context = context
        self._done = 0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """See Reporter."""
        with super().phase(name):
            yield
        self._done += 1
        self._context.progress(min(0.99, self._done / _PHASES))


def run(context: JobContext, _arguments: Arguments) -> Arguments:
    """Load the files of IMDB_SOURCE and return how that ended; raises LoadFailed."""
    try:
        result = load_imdb(context.engine, context.settings, reporter=_JobReporter(context))
    except LoadError as error:
        raise LoadFailed(error.reason) from error
    rows = {"rows_kept": result.basics.rows_kept, "rows_rejected": result.basics.rejections.count}
    return {"outcome": result.outcome, **rows, "seconds": round(result.seconds, 1)}


def _cron(settings: Settings) -> str:
    hour, minute = settings.imdb_reload_at.split(":")
    return f"{int(minute)} {int(hour)} * * *"


register(JobKind(KIND, run, is_isolated=True, max_attempts=3))
schedules.register(Schedule("imdb-reload", _cron, KIND, is_wanted=lambda settings: settings.imdb_reload))
