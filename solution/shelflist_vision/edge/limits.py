"""Bodies of images: counted as they come, bounded each and all together, and given up with their callers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..metrics import Metrics
from ..problems import PayloadTooLarge, Problem, RequestTimeout, ServiceUnavailable, UnsupportedMediaType
from .asgi import answer_problem, header

MAX_JSON_BYTES = 16_384
FORM_BYTES = 65_536
"""What a form may have beside its file."""
HELD_IMAGES = 8
"""Bodies of the largest size that are in memory at a time, or any number of smaller ones that are no more together."""


class HeldBodies:
    """The bytes of all bodies that are in memory."""

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._rejected = metrics.rejected.labels("bodies")
        metrics.gauge("vision_body_bytes", "Bytes of the bodies in memory.", lambda: self.bytes)

    def add(self, count: int) -> None:
        """Count bytes that are about to be kept; raises ServiceUnavailable where they are too many."""
        if self.bytes + count > self._max_bytes:
            self._rejected.inc()
            raise ServiceUnavailable("as many images are held as memory is kept for")
        self.bytes += count


class _Kept:
    """The chunks of one body, counted among all."""

    def __init__(self, held: HeldBodies) -> None:
        self._held = held
        self._chunks: list[bytes] = []
        self._count = 0

    def add(self, chunk: bytes, limit: int) -> None:
        if self._count + len(chunk) > limit:
            raise _too_large(limit)
        self._held.add(len(chunk))
        self._count += len(chunk)
        self._chunks.append(chunk)

    def whole(self) -> bytes:
        body = b"".join(self._chunks)
        self._chunks.clear()
        return body

    def release(self) -> None:
        self._held.bytes -= self._count


class BodyLimit:
    """Gathers the body of a POST, at most `max_image_bytes` of an image, and hands it on in one message.

    `check_room` is asked before the first byte is read. Nothing beyond a limit is kept, so memory stays flat whatever
    is sent. A caller that goes away while it waits takes its request with it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        held: HeldBodies,
        max_image_bytes: int,
        seconds: float,
        bounded_paths: Collection[str],
        check_room: Callable[[], None],
    ) -> None:
        self.app = app
        self.held = held
        self.max_image_bytes = max_image_bytes
        self.seconds = seconds
        self.bounded_paths = bounded_paths
        self.check_room = check_room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["method"] != "POST":
            # Connexion would read a body of the type that is named.
            kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
            await self.app({**scope, "headers": kept}, receive, send)
        else:
            await self._post(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = _Kept(self.held)
        try:
            if scope["path"] in self.bounded_paths:
                self.check_room()
            limit = self._limit(scope)
            _check_announcement(scope, limit)
            await self._gather(kept, receive, limit)
            body = kept.whole()
            await _until_gone(self.app(_with_length(scope, len(body)), _once(body), send), receive)
        except Problem as problem:
            # The rest is read and thrown away by the server: many read an answer only when they have sent all.
            await answer_problem(send, problem)
        finally:
            kept.release()

    def _limit(self, scope: Scope) -> int:
        media_type = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
        return self.max_image_bytes + FORM_BYTES if media_type == b"multipart/form-data" else MAX_JSON_BYTES

    async def _gather(self, kept: _Kept, receive: Receive, limit: int) -> None:
        try:
            async with asyncio.timeout(self.seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RequestTimeout("the connection ended before the body did")
                    kept.add(message.get("body", b""), limit)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {self.seconds:g} seconds") from None


async def _until_gone(answering: Awaitable[None], receive: Receive) -> None:
    """Wait for the answer, or end it as soon as its caller has gone."""
    task = asyncio.ensure_future(answering)
    watcher = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        else:
            task.result()
    finally:
        task.cancel()
        watcher.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _once(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        # Whoever waits for the end of the connection is ended with the request.
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def _check_announcement(scope: Scope, limit: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMediaType("send the body without Content-Encoding")
    if header(scope, b"content-type") is None:
        raise UnsupportedMediaType("the header Content-Type is missing")
    announced = header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body may have at most {limit} bytes")


def _with_length(scope: Scope, length: int) -> Scope:
    kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    return {**scope, "headers": [*kept, (b"content-length", str(length).encode())]}
