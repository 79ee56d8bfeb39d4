"""Health probes and metrics, answered before the thread pool: a busy server is alive, and says so."""

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from shelflist.shared.health import Health
from shelflist.shared.metrics import MEDIA_TYPE, Metrics

from .asgi import answer

_NOT_KEPT = (b"cache-control", b"no-store")
_HEADERS = [(b"content-type", b"application/json"), _NOT_KEPT]
_METRICS_HEADERS = [(b"content-type", MEDIA_TYPE.encode()), _NOT_KEPT]


class Probes:
    """Answers /health/live and /health/ready, GET /healthcheck and GET /metrics, from the event loop."""

    def __init__(self, app: ASGIApp, *, health: Health, metrics: Metrics) -> None:
        self.app = app
        self.health = health
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else None
        if path == "/health/live":
            await answer(send, 200, _HEADERS, orjson.dumps({"status": "ok"}))
        elif path == "/health/ready":
            reasons = await self.health.unready()
            body = {"status": "unready", "reasons": reasons} if reasons else {"status": "ok", "reasons": []}
            headers = [*_HEADERS, (b"retry-after", b"1")] if reasons else _HEADERS
            await answer(send, 503 if reasons else 200, headers, orjson.dumps(body))
        elif path == "/healthcheck":
            await answer(send, 200, _HEADERS, orjson.dumps(await self.health.report()))
        elif path == "/metrics":
            await answer(send, 200, _METRICS_HEADERS, await self.metrics.text())
        else:
            await self.app(scope, receive, send)
