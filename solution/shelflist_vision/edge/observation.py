"""The outermost layer: every answer gets its headers, is logged and counted, and a crash becomes a problem."""

import time

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from ..metrics import Metrics
from ..problems import InternalError
from .asgi import ResponseWatch, answer_problem
from .routes import PAGES, RouteTable

access_log = structlog.get_logger("shelflist_vision.access")
crash_log = structlog.get_logger("shelflist_vision.crash")

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Swagger UI styles its elements inline and draws with data: images; its scripts are files of ours.
_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_NO_ROUTE = "(none)"
_METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE")


class Observation:
    """Adds the headers, writes one line for each answer and counts it under the spec's path."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, table: RouteTable) -> None:
        self.app = app
        self.metrics = metrics
        self.table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        policy = _PAGE_POLICY if scope["path"].startswith(PAGES) else _DATA_POLICY
        watch = ResponseWatch(send, [*_HEADERS, (b"content-security-policy", policy)])
        started = time.perf_counter()
        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            crash_log.error("request failed", exc_info=error)
            if watch.status is not None:
                # Half of an answer is out: only a cut connection tells the caller that it is not whole.
                raise
            await answer_problem(watch, InternalError())
        finally:
            self._note(scope, watch.status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int | None, seconds: float) -> None:
        route = self.table.template(scope["path"]) or _NO_ROUTE
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        # 499: the caller had gone before there was an answer.
        self.metrics.requests.labels(route, method, status or 499).inc()
        self.metrics.request_seconds.labels(route).observe(seconds)
        # Probes come every few seconds and would bury everything else.
        is_probe = route.startswith("/health/") or route == "/metrics"
        write = access_log.debug if is_probe else access_log.info
        write(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status or 499,
            milliseconds=round(seconds * 1000, 1),
            peer=scope["client"][0] if scope.get("client") else None,
        )
