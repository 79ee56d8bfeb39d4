"""The job that takes in large files of songs, and the one that removes what such jobs have left behind."""

from shelflist.shared import schedules
from shelflist.shared.jobs import Arguments, JobContext, JobKind, register
from shelflist.shared.problems import Problem
from shelflist.shared.schedules import Schedule

from .batch import Options, Report, store_rows
from .judge import Judge
from .rows import song_rows
from .song_uploads import KIND, opened_upload, remove_leftovers, remove_upload

CLEAN_UP = "remove-song-uploads"

# What is left for the merge.
_READ = 0.9


def run(context: JobContext, arguments: Arguments) -> Arguments:
    """Take in the file that waits in the database, and return the report without predictions.

    Raises InvalidFile, TooManyRows, NotFound where the file is gone, ServiceUnavailable where songs cannot be judged.
    """
    upload_id = arguments["upload"]
    try:
        report = _store(context, upload_id, is_dry_run=arguments["dry_run"])
    except Problem as problem:
        # Tried again, it would be refused again.
        if 400 <= problem.status < 500:
            _remove(context, upload_id)
        raise
    _remove(context, upload_id)
    listed = f"/songs?model_version={report.model_version}&sort=predicted_at&desc=true"
    return {**report.body(), "songs": listed}


def remove_old(context: JobContext, _arguments: Arguments) -> Arguments:
    """Remove the files that no job takes any more."""
    with context.engine.begin() as connection:
        return {"parts": remove_leftovers(connection)}


def _store(context: JobContext, upload_id: str, *, is_dry_run: bool) -> Report:
    state_directory, judge = context.settings.state_directory, Judge()
    try:
        with opened_upload(context.engine, upload_id, state_directory / "uploads") as (file, size):
            options = Options(
                state_directory,
                is_dry_run,
                keeps_predictions=False,
                lock_seconds=600,
                told=lambda: context.progress(_READ * file.tell() / size),
            )
            with context.engine.begin() as connection:
                return store_rows(connection, song_rows(file), judge, options)
    finally:
        judge.close()


def _remove(context: JobContext, upload_id: str) -> None:
    with context.engine.begin() as connection:
        remove_upload(connection, upload_id)


register(JobKind(KIND, run, is_isolated=True))
register(JobKind(CLEAN_UP, remove_old))
schedules.register(Schedule("remove_song_uploads", lambda _settings: "23 * * * *", CLEAN_UP))
