"""Connections: requests are read from sockets, and replies are sent as their faults want it."""

import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from .answers import Answer
from .script import Fault

_MAX_BODY_BYTES = 50_000_000
_SLOW_SECONDS, _DRIP_SECONDS = 5.0, 1.0


@dataclass(frozen=True)
class Request:
    """One request as it came; the names of its headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer, the fault that decides how it is sent, and the moment for its Date."""

    answer: Answer
    fault: Fault | None
    at: datetime

    def encoded(self) -> tuple[bytes, bytes]:
        """Return the head and the body."""
        body = self.answer.encoded()
        status = self.answer.status
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
        headers = {
            "Content-Type": self.answer.content_type,
            "Content-Length": str(len(body)),
            "Date": format_datetime(self.at.astimezone(UTC), usegmt=True),
            **self.answer.headers,
        }
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1", "replace"), body


class Connections:
    """A listening socket, and a thread for each connection; `respond` is called by several threads at once."""

    def __init__(self, address: tuple[str, int], respond: Callable[[Request], Reply]) -> None:
        self._server = _Server(address, respond)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The address of the server, without a slash at the end."""
        host, port = self._server.server_address[:2]
        # The address that means every address cannot be called.
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(host), str(host))  # noqa: S104
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and break off every connection."""
        self._server.is_closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.break_off()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], respond: Callable[[Request], Reply]) -> None:
        self.respond = respond
        self.is_closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The parent's asks the resolver for the host's name, which may take seconds.
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def break_off(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Clients that leave in the middle are what faults are about.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing: the log of calls says more."""

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MAX_BODY_BYTES or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(Reply(Answer(411, {"error": "a body needs a Content-Length"}), None, datetime.now(UTC)))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(int(length)))
        reply = self.server.respond(request)
        try:
            self._deliver(reply)
        except OSError:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - the parent's names

    def _deliver(self, reply: Reply) -> None:
        fault = reply.fault
        kind = None if fault is None else fault.kind
        if kind in ("drop", "stall"):
            self.close_connection = True
            if kind == "stall":
                self._wait_for_the_end()
            return
        if fault is not None and kind == "slow":
            self.server.is_closing.wait(_SLOW_SECONDS if fault.seconds is None else fault.seconds)
        if fault is not None and kind == "drip":
            self._drip(reply, _DRIP_SECONDS if fault.seconds is None else fault.seconds)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.connection.sendall(b"".join(reply.encoded()))

    def _drip(self, reply: Reply, seconds: float) -> None:
        head, body = reply.encoded()
        self.connection.sendall(head)
        for byte in body:
            self.connection.sendall(bytes([byte]))
            if self.server.is_closing.wait(seconds):
                self.close_connection = True
                return

    def _wait_for_the_end(self) -> None:
        self.connection.settimeout(0.2)
        while not self.server.is_closing.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1024):
                    return
