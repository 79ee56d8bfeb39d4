"""Operations that take in files of labelled videos: one function per operationId."""

from typing import Any

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.idempotency import Answer, once
from shelflist.shared.responses import attempt, created
from shelflist.shared.session import db, writing
from shelflist.shared.uploads import receive_upload

from . import newest
from .batch import OnConflict, Options, store_rows
from .batch_rows import Reader, csv_rows, ndjson_rows

# How often as long as a statement a file may wait for another that is being merged: a minute, as things are set.
_LOCK_PATIENCE = 6


def upload_videos_csv(*, on_conflict: OnConflict, mode: str, dry_run: bool, user: str) -> ResponseReturnValue:
    """POST /videos/batch/csv."""
    return _upload("POST /videos/batch/csv", csv_rows, _options(on_conflict, mode, dry_run), user)


def upload_videos_ndjson(*, on_conflict: OnConflict, mode: str, dry_run: bool, user: str) -> ResponseReturnValue:
    """POST /videos/batch/ndjson."""
    return _upload("POST /videos/batch/ndjson", ndjson_rows, _options(on_conflict, mode, dry_run), user)


def _upload(operation: str, read: Reader, options: Options, user: str) -> ResponseReturnValue:
    # Not Flask's stream, which is empty where the body has no announced length.
    stream: Any = flask.request.environ["wsgi.input"]
    directory = flask.current_app.extensions["shelflist.uploads"]
    with receive_upload(stream, flask.request.content_type or "", directory) as upload:
        asked = [upload.sha256, options.on_conflict, options.is_atomic]
        settings = flask.current_app.extensions["shelflist.settings"]
        with newest.announced(db.engine, settings), writing() as connection:

            def store() -> Answer:
                report = store_rows(connection, read(upload.file), options)
                return Answer(200, {}, orjson.dumps(report.body()))

            kept = attempt(operation, user, asked) if not options.is_dry_run else None
            return created(once(connection, kept, store))


def _options(on_conflict: OnConflict, mode: str, is_dry_run: bool) -> Options:
    patience = _LOCK_PATIENCE * flask.current_app.extensions["shelflist.limits"]["statement_seconds"]
    return Options(on_conflict, is_atomic=mode == "atomic", is_dry_run=is_dry_run, lock_seconds=patience)
