"""The web application: Connexion's routing of openapi/vision.yml, and the layers around it."""

import re
from collections import defaultdict
from typing import Any

import connexion
import structlog
import yaml
from asgi_correlation_id import CorrelationIdMiddleware
from connexion.exceptions import ProblemException, UnsupportedMediaTypeProblem
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from connexion.options import SwaggerUIOptions
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from .bodies import VALIDATORS
from .caption import Captioner
from .downloads import Downloads
from .edge.limits import HELD_IMAGES, BodyLimit, HeldBodies
from .edge.observation import Observation
from .edge.routes import Routes, RouteTable
from .metrics import Metrics
from .problems import MEDIA_TYPE, InternalError, Problem, ServiceUnavailable, UnsupportedMediaType, from_status
from .recognition import Recogniser
from .service import KEY, Service
from .settings import PROJECT_DIRECTORY, Settings

# The files of the API's own pages, which this distribution holds once.
_SWAGGER_UI = PROJECT_DIRECTORY / "solution" / "shelflist" / "swagger_ui"
_SPECIFICATION = PROJECT_DIRECTORY / "openapi" / "vision.yml"

log = structlog.get_logger(__name__)

_METHODS = ("get", "post")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


class _Serving:
    """Hands the service to every request."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "extensions": {**scope.get("extensions", {}), KEY: self.service}}, receive, send)


def create_service(settings: Settings) -> Service:
    """Return the parts of the service; its model is not loaded yet."""
    metrics = Metrics()
    return Service(
        settings=settings,
        document=_published(read_specification()),
        metrics=metrics,
        recogniser=Recogniser(settings, metrics),
        downloads=Downloads(settings, metrics),
        captioner=Captioner(settings),
    )


def create_app(service: Service) -> ASGIApp:
    """Return the whole service as one ASGI application; raises where the spec and the code do not fit."""
    settings, document = service.settings, read_specification()
    routed = connexion.AsyncApp(__name__, swagger_ui_options=_swagger_ui(settings))
    for error in (Problem, ProblemException, HTTPException, Exception):
        routed.add_error_handler(error, _answer_exception)
    routed.add_api(document, strict_validation=True, pythonic_params=True, validator_map=VALIDATORS)
    table = RouteTable(_methods(document), has_docs=settings.docs)
    app: ASGIApp = BodyLimit(
        routed,
        held=HeldBodies(HELD_IMAGES * settings.max_image_bytes, service.metrics),
        max_image_bytes=settings.max_image_bytes,
        seconds=settings.body_seconds,
        # A caption may come from elsewhere while the model is busy.
        bounded_paths=("/classify",),
        check_room=service.recogniser.check_room,
    )
    app = Routes(app, table=table)
    app = Observation(app, metrics=service.metrics, table=table)
    app = CorrelationIdMiddleware(app, validator=lambda given: _REQUEST_ID.fullmatch(given) is not None)
    return _Serving(app, service)


def read_specification() -> dict[str, Any]:
    """Return openapi/vision.yml."""
    document: dict[str, Any] = yaml.safe_load(_SPECIFICATION.read_text(encoding="utf-8"))
    return document


def _published(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document as clients read it, without what only our router needs."""
    for item in document["paths"].values():
        for method in _METHODS:
            item.get(method, {}).pop("x-openapi-router-controller", None)
    return document


def _methods(document: dict[str, Any]) -> dict[str, list[str]]:
    methods: dict[str, list[str]] = defaultdict(list)
    for path, item in document["paths"].items():
        methods[path] += [method for method in _METHODS if method in item]
    return methods


def _swagger_ui(settings: Settings) -> SwaggerUIOptions:
    return SwaggerUIOptions(
        serve_spec=False,
        spec_path="/openapi.json",
        swagger_ui=settings.docs,
        swagger_ui_path="/docs",
        swagger_ui_template_dir=str(_SWAGGER_UI),
        swagger_ui_template_arguments={"title": "Shelflist vision"},
    )


async def _answer_exception(_request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """Answer any exception that leaves Connexion or a handler; what is our own fault is logged whole."""
    problem = _problem(error)
    if problem.status >= 500 and not isinstance(problem, ServiceUnavailable):
        log.error("request failed", status=problem.status, exc_info=error)
    headers = {**problem.headers, "Cache-Control": "no-store"}
    return ConnexionResponse(status_code=problem.status, mimetype=MEDIA_TYPE, body=problem.body(), headers=headers)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, UnsupportedMediaTypeProblem):
        return UnsupportedMediaType("send the image as multipart/form-data, or its address as application/json")
    if isinstance(error, ProblemException):
        return from_status(error.status, error.detail or error.title)
    if isinstance(error, HTTPException):
        return from_status(error.status_code, error.detail)
    return InternalError()
