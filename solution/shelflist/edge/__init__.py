"""ASGI middleware that every answer passes, errors included."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from starlette_compress import CompressMiddleware, add_compress_type
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from shelflist.shared.health import Health
from shelflist.shared.logs import AccessLogger
from shelflist.shared.metrics import Metrics
from shelflist.shared.settings import Settings
from shelflist.shared.unchanged import Snapshots

from .bodies import BodyLimit, RequestGuard
from .headers import CodedETags, SecurityHeaders
from .observation import AccessLog, CrashGuard, RequestIds
from .probes import Probes
from .remembered import RememberedAnswers
from .routes import HeadAsGet, Routes
from .streams import SlowReaders, SteadyStreams

PAGES = ("/docs/",)
"""Where answers are pages with scripts of ours, not data."""


@dataclass(frozen=True)
class Paths:
    """The paths that there are, and what sets some of them apart."""

    methods: Mapping[str, Iterable[str]]
    """Each path's."""
    uploads: Mapping[str, int]
    """Those that read multipart bodies, with the most bytes of one."""
    ranged: Iterable[str]
    """Those whose answers come in ranges of bytes."""
    remembered: Collection[str]
    """Those whose answers say nothing but what is in the database, and the same to everybody."""


@dataclass(frozen=True)
class Insight:
    """What tells how the server and its database are."""

    health: Health
    metrics: Metrics
    snapshots: Snapshots


def wrap(app: ASGIApp, settings: Settings, insight: Insight, paths: Paths) -> ASGIApp:
    """Return `app` behind the whole edge; the last layer added here is the first that a request meets."""
    for media_type in ("application/x-ndjson", "application/yaml", "text/csv"):
        add_compress_type(media_type)
    app = BodyLimit(
        app,
        max_bytes=settings.max_json_bytes,
        seconds=settings.body_seconds,
        uploads=paths.uploads,
    )
    app = Probes(app, health=insight.health, metrics=insight.metrics)
    app = Routes(app, methods=paths.methods, page_prefixes=PAGES)
    app = SteadyStreams(app, paths=paths.ranged)
    app = CompressMiddleware(app, minimum_size=1000)
    app = CodedETags(app)
    if settings.remembered_answers_bytes:
        app = RememberedAnswers(
            app,
            snapshots=insight.snapshots,
            paths=paths.remembered,
            others=paths.methods,
            max_bytes=settings.remembered_answers_bytes,
        )
    app = RequestGuard(app, ranged=paths.ranged)
    app = SlowReaders(app, seconds=settings.body_seconds)
    # Outside of compression, which holds an answer's head back until its first bytes come.
    app = CrashGuard(app)
    app = HeadAsGet(app)
    if settings.cors_origins:
        app = _cors(app, settings)
    app = SecurityHeaders(app, page_prefixes=PAGES)
    app = AccessLog(app, AccessLogger(settings))
    app = RequestIds(app)
    return ProxyHeadersMiddleware(app, trusted_hosts=list(settings.trusted_proxies))  # type: ignore[arg-type, return-value]


def _cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=settings.cors_origins,
        allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=(
            "client-id",
            "client-secret",
            "authorization",
            "content-type",
            "idempotency-key",
            "if-none-match",
            "x-request-id",
        ),
        expose_headers=(
            "ETag",
            "Link",
            "Location",
            "Retry-After",
            "X-Request-ID",
            "X-Dataset-Version",
            "Idempotency-Replayed",
            "Accept-Ranges",
            "Content-Range",
            "Content-Disposition",
        ),
    )
