"""The outermost layers: the access log, and the guard that turns a crash into a problem."""

import re
import time

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from shelflist.shared.problems import from_exception

from .asgi import ResponseWatch, answer_problem

access_log = structlog.get_logger("shelflist.access")
crash_log = structlog.get_logger("shelflist.crash")

# Secrets belong into headers; who puts one into the address anyway shall not find it in the log.
# All repetitions are bounded: an unbounded one would be tried anew from each character of a long address.
_SECRET = re.compile(r"((?:secret|token|passw|authorization|key)[^=&]{0,40}=)[^&]*", re.IGNORECASE)
# Whoever has such a link sees the post, whoever reads the log has not been given it.
_LINK = re.compile(r"^(/shared/)[^/]+")
_EMAIL = re.compile(r"[^/?&=@]{1,64}(?:@|%40)[^/?&=]{1,254}", re.IGNORECASE)
_LOGGED = 2_000
"""Characters of a path or a query that are logged; what is longer is refused or no name of anything."""


def _without_addresses(text: str) -> str:
    # The pattern is tried from each character; hardly any text can hold an address.
    return _EMAIL.sub("***", text) if "@" in text or "%40" in text else text


class AccessLog:
    """Writes one line for each answer: who asked for what, with which outcome, in how many milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

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
            write = access_log.debug if is_probe else access_log.info
            write(
                "request",
                method=scope["method"],
                path=_without_addresses(_LINK.sub(r"\1***", scope["path"][:_LOGGED])),
                query=_without_addresses(_SECRET.sub(r"\1***", scope["query_string"][:_LOGGED].decode("latin-1"))),
                status=watch.status,
                bytes=watch.sent_bytes,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
                peer=scope["client"][0] if scope.get("client") else None,
            )


class CrashGuard:
    """Answers what nothing further in has answered; the traceback goes to the log and nowhere else."""

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
            if problem.status >= 500:
                crash_log.error("request failed", exc_info=error)
            if watch.status is not None:
                # Half of an answer is out: only a cut connection tells the caller that it is not whole.
                raise
            await answer_problem(send, problem, close=True)
