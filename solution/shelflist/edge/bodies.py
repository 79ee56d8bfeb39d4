"""Request heads and bodies: within their limits, in time, and made of what the application can read."""

import asyncio
import re
import time
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelflist.shared.problems import (
    HeadersTooLarge,
    InvalidRequest,
    PayloadTooLarge,
    Problem,
    RequestTimeout,
    UnsupportedMediaType,
)

from .asgi import Headers, answer_problem, header
from .routes import path_pattern

MAX_HEADER_BYTES = 32_768
MIN_UPLOAD_RATE = 10_000
"""Bytes a second that an upload must bring on average, once it has been waited for as long as for any body."""
_BODILESS = ("GET", "HEAD", "OPTIONS", "DELETE", "TRACE")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
# Parts of a name have at most 63 characters (RFC 1035, section 2.3.4), which Werkzeug insists on.
_HOST = re.compile(rb"(?!.*[^.]{64})[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]*")
_MEDIA_TYPE = re.compile(rb"[^\s/;,]+/[^\s/;,]+[ \t]*(;|$)")
_ONCE = (b"host", b"content-type", b"client-id", b"client-secret", b"authorization", b"idempotency-key")
"""Headers whose second value one reader would take and another not."""
# No protocol is changed to, and no read promises If-Match; Werkzeug and Starlette would answer them in ways of their
# own, and ranges as well, where the operation does not.
_IGNORED = (b"upgrade", b"if-match")
_OF_RANGES = (b"range", b"if-range")


class RequestGuard:
    """Refuses heads that are too long, ambiguous or no UTF-8 text, and tidies the rest, before anything parses them.

    `ranged` are the paths whose answers come in ranges of bytes.
    """

    def __init__(self, app: ASGIApp, *, ranged: Iterable[str] = ()) -> None:
        self.app = app
        self.ranged = [path_pattern(path) for path in ranged]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        problem = _wrong_head(scope)
        if problem is not None:
            await answer_problem(send, problem, close=True)
        else:
            has_ranges = any(pattern.fullmatch(scope["path"]) for pattern in self.ranged)
            ignored = _IGNORED if has_ranges else (*_IGNORED, *_OF_RANGES)
            await self.app({**scope, "headers": _tidied(scope["headers"], ignored)}, receive, send)


def _wrong_head(scope: Scope) -> Problem | None:
    path, query = scope.get("raw_path") or b"", scope["query_string"]
    size = len(path) + len(query) + sum(len(name) + len(value) for name, value in scope["headers"])
    if size > MAX_HEADER_BYTES:
        return HeadersTooLarge(f"the address and the headers have more than {MAX_HEADER_BYTES} bytes")
    return _wrong_text("path", path) or _wrong_text("query", query) or _wrong_headers(scope)


def _wrong_text(part: str, raw: bytes) -> Problem | None:
    if not raw.isascii():
        return InvalidRequest(f"the {part} must be percent-encoded")
    plain = unquote_to_bytes(raw)
    if b"\0" in plain:
        return InvalidRequest(f"the {part} holds the character U+0000, which no text may")
    # Routers disagree about a line feed at the end of a path.
    if part == "path" and _CONTROL.search(plain):
        return InvalidRequest("the path holds a control character")
    try:
        plain.decode("utf-8")
    except UnicodeDecodeError:
        return InvalidRequest(f"the {part} is not UTF-8")
    return None


def _wrong_headers(scope: Scope) -> Problem | None:
    if scope["http_version"] not in ("1.0", "1.1"):
        return InvalidRequest("this server speaks HTTP/1.1")
    names = [name for name, _ in scope["headers"]]
    repeated = next((name for name in _ONCE if names.count(name) > 1), None)
    if repeated is not None:
        return InvalidRequest(f"the header {repeated.decode()} may be given once")
    # RFC 9112, section 3.2: HTTP/1.1 needs it, and a proxy in front may have gone by another one.
    host = header(scope, b"host")
    if _HOST.fullmatch(host or b"") is None or (host is None and scope["http_version"] == "1.1"):
        return InvalidRequest("the header host must name one host")
    return None


def _tidied(headers: Headers, ignored: tuple[bytes, ...]) -> Headers:
    # WSGI knows client-id and client_id as one name: what no proxy or check has seen under its name must not count.
    return [
        (name, _plain_media_type(value) if name == b"content-type" else value)
        for name, value in headers
        if b"_" not in name and name not in ignored
    ]


def _plain_media_type(value: bytes) -> bytes:
    # Media types are case-insensitive (RFC 9110, section 8.3.1); Connexion checks no body whose type it does not find.
    media_type, semicolon, parameters = value.partition(b";")
    return media_type.lower() + semicolon + parameters


class BodyLimit:
    """Counts the bytes of each body as they come.

    A body up to `max_bytes` is gathered here and handed on whole with its true length, so that a chunked one is
    like any other; multipart passes through as a stream on the paths of `uploads`, of at most the bytes that stand
    there, and nowhere else. Nothing beyond the limit is kept, so memory stays flat however much somebody sends.
    """

    def __init__(
        self, app: ASGIApp, *, max_bytes: int, seconds: float, uploads: Mapping[str, int] | None = None
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.uploads = [(path_pattern(path), max_upload_bytes) for path, max_upload_bytes in (uploads or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] in _BODILESS:
            # Connexion would still read a body of the type that is named, or fail over a type that is none.
            kept = [pair for pair in scope["headers"] if pair[0] != b"content-type"]
            await self.app({**scope, "headers": kept}, receive, send)
            return
        upload_limit = self._upload_limit(scope)
        limit = self.max_bytes if upload_limit is None else upload_limit
        try:
            _check_announcement(scope, limit)
            body = await self._gather(receive, limit) if upload_limit is None else None
        except Problem as problem:
            # Any other's rest is read and thrown away: many read an answer only when they have sent all.
            sends_no_more = isinstance(problem, RequestTimeout) or header(scope, b"expect") is not None
            await answer_problem(send, problem, close=sends_no_more)
            return
        if body is None:
            await self.app(scope, self._counted(receive, limit), send)
        else:
            await self.app(_with_length(scope, len(body)), _replayed(body, receive), send)

    def _upload_limit(self, scope: Scope) -> int | None:
        """Return the most bytes of an upload, None for a body that is none."""
        # Elsewhere, Flask would still take all of a multipart body apart before the handler ignores it.
        if not (header(scope, b"content-type") or b"").startswith(b"multipart/"):
            return None
        return next((limit for pattern, limit in self.uploads if pattern.fullmatch(scope["path"])), None)

    async def _gather(self, receive: Receive, limit: int) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self.seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RequestTimeout("the connection ended before the body did")
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise _too_large(limit)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise RequestTimeout(f"the body did not arrive within {self.seconds:g} seconds") from None
        return bytes(body)

    def _counted(self, receive: Receive, limit: int) -> Receive:
        count, waited = 0, 0.0

        async def counted() -> Message:
            nonlocal count, waited
            start = time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), self.seconds)
            except TimeoutError:
                raise RequestTimeout(f"nothing arrived for {self.seconds:g} seconds") from None
            waited += time.monotonic() - start
            count += len(message.get("body", b""))
            if count > limit:
                raise _too_large(limit)
            # Each upload holds one of few threads: whoever drips must not do so for ever.
            if message.get("more_body", False) and waited > self.seconds and count < waited * MIN_UPLOAD_RATE:
                raise RequestTimeout(f"the body came at less than {MIN_UPLOAD_RATE} bytes a second")
            return message

        return counted


def _check_announcement(scope: Scope, limit: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMediaType("send the body without Content-Encoding")
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            raise UnsupportedMediaType("send the body without a Transfer-Encoding other than chunked")
        if name == b"content-type" and _MEDIA_TYPE.match(value) is None:
            raise UnsupportedMediaType("Content-Type is no media type")
    announced = header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced[:20]) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"the body may have at most {limit} bytes")


def _with_length(scope: Scope, length: int) -> Scope:
    kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-length", b"transfer-encoding")]
    return {**scope, "headers": [*kept, (b"content-length", str(length).encode())]}


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
