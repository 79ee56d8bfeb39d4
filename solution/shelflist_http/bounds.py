"""The bounds that the libraries below do not keep: one deadline over a whole call, and a cap on its body."""

import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

from .calls import HttpError, Limits


class Deadline:
    """The end of a call as a whole: httpx bounds each wait alone, and headers that drip make no end of waits."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._ends_at = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def seconds_left(self) -> float:
        """The time that is left, at least 0."""
        return max(0.0, self._ends_at - time.monotonic())

    def failure(self) -> HttpError | None:
        """Return what to raise where the time is over."""
        if self.seconds_left:
            return None
        return HttpError(f"{self._name} took more than {self._seconds:g} seconds", reason="timeout")

    def follow(self, event: str, info: dict[str, Any]) -> None:
        """Learn of the connections that a request makes: its `trace` extension."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.failure():
                self._shut()

    def _shut(self) -> None:
        """Wake the thread that waits for bytes; what it reads is the end."""
        if self._socket is not None:
            # It may be closed by now. Not the method of ssl.SSLSocket: that takes the TLS state from under the reader.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def check_size(headers: Mapping[str, str], name: str, limits: Limits) -> None:
    """Raise HttpError where an answer says itself that it is too large."""
    if int(headers.get("Content-Length", 0)) > limits.max_bytes:
        raise too_large(name, limits)


def bounded(
    chunks: Iterable[bytes], name: str, limits: Limits, deadline: Deadline, *, already: int = 0
) -> Iterator[bytes]:
    """Yield the body as it comes, unbuffered, so that a body that drips is noticed too.

    `already` bytes came before, and count.
    """
    total = already
    for chunk in chunks:
        total += len(chunk)
        if total > limits.max_bytes:
            raise too_large(name, limits)
        if late := deadline.failure():
            raise late
        yield chunk
    # A body of no stated length ends where the connection does, also where the deadline has ended that.
    if late := deadline.failure():
        raise late


def too_large(name: str, limits: Limits) -> HttpError:
    """Return what to raise where more comes, or is announced, than is allowed."""
    return HttpError(f"{name} holds more than {limits.max_bytes:,} bytes", reason="too-large")
