"""The child's side of a process that answers requests over its stdin and stdout, and ends when nobody asks.

Each request is four bytes of length in network order and as many bytes. Each answer is one byte, the outcome, four
bytes of length, and as many bytes. What they mean is between the two sides; child_process.py holds the other.
"""

import os
import select
import signal
import struct
import sys
from collections.abc import Callable

REQUEST = struct.Struct("!I")
ANSWER = struct.Struct("!BI")


def serve(answer: Callable[[bytes], tuple[int, bytes]], *, idle_seconds: float, most: int) -> None:
    """Answer until nobody has asked for `idle_seconds`, `most` requests are answered, or the one who asked has gone."""
    # Ctrl-C reaches every process of a terminal; this one ends when the one who asks does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries print to stdout whatever comes to their mind: from here on that goes to stderr.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        for _ in range(most):
            ready, _, _ = select.select([sys.stdin.buffer], [], [], idle_seconds)
            start = sys.stdin.buffer.read(REQUEST.size) if ready else b""
            if len(start) < REQUEST.size:
                return
            [length] = REQUEST.unpack(start)
            request = sys.stdin.buffer.read(length)
            if len(request) < length:
                return
            outcome, body = answer(request)
            output.write(ANSWER.pack(outcome, len(body)))
            output.write(body)
            output.flush()
