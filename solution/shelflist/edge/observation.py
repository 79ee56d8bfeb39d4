"""The outermost layers: ids of requests, the access log, and the guard that turns a crash into a problem."""

import re
import secrets
import time

import structlog
from asgi_correlation_id import correlation_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelflist.shared.logs import AccessLogger
from shelflist.shared.problems import ServiceUnavailable, from_exception

from .asgi import ResponseWatch, answer_problem, header

log = structlog.get_logger(__name__)
crash_log = structlog.get_logger("shelflist.crash")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_SECRET_NAMES = ("secret", "token", "passw", "authorization", "key")
# Secrets belong into headers; who puts one into the address anyway shall not find it in the log.
# All repetitions are bounded: an unbounded one would be tried anew from each character of a long address.
_SECRET = re.compile(rf"((?:{'|'.join(_SECRET_NAMES)})[^=&]{{0,40}}=)[^&]*", re.IGNORECASE)
# Whoever has such a link sees the post, whoever reads the log has not been given it.
_LINK = re.compile(r"^(/shared/)[^/]+")
_EMAIL = re.compile(r"[^/?&=@]{1,64}(?:@|%40)[^/?&=]{1,254}", re.IGNORECASE)
_LOGGED = 2_000
"""Characters of a path or a query that are logged; what is longer is refused or no name of anything."""


# Patterns are tried from each character; hardly any text can hold what they look for.
def _without_link(path: str) -> str:
    return _LINK.sub(r"\1***", path) if path.startswith("/shared/") else path


def _without_secrets(query: str) -> str:
    lower = query.lower()
    return _SECRET.sub(r"\1***", query) if any(name in lower for name in _SECRET_NAMES) else query


def _without_addresses(text: str) -> str:
    return _EMAIL.sub("***", text) if "@" in text or "%40" in text else text


class RequestIds:
    """Gives each request the id that its caller chose, or one of ours, which its answer and lines of the log tell.

    What asgi-correlation-id's middleware does, without taking the headers of each request and answer apart.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        is_valid = given is not None and _REQUEST_ID.fullmatch(given) is not None
        request_id = given if given is not None and is_valid else secrets.token_hex(16).encode()
        correlation_id.set(request_id.decode())
        if given and not is_valid:
            log.warning("request id replaced")

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id)]
            await send(message)

        await self.app(scope, receive, with_id)


class AccessLog:
    """Writes one line for each answer: who asked for what, with which outcome, in how many milliseconds."""

    def __init__(self, app: ASGIApp, log: AccessLogger) -> None:
        self.app = app
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        watch = ResponseWatch(send)
        started = time.perf_counter()
        try:
            await self.app(scope, receive, watch)
        finally:
            # Probes come every few seconds and would bury everything else.
            is_probe = scope["path"] == "/metrics" or scope["path"].startswith("/health/")
            write = self.log.debug if is_probe else self.log.info
            write(
                "request",
                method=scope["method"],
                path=_without_addresses(_without_link(scope["path"][:_LOGGED])),
                query=_without_addresses(_without_secrets(scope["query_string"][:_LOGGED].decode("latin-1"))),
                status=watch.status,
                bytes=watch.sent_bytes,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
                peer=scope["client"][0] if scope.get("client") else None,
            )


class CrashGuard:
    """Answers what the application raises with a problem; tracebacks go to the log and nowhere else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        watch = ResponseWatch(send)
        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            problem = from_exception(error)
            if watch.status is None and isinstance(problem, ServiceUnavailable):
                # In an outage every request fails alike: a traceback each would bury the first.
                log.warning("request refused", status=problem.status, slug=problem.slug, reason=problem.detail)
            elif problem.status >= 500:
                crash_log.error("request failed", status=problem.status, exc_info=error)
            if watch.status is not None:
                # Half of an answer is out: only a cut connection tells the caller that it is not whole.
                raise
            await answer_problem(send, problem)
