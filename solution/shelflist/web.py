"""The web application: Connexion's routing of the spec, the database, and the edge around both."""

from collections import defaultdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import connexion
import flask
import sqlalchemy
from connexion.options import SwaggerUIOptions
from connexion.resolver import Resolver
from starlette.types import ASGIApp

from shelflist import edge
from shelflist.edge.bodies import MAX_HEADER_BYTES
from shelflist.edge.shortcuts import Handlers, NoURIParser, ParameterValidators, middlewares
from shelflist.edge.validation import StrictJSONValidator
from shelflist.images.people.tokens import authenticate_person
from shelflist.images.receiving import FORM_BYTES
from shelflist.images.store import open_store
from shelflist.shared.asynchronous import AsyncPool
from shelflist.shared.auth import Authorization, bearer_security, client_security
from shelflist.shared.capacity import LOOP_CONNECTIONS
from shelflist.shared.clients import server_secret
from shelflist.shared.csvfile import MAX_COLUMNS
from shelflist.shared.database import (
    DatabaseError,
    connect_arguments,
    notice_lost_connections,
    read_uuids_as_text,
)
from shelflist.shared.event_loop import LoopConnection, leave_event_loop
from shelflist.shared.health import Health
from shelflist.shared.idempotency import RETENTION_HOURS
from shelflist.shared.metrics import Metrics
from shelflist.shared.paging import Cursors
from shelflist.shared.probing import Probe
from shelflist.shared.session import db
from shelflist.shared.settings import Settings
from shelflist.shared.textfile import MAX_LINE_BYTES
from shelflist.shared.unchanged import Snapshots
from shelflist.songs import batch
from shelflist.specification import load_specification, operations, published, required_scopes
from shelflist.videos.batch import MAX_ROWS

# The package swagger-ui-bundle, Connexion's default, carries 4.15 with an inline script; this is 5.35 without.
_SWAGGER_UI = Path(__file__).parent / "swagger_ui"

# Nothing else in their answers: no time that passes, nobody who asks.
_REMEMBERED = ("/movies", "/movies/{movie_id}", "/genres")


class _UnparsedRequest(flask.Request):
    """A request whose form is left alone: Connexion asks each for its files before the handler runs."""

    want_form_data_parsed = False


def create_app(settings: Settings, database_url: str | None = None) -> ASGIApp:
    """Return the whole service as one ASGI application; raises where the spec and the code do not fit.

    `database_url` is where the database is, if the settings do not say it.
    """
    url = database_url or settings.configured_database_url()
    if url is None:
        raise DatabaseError("no database is configured: set DATABASE_URL, or start with ./run.sh")
    document = load_specification(public_reads=settings.public_reads)
    app = connexion.FlaskApp(
        __name__,
        middlewares=middlewares(partial(Authorization, scopes=required_scopes(document))),
        swagger_ui_options=_swagger_ui(settings),
    )
    flask_app = app.app
    flask_app.request_class = _UnparsedRequest
    _set_up_database(flask_app, settings, url)
    flask_app.extensions["shelflist.document"] = published(document)
    flask_app.extensions["shelflist.settings"] = settings
    flask_app.extensions["shelflist.has_docs"] = settings.docs
    flask_app.extensions["shelflist.limits"] = _limits(settings)
    flask_app.extensions["shelflist.uploads"] = settings.state_directory / "uploads"
    # Each process opens it for itself, when it is first asked for: its connections do not survive a fork.
    flask_app.extensions["shelflist.image_store"] = cache(partial(open_store, settings))
    flask_app.extensions["shelflist.cursors"] = _cursors_of(flask_app, settings)
    _add_api(app, document, settings)
    probe = Probe(_engine(flask_app).url)
    insight = edge.Insight(Health(probe, settings), Metrics(probe), Snapshots(_arguments(flask_app, settings)))
    paths = edge.Paths(_methods(document), _uploads(document, settings), _ranged(document), _REMEMBERED)
    return edge.wrap(app, settings, insight, paths)


def _add_api(app: connexion.FlaskApp, document: dict[str, Any], settings: Settings) -> None:
    resolver = Resolver()
    Handlers.take_over(app, resolver, _loop_connection(app.app, settings))
    app.add_api(
        document,
        resolver=resolver,
        strict_validation=True,
        pythonic_params=True,
        uri_parser_class=NoURIParser,
        security_map={
            "apiKey": client_security(_engine(app.app)),
            "bearer": bearer_security(_engine(app.app), authenticate_person),
        },
        validator_map={"parameter": ParameterValidators(), "body": {"application/json": StrictJSONValidator}},
    )


def _set_up_database(flask_app: Any, settings: Settings, url: str) -> None:
    flask_app.config["SQLALCHEMY_DATABASE_URI"] = url
    flask_app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "connect_args": connect_arguments(settings, "api"),
        "pool_size": settings.database_pool_size,
        "max_overflow": 0,
        # The log tells errors whole, but not with the e-mail addresses and the hashes that a statement carried.
        "hide_parameters": True,
        "pool_timeout": settings.database_pool_seconds,
    }
    db.init_app(flask_app)
    # Without it the first request after a restart of the database would fail.
    notice_lost_connections(_engine(flask_app))
    sqlalchemy.event.listen(_engine(flask_app), "connect", read_uuids_as_text)


def _engine(flask_app: Any) -> Any:
    with flask_app.app_context():
        return db.engine


def _loop_connection(flask_app: Any, settings: Settings) -> LoopConnection:
    """Return what handlers on the event loop are given, of the same database as the engine."""
    # PostgreSQL ends what takes longer; this is for one that does not answer at all.
    patience = settings.statement_seconds + 5
    arguments = _arguments(flask_app, settings)
    # By its own reckoning PostgreSQL would plan each time anew what it expects to look up for more than are there.
    arguments["options"] += " -c plan_cache_mode=force_generic_plan"
    pool = AsyncPool(arguments, size=LOOP_CONNECTIONS, patience=patience)
    return LoopConnection(pool, _engine(flask_app).dialect)


def _arguments(flask_app: Any, settings: Settings) -> dict[str, Any]:
    """Return libpq's parameters of the engine's connections."""
    engine = _engine(flask_app)
    _, of_url = engine.dialect.create_connect_args(engine.url)
    return {**of_url, **connect_arguments(settings, "api")}


def _cursors_of(flask_app: Any, settings: Settings) -> Any:
    @cache
    def cursors() -> Cursors:
        if settings.secret_key is not None:
            return Cursors(settings.secret_key.get_secret_value().encode())
        leave_event_loop()
        with _engine(flask_app).begin() as connection:
            return Cursors(server_secret(connection, "cursor"))

    return cursors


def _swagger_ui(settings: Settings) -> SwaggerUIOptions:
    return SwaggerUIOptions(
        serve_spec=False,
        spec_path="/openapi.json",
        swagger_ui=settings.docs,
        swagger_ui_path="/docs",
        swagger_ui_template_dir=str(_SWAGGER_UI),
    )


def _methods(document: dict[str, Any]) -> dict[str, list[str]]:
    methods: dict[str, list[str]] = defaultdict(list)
    for path, method, _ in operations(document):
        methods[path].append(method)
    return methods


def _uploads(document: dict[str, Any], settings: Settings) -> dict[str, int]:
    """Return each path that reads multipart bodies, with the most bytes of one."""
    own = {"/images": settings.max_image_bytes + FORM_BYTES}
    return {
        path: own.get(path, settings.max_upload_bytes)
        for path, _, operation in operations(document)
        if any(name.startswith("multipart/") for name in operation.get("requestBody", {}).get("content", {}))
    }


def _ranged(document: dict[str, Any]) -> list[str]:
    return [path for path, _, operation in operations(document) if "206" in operation["responses"]]


def _limits(settings: Settings) -> dict[str, Any]:
    return {
        "max_page_size": 100,
        "max_json_bytes": settings.max_json_bytes,
        "max_upload_bytes": settings.max_upload_bytes,
        "max_image_bytes": settings.max_image_bytes,
        "max_image_pixels": settings.max_image_pixels,
        "max_upload_rows": MAX_ROWS,
        "max_upload_columns": MAX_COLUMNS,
        "max_upload_row_bytes": MAX_LINE_BYTES,
        "max_song_rows": batch.MAX_ROWS,
        "max_song_rows_at_once": batch.MAX_ROWS_AT_ONCE,
        "max_header_bytes": MAX_HEADER_BYTES,
        "body_seconds": settings.body_seconds,
        "statement_seconds": settings.statement_seconds,
        "idempotency_hours": RETENTION_HOURS,
    }
