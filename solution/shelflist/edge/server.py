"""Gunicorn's worker: uvicorn, with time-outs and caps for whole connections, and errors that look like all others."""

import asyncio
import contextvars
import logging
import os
import signal
import uuid
from typing import Any, ClassVar

import structlog
from asgi_correlation_id import correlation_id
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn_worker import UvicornWorker

from shelflist.shared.problems import MEDIA_TYPE, HeadersTooLarge, InvalidRequest, Problem, RequestTimeout

from .headers import DATA_POLICY, SECURITY_HEADERS
from .streams import ABORT
from .writes import JoinedWrites

MAX_HEAD_BYTES = 65_536
"""Bytes of a request line and headers; what comes on top of it is never read."""
DISCARD_SECONDS = 5
"""How long the rest of a body may come that was answered already: a sender reads its answer only after it."""

access_log = structlog.get_logger("shelflist.access")


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 on one connection, of which no part may take for ever.

    uvicorn itself waits for ever for the end of the headers and keeps all of them, reads the rest of a body that was
    answered for ever, and waits for ever for a reader before it closes.
    """

    header_seconds = 10.0
    reader_seconds = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # One runs at a time: until the headers are whole, or until the rest of a body is.
        self._arrival_timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._is_in_message = False
        self._head_bytes = 0
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first request."""
        super().connection_made(JoinedWrites(transport))  # type: ignore[arg-type]
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request in hand, and forget the timers."""
        self._has_arrived()
        if self._close_timer is not None:
            self._close_timer.cancel()
        # uvicorn tells only the last of several pipelined requests.
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the headers are whole."""
        if self._arrival_timer is None and not self._is_in_message:
            self._expect_head()
        if not self._is_in_message:
            self._head_bytes += len(data)
        super().data_received(data)
        if not self._is_in_message and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())

    def on_message_begin(self) -> None:
        """Let the application cut the connection to a reader that takes nothing."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]

    def on_headers_complete(self) -> None:
        """Go on as usual; the body has its own time-out."""
        self._has_arrived()
        super().on_headers_complete()
        self._is_in_message = True

    def on_message_complete(self) -> None:
        """Wait for the next request."""
        self._has_arrived()
        self._is_in_message = False
        self._head_bytes = 0
        super().on_message_complete()
        if self.cycle.response_complete:
            self._expect_head()

    def on_response_complete(self) -> None:
        """Bound what may still come and go after an answer."""
        super().on_response_complete()
        if self._is_in_message and self.cycle.response_complete and self._arrival_timer is None:
            self._arrival_timer = self.loop.call_later(DISCARD_SECONDS, self._close)
        self._see_it_closed()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, and see that it closes."""
        super().timeout_keep_alive_handler()
        self._see_it_closed()

    def shutdown(self) -> None:
        """Close what is idle, and see that it closes."""
        super().shutdown()
        self._see_it_closed()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's name and text
        """Answer what is not HTTP with a problem."""
        is_too_long = not self._is_in_message and self._head_bytes > MAX_HEAD_BYTES
        self._refuse(_head_too_large() if is_too_long else InvalidRequest("this is not an HTTP request"))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _expect_head(self) -> None:
        self._has_arrived()
        self._head_bytes = 0
        self._arrival_timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _has_arrived(self) -> None:
        if self._arrival_timer is not None:
            self._arrival_timer.cancel()
            self._arrival_timer = None

    def _too_slow(self) -> None:
        self._arrival_timer = None
        if self._head_bytes:
            self._refuse(RequestTimeout(f"the headers did not arrive within {self.header_seconds:g} seconds"))
        else:
            self._close()

    def _close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
            self._see_it_closed()

    def _see_it_closed(self) -> None:
        if self.transport.is_closing() and self._close_timer is None:
            self._close_timer = self.loop.call_later(self.reader_seconds, self.transport.abort)

    def _refuse(self, problem: Problem) -> None:
        self._has_arrived()
        running = self._running
        if self.transport.is_closing():
            return
        if running is not None and not running.response_complete:
            if running is not self.cycle or not self._is_in_message:
                # An earlier request is still being answered, and another answer would be taken for its own.
                running.keep_alive = False
                return
            running.disconnected = True
            running.message_event.set()
        if running is None or running.response_complete or not running.response_started:
            self.transport.write(contextvars.copy_context().run(_refusal, problem, self.client))
        self._close()


def _head_too_large() -> Problem:
    return HeadersTooLarge(f"request line and headers have more than {MAX_HEAD_BYTES} bytes")


def _refusal(problem: Problem, client: tuple[str, int] | None) -> bytes:
    """Return a whole answer for a request that no application has seen, and log it."""
    request_id = uuid.uuid4().hex
    correlation_id.set(request_id)
    peer = client[0] if client else None
    access_log.info("request", method=None, path=None, status=problem.status, peer=peer)
    body = problem.body()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *SECURITY_HEADERS,
        (b"content-security-policy", DATA_POLICY),
        (b"x-request-id", request_id.encode()),
    ]
    lines = [f"HTTP/1.1 {problem.status} {problem.title}".encode(), *(b": ".join(pair) for pair in headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Worker(UvicornWorker):  # type: ignore[misc]
    """The worker class that Gunicorn starts."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": GuardedProtocol,
        "ws": "none",
        "lifespan": "on",
        # The edge does all three, and only for proxies that are listed.
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # It has given them Gunicorn's handlers, of which there are none: lines would leave bare, outside of our format.
        for name in ("uvicorn.error", "uvicorn.access"):
            logger = logging.getLogger(name)
            logger.handlers = []
            logger.propagate = True
            # Its warnings are about requests that are refused, which the access log tells.
            logger.setLevel(logging.ERROR)

    def _install_sigquit_handler(self) -> None:
        # What Gunicorn sends where its master gets SIGINT or SIGQUIT; the base's handler stops nothing.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, os.kill, os.getpid(), signal.SIGTERM)
