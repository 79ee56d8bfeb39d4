"""Work that needs much memory, or code that may crash, in a child process that starts when it is asked and may end.

The child runs `answering.serve`. It gets none of our environment: it needs none of the secrets in it.
"""

import contextlib
import subprocess
import threading
import time
from dataclasses import dataclass

from .answering import ANSWER, REQUEST
from .problems import ServiceUnavailable

_RETRY_SECONDS = 10


@dataclass(frozen=True)
class Refusals:
    """What callers are told: others wait already, it took too long, the child ended before it answered."""

    busy: str
    slow: str
    gone: str


class _Gone(Exception):
    """The child ended before it answered."""


class ChildProcess:
    """Starts the child at the first request, and again whenever it has ended; one request at a time."""

    def __init__(self, command: tuple[str, ...], refusals: Refusals) -> None:
        self._command = command
        self._refusals = refusals
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def ask(self, request: bytes, *, seconds: float) -> tuple[int, bytes]:
        """Return the outcome and the answer.

        Raises ServiceUnavailable where that takes longer than `seconds`, the wait for earlier requests included, or
        the child cannot do it.
        """
        deadline = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise ServiceUnavailable(self._refusals.busy, retry_after=_RETRY_SECONDS)
        try:
            return self._ask_twice(REQUEST.pack(len(request)) + request, deadline)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the child; the next request starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                # What was not written yet is of no use to anybody.
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()

    def _ask_twice(self, request: bytes, deadline: float) -> tuple[int, bytes]:
        # An idle child may end between our look at it and our request: then, and only once, a new one is asked.
        for is_last in (False, True):
            try:
                return self._ask(request, deadline)
            except _Gone:
                self.close()
                if is_last:
                    break
            except BaseException:
                # Half an answer is left in the pipe.
                self.close()
                raise
        raise ServiceUnavailable(self._refusals.gone, retry_after=_RETRY_SECONDS)

    def _ask(self, request: bytes, deadline: float) -> tuple[int, bytes]:
        child = self._running()
        assert child.stdin is not None
        watch = threading.Timer(max(deadline - time.monotonic(), 0), child.kill)
        watch.daemon = True
        watch.start()
        try:
            child.stdin.write(request)
            child.stdin.flush()
            outcome, length = ANSWER.unpack(_read(child, ANSWER.size))
            return outcome, _read(child, length)
        except (_Gone, BrokenPipeError):
            if time.monotonic() >= deadline:
                raise ServiceUnavailable(self._refusals.slow, retry_after=_RETRY_SECONDS) from None
            raise _Gone from None
        finally:
            watch.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            try:
                self._child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={})
            except OSError as error:
                # No memory or no process left for it.
                raise ServiceUnavailable(self._refusals.gone, retry_after=_RETRY_SECONDS) from error
        return self._child


def _read(child: subprocess.Popen[bytes], length: int) -> bytes:
    assert child.stdout is not None
    data = child.stdout.read(length)
    if len(data) < length:
        raise _Gone
    return data
