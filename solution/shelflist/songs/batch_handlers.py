"""The operation that takes in files of songs."""

from contextlib import ExitStack
from typing import Any, cast

import flask
import orjson

from shelflist.shared.idempotency import Answer, once
from shelflist.shared.job_bodies import job_body
from shelflist.shared.jobs import enqueue
from shelflist.shared.responses import attempt, created, preferred_media_type, stream_answer
from shelflist.shared.session import writing
from shelflist.shared.uploads import Upload, receive_upload

from . import models
from .batch import MAX_ROWS_AT_ONCE, Options, store_rows
from .batch_answers import as_csv
from .judge import JUDGE
from .rows import SeekableSource, has_more_rows, song_rows
from .song_uploads import KIND, keep_upload

MAX_WAITING = 20
"""Files that may wait for the worker, or be judged by it, at once."""

_OPERATION = "POST /classifier/predict-batch"
_PART = "csv_file"
_CSV = "text/csv"
# How often as long as a statement a file may wait for another with the same songs: a minute, as things are set.
_LOCK_PATIENCE = 6


def predict_batch(*, dry_run: bool, user: str) -> flask.Response:
    """POST /classifier/predict-batch."""
    # Not Flask's stream, which is empty where the body has no announced length.
    stream: Any = flask.request.environ["wsgi.input"]
    directory = flask.current_app.extensions["shelflist.uploads"]
    with ExitStack() as stack:
        content_type = flask.request.content_type or ""
        upload = stack.enter_context(receive_upload(stream, content_type, directory, _PART))
        file = cast(SeekableSource, upload.file)
        if has_more_rows(file, MAX_ROWS_AT_ONCE):
            return created(_queue(upload, is_dry_run=dry_run, user=user))
        answer = _classify(upload, is_dry_run=dry_run, user=user)
        if preferred_media_type("application/json", _CSV) == _CSV:
            return _csv_answer(answer, file, stack)
        return created(answer)


def _classify(upload: Upload, *, is_dry_run: bool, user: str) -> Answer:
    extensions = flask.current_app.extensions
    patience = _LOCK_PATIENCE * extensions["shelflist.limits"]["statement_seconds"]
    options = Options(extensions["shelflist.settings"].state_directory, is_dry_run, lock_seconds=patience)
    with writing() as connection:

        def store() -> Answer:
            report = store_rows(connection, song_rows(cast(SeekableSource, upload.file)), JUDGE, options)
            headers = {"X-Model-Version": report.model_version, "X-Rows-Rejected": str(report.rows_rejected)}
            return Answer(200, headers, orjson.dumps({**report.body(), "predictions": report.predictions}))

        return once(connection, attempt(_OPERATION, user, upload.sha256) if not is_dry_run else None, store)


def _queue(upload: Upload, *, is_dry_run: bool, user: str) -> Answer:
    with writing() as connection:

        def queue() -> Answer:
            models.active_model(connection)
            arguments = {"upload": keep_upload(connection, upload.file), "dry_run": is_dry_run}
            job = enqueue(connection, KIND, arguments, owner=user, limit=MAX_WAITING)
            headers = {"Location": f"/jobs/{job.id}", "Retry-After": "2"}
            return Answer(202, headers, orjson.dumps(job_body(job)))

        return once(connection, attempt(_OPERATION, user, upload.sha256) if not is_dry_run else None, queue)


def _csv_answer(answer: Answer, file: SeekableSource, stack: ExitStack) -> flask.Response:
    """Return the file with its genres; the open upload lasts until it is sent."""
    chunks = as_csv(file, orjson.loads(answer.body)["predictions"])
    response = stream_answer(chunks, _CSV, "songs.csv")
    response.headers.update(answer.headers)
    response.call_on_close(stack.pop_all().close)
    return response
