"""Charts as pictures, drawn by one child process: the JavaScript engine that draws them takes 80 MB."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import orjson

from .drawing import FAILED, HEADER
from .problems import ServiceUnavailable

SECONDS = 20.0
"""What one picture may take, the wait for those before it included."""

FORMATS = {"image/svg+xml": "svg", "image/png": "png"}
"""Media type -> format."""

_COMMAND = (sys.executable, "-m", "shelflist.shared.drawing")


class _Gone(Exception):
    """The child ended before it answered."""


class Renderer:
    """Starts the child at the first picture, and again whenever it has ended; one picture at a time."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def render(self, chart: Mapping[str, Any], media_type: str, *, seconds: float = SECONDS) -> bytes:
        """Return the chart as SVG or PNG; raises ServiceUnavailable where that takes too long."""
        deadline = time.monotonic() + seconds
        line = orjson.dumps({"chart": chart, "format": FORMATS[media_type]}) + b"\n"
        if not self._lock.acquire(timeout=seconds):
            raise ServiceUnavailable("too many pictures are being drawn", retry_after=10)
        try:
            return self._draw(line, deadline)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the child; the next picture starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                # What was not written yet is of no use to anybody.
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()

    def _draw(self, line: bytes, deadline: float) -> bytes:
        # An idle child may end between our look at it and our request: then, and only once, a new one is asked.
        for is_last in (False, True):
            try:
                return self._ask(line, deadline)
            except _Gone:
                self.close()
                if is_last:
                    break
            except BaseException:
                # Half an answer is left in the pipe.
                self.close()
                raise
        raise ServiceUnavailable("the picture could not be drawn", retry_after=10)

    def _ask(self, line: bytes, deadline: float) -> bytes:
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        watch = threading.Timer(max(deadline - time.monotonic(), 0), child.kill)
        watch.daemon = True
        watch.start()
        try:
            child.stdin.write(line)
            child.stdin.flush()
            outcome, length = HEADER.unpack(_read(child, HEADER.size))
            picture = _read(child, length)
        except (_Gone, BrokenPipeError):
            if time.monotonic() >= deadline:
                raise ServiceUnavailable("the picture took too long to draw", retry_after=10) from None
            raise _Gone from None
        finally:
            watch.cancel()
        if outcome == FAILED:
            raise RuntimeError("a chart cannot be drawn")
        return picture

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            # Without our environment: the child needs none of the secrets in it.
            self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
        return self._child


def _read(child: subprocess.Popen[bytes], length: int) -> bytes:
    assert child.stdout is not None
    data = child.stdout.read(length)
    if len(data) < length:
        raise _Gone
    return data


RENDERER = Renderer()
"""The one of this process."""
