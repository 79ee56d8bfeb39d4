"""What a connection sends: an answer's head and the beginning of its body together."""

import asyncio
from typing import Any

_HEAD = b"HTTP/1."


class JoinedWrites:
    """A transport that holds an answer's head until more comes, or until the event loop's next turn.

    uvicorn writes head and body apart: two calls of the system, and readers wake twice.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""
        self._loop = asyncio.get_running_loop()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send what is held and `data`, or hold it where it is a head."""
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(_HEAD):
            self._held = data
            self._loop.call_soon(self._release)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        self._release()
        self._transport.close()

    def abort(self) -> None:
        """Cut the connection; what is held is not sent."""
        self._held = b""
        self._transport.abort()

    def _release(self) -> None:
        held, self._held = self._held, b""
        # A connection that has ended meanwhile takes nothing any more.
        if held and not self._transport.is_closing():
            self._transport.write(held)
