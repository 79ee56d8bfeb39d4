"""Long answers: a reader that has gone or stopped reading does not keep a thread of ours."""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelflist.shared.responses import DISCONNECTED, LONG_BODY, Gone

from .routes import path_pattern

ABORT = "shelflist.abort"
"""The key in the ASGI scope's extensions under which our server gives the function that cuts the connection."""


class SlowReaders:
    """Sets the flag that streams look at, once the reader disconnects or takes nothing for `seconds`.

    Nothing is raised into the application, which may be within a thread; it sees the flag before its next piece.
    """

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        self.app = app
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        gone = Gone()
        watcher: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()

        def give_up() -> None:
            gone.set()
            # Closing would wait for what the reader does not take; this ends the waiting for it.
            extensions.get(ABORT, _nothing)()

        async def patient(message: Message) -> None:
            nonlocal watcher
            if gone.is_set():
                return
            if message.get("more_body") and watcher is None:
                watcher = asyncio.create_task(_wait_for_end(receive, gone))
            timer = loop.call_later(self.seconds, give_up)
            try:
                await send(message)
            except OSError:
                give_up()
            finally:
                timer.cancel()

        extensions = {**scope.get("extensions", {}), DISCONNECTED: gone}
        try:
            await self.app({**scope, "extensions": extensions}, receive, patient)
        finally:
            if watcher is not None:
                watcher.cancel()
                with suppress(asyncio.CancelledError):
                    await watcher


class SteadyStreams:
    """Sends the long body that a handler has left for it, piece by piece.

    A thread is needed only while a piece is read, not while the reader takes it: many slow ones of large pictures keep
    none of the few threads from other requests. `paths` are those of such answers.
    """

    def __init__(self, app: ASGIApp, *, paths: Iterable[str]) -> None:
        self.app = app
        self.patterns = [path_pattern(path) for path in paths]
        # Not the event loop's own pool, in which callers are authenticated: a slow store must not hold that up.
        self._readers = ThreadPoolExecutor(8, thread_name_prefix="long-body")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not any(pattern.fullmatch(scope["path"]) for pattern in self.patterns):
            await self.app(scope, receive, send)
            return
        left: list[Iterator[bytes]] = []

        async def without_body(message: Message) -> None:
            if not left or message["type"] != "http.response.body":
                await send(message)

        extensions = {**scope.get("extensions", {}), LONG_BODY: left}
        await self.app({**scope, "extensions": extensions}, receive, without_body)
        for chunks in left:
            await self._send(chunks, send, extensions.get(DISCONNECTED) or Gone())

    async def _send(self, chunks: Iterator[bytes], send: Send, gone: Gone) -> None:
        loop = asyncio.get_running_loop()
        while not gone.is_set():
            chunk = await loop.run_in_executor(self._readers, next, chunks, None)
            await send({"type": "http.response.body", "body": chunk or b"", "more_body": chunk is not None})
            if chunk is None:
                return


class WholeAnswers:
    """Hands on an answer of known length in one message, as compression needs it to leave small ones alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        gathered: bytearray | None = None

        async def gather(message: Message) -> None:
            nonlocal gathered
            if message["type"] == "http.response.start":
                names = [name.lower() for name, _ in message.get("headers", [])]
                gathered = bytearray() if b"content-length" in names else None
                await send(message)
            elif gathered is None:
                await send(message)
            else:
                gathered += message.get("body", b"")
                if not message.get("more_body"):
                    await send({**message, "body": bytes(gathered)})

        await self.app(scope, receive, gather)


async def _wait_for_end(receive: Receive, gone: Gone) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _nothing() -> None:
    """Stand for the function of a server that gives none."""
