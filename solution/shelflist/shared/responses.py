"""Answers of handlers: JSON with a strong ETag, lists with their Link header, and streams of a whole list."""

import hashlib
import re
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, NamedTuple
from urllib.parse import urlencode

import flask
import orjson
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from .event_loop import leave_event_loop
from .idempotency import Answer, Attempt
from .problems import ServiceUnavailable

# Each export holds a connection, and a snapshot of the database, for as long as its reader takes.
_EXPORTS = threading.BoundedSemaphore(4)

# What stands in a link as it was given; names in another spelling than their own are not among it.
_PLAIN_QUERY = re.compile(r"(?:[a-z_]++=(?:[A-Za-z0-9._~+-]++|%[0-9A-F]{2})*+&?)*+")
_LONGEST_ACCEPT = 500
_OF_POSITION = ("cursor=", "after_id=")

DISCONNECTED = "shelflist.disconnected"
"""The key in the ASGI scope's extensions under which the edge keeps a flag: set when the reader has gone."""
HEAD = "shelflist.head"
"""The key in the ASGI scope's extensions that marks a HEAD request, which handlers see as GET."""
LONG_BODY = "shelflist.long_body"
"""The key in the ASGI scope's extensions under which the edge keeps a list: it sends what handlers leave in it."""


class Gone:
    """Whether a reader has gone: an Event for which nobody waits, so that each request can afford one."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Note that the reader has gone."""
        self._is_set = True

    def is_set(self) -> bool:
        """Tell whether the reader has gone; in any thread."""
        return self._is_set


class WholeAnswer(NamedTuple):
    """A whole answer, in the form in which Flask takes one from a handler without a Response."""

    body: bytes
    status: int
    headers: list[tuple[str, str]]


def json_answer(body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None) -> WholeAnswer:
    """Return `body` as JSON with a strong ETag; 304 without a body where the caller has it already."""
    content = orjson.dumps(body)
    tag = hashlib.blake2b(content, digest_size=16).hexdigest()
    own = [("ETag", f'"{tag}"'), ("Cache-Control", "no-cache"), *(headers or {}).items(), ("Vary", "Accept")]
    if "HTTP_IF_NONE_MATCH" in flask.request.environ and flask.request.if_none_match.contains_weak(tag):
        return WholeAnswer(b"", 304, own)
    return WholeAnswer(content, 200, [("Content-Type", "application/json"), *own])


def conditional(response: flask.Response, headers: Mapping[str, str] | None = None) -> flask.Response:
    """Return the response with a strong ETag of its bytes, reduced to 304 where If-None-Match names it."""
    response.set_etag(hashlib.blake2b(response.get_data(), digest_size=16).hexdigest())
    response.headers["Cache-Control"] = "no-cache"
    response.headers.update(headers or {})
    response.vary.add("Accept")
    response.make_conditional(flask.request)
    # The server adds its own; two of them break caches.
    response.headers.pop("Date", None)
    return response


def list_answer(
    plural: str,
    rows: Sequence[Mapping[str, Any]],
    next_cursor: str | None,
    *,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> WholeAnswer:
    """Return one page of a list, with `Link: <...>; rel="next"` while there is more."""
    link = {"Link": f'<{next_link(next_cursor)}>; rel="next"'} if next_cursor else {}
    return json_answer({plural: rows, "next_cursor": next_cursor, **more}, headers={**link, **(headers or {})})


def next_link(cursor: str) -> str:
    """Return this request's path and parameters with `cursor`; a reference without host, which nobody can forge."""
    given = flask.request.query_string.decode("ascii")
    if _PLAIN_QUERY.fullmatch(given):
        kept = [pair for pair in given.split("&") if pair and not pair.startswith(_OF_POSITION)]
        return f"{flask.request.path}?{'&'.join([*kept, f'cursor={cursor}'])}"
    pairs = [pair for pair in flask.request.args.items(multi=True) if pair[0] not in ("cursor", "after_id")]
    return f"{flask.request.path}?{urlencode([*pairs, ('cursor', cursor)])}"


def bodiless(status: int, headers: Mapping[str, str] | None = None) -> flask.Response:
    """Return an answer without a body, and without a type of what is not there."""
    response = flask.Response(status=status, headers=dict(headers or {}))
    del response.headers["Content-Type"]
    return response


def created(answer: Answer) -> flask.Response:
    """Return the answer of a POST, new or replayed."""
    response = flask.Response(answer.body, status=answer.status, mimetype="application/json")
    response.headers.update(answer.headers)
    return response


def attempt(operation: str, caller: str, body: Any) -> Attempt | None:
    """Return what Idempotency-Key protects in this request; None where the caller sent no key."""
    key = flask.request.headers.get("Idempotency-Key")
    return Attempt(caller, key, operation, body) if key is not None else None


def preferred_media_type(*offered: str) -> str:
    """Return which of `offered` the Accept header likes best; the first where it likes none or all the same."""
    accepted = flask.request.environ.get("HTTP_ACCEPT")
    if accepted is None or len(accepted) <= _LONGEST_ACCEPT:
        return _preferred(accepted, offered)
    # Taking it apart takes long, and it hardly comes twice.
    leave_event_loop()
    return _preferred.__wrapped__(accepted, offered)


@lru_cache(200)
def _preferred(accepted: str | None, offered: tuple[str, ...]) -> str:
    accept: MIMEAccept = parse_accept_header(accepted, MIMEAccept)
    return accept.best_match(offered, default=offered[0]) or offered[0]


def is_head() -> bool:
    """Return whether the caller wants the headers alone."""
    return bool(_extensions().get(HEAD))


def leave_body(chunks: Iterator[bytes]) -> None:
    """Have the edge send the chunks as the body of this answer, which has none itself but tells their length."""
    _extensions()[LONG_BODY].append(chunks)


def _extensions() -> dict[str, Any]:
    found: dict[str, Any] = flask.request.environ["asgi.scope"].get("extensions", {})
    return found


def stream_answer(
    chunks: Generator[bytes], media_type: str, filename: str, headers: Callable[[], Mapping[str, str]] = dict
) -> flask.Response:
    """Return a stream of a whole list; few run at a time, and one stops when its reader has gone.

    `headers` gives the answer's own headers once the first rows are read, or where none are, for HEAD.
    """
    extensions = _extensions()
    # An iterator, which has no length: HEAD must not say 0 of what GET streams.
    response = flask.Response(iter(()), mimetype=media_type)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.vary.add("Accept")
    if is_head():
        response.headers.update(headers())
        return response
    if not _EXPORTS.acquire(blocking=False):
        raise ServiceUnavailable("too many exports are running", retry_after=10)
    try:
        # The heading and the first rows: what fails there, as wrong filters do, is still answered as a problem.
        first = list(islice(chunks, 2))
        response.headers.update(headers())
    except BaseException:
        _EXPORTS.release()
        raise
    response.response = _Export(first, chunks, extensions.get(DISCONNECTED) or Gone())
    return response


class _Export:
    """The chunks until their end or the reader's; gives the export's place back whichever way it ends."""

    def __init__(self, first: list[bytes], rest: Generator[bytes], disconnected: Gone) -> None:
        self._chunks: Any = flask.stream_with_context(chain(first, rest))
        self._rest = rest
        self._disconnected = disconnected
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._disconnected.is_set():
            raise StopIteration
        chunk: bytes = next(self._chunks)
        return chunk

    def close(self) -> None:
        if self._open:
            self._open = False
            # Gives back what the rows are read with.
            try:
                self._chunks.close()
            finally:
                self._rest.close()
                _EXPORTS.release()
