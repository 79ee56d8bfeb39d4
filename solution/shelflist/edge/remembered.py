"""Answers that are given again as long as nothing in the database has changed."""

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelflist.shared.responses import HEAD
from shelflist.shared.unchanged import Snapshot, Snapshots

from .asgi import Headers
from .routes import path_pattern

MAX_ANSWER_BYTES = 200_000
"""Longer answers are not kept: a few of them would push out all others."""

MARKS = 1_000
"""Of how many questions at least it is known that they were asked."""

# What tells who asks, or asks for a part: such requests go the whole way.
_OWN = frozenset((b"client-id", b"client-secret", b"authorization", b"range", b"content-length", b"transfer-encoding"))
_OF_BODIES = frozenset((b"content-length", b"content-type", b"content-encoding"))

_Key = tuple[str, bytes, tuple[tuple[bytes, bytes], ...]]


@dataclass(frozen=True)
class _Answer:
    headers: Headers
    body: bytes
    tag: bytes
    snapshot: Snapshot | None

    def size(self, key: _Key) -> int:
        # With the dictionary's place, and the objects that its parts are.
        pairs = (*self.headers, *key[2])
        return 4_000 + len(self.body) + len(key[1]) + sum(len(value) for _, value in pairs)


class RememberedAnswers:
    """Keeps answers of `paths` that carry an ETag, `max_bytes` of them, and gives them to the next that ask the same.

    What is asked for the first time in a while is not kept yet.

    Each time PostgreSQL is asked whether anything was committed since before the answer was read; only where nothing
    was is it given again. See docs/explanation/serving.md.
    """

    def __init__(
        self, app: ASGIApp, *, snapshots: Snapshots, paths: Collection[str], others: Iterable[str], max_bytes: int
    ) -> None:
        """Take the paths whose answers are kept, and the `others` that there are."""
        self.app = app
        self._snapshots = snapshots
        self._literal = {path for path in paths if "{" not in path}
        self._others = {path for path in others if "{" not in path and path not in paths}
        self._patterns = [path_pattern(path) for path in paths if "{" in path]
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[_Key, _Answer] = OrderedDict()
        self._asked: set[int] = set()
        self._asked_before: set[int] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope)
        if key is None:
            await self.app(scope, receive, send)
            return
        known = self._answers.get(key)
        if known is not None and known.snapshot == await self._snapshots.current():
            # Others may have pushed it out while PostgreSQL was asked.
            if key in self._answers:
                self._answers.move_to_end(key)
            await _give(known, scope, send)
        elif HEAD in scope["extensions"] or (known is None and not self._is_asked_again(key)):
            await self.app(scope, receive, send)
        else:
            await self._ask(key, scope, receive, send)

    def _is_asked_again(self, key: _Key) -> bool:
        """Tell whether the same was asked lately: what is asked for once would push out what many want."""
        mark = hash(key)
        if mark in self._asked or mark in self._asked_before:
            return True
        if len(self._asked) >= MARKS:
            self._asked_before, self._asked = self._asked, set()
        self._asked.add(mark)
        return False

    def _key(self, scope: Scope) -> _Key | None:
        """Return what tells equal questions apart from others; None where the answer is for this caller alone."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        path: str = scope["path"]
        if path not in self._literal and not self._is_one_of_many(path):
            return None
        chosen = []
        for name, value in scope["headers"]:
            if name in _OWN:
                return None
            if name in (b"accept", b"accept-encoding"):
                chosen.append((name, value))
        return path, scope["query_string"], tuple(chosen)

    def _is_one_of_many(self, path: str) -> bool:
        return path not in self._others and any(pattern.fullmatch(path) for pattern in self._patterns)

    async def _ask(self, key: _Key, scope: Scope, receive: Receive, send: Send) -> None:
        # Of before the rows are read: whatever is committed from here on makes the answer one of the past.
        snapshot = self._snapshots.latest or await self._snapshots.current()
        started: Message | None = None

        async def keep(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                return
            begun, started = started, None
            answer = _whole(begun, message, snapshot)
            if answer is not None:
                self._keep(key, answer)
                await _give(answer, scope, send)
                return
            if begun is not None:
                await send(begun)
            await send(message)

        # Without the caller's condition, or nothing would be remembered of what everybody has.
        unconditional = [pair for pair in scope["headers"] if pair[0] != b"if-none-match"]
        await self.app({**scope, "headers": unconditional}, receive, keep)

    def _keep(self, key: _Key, answer: _Answer) -> None:
        if answer.snapshot is None or len(answer.body) > MAX_ANSWER_BYTES:
            return
        before = self._answers.pop(key, None)
        self._bytes += answer.size(key) - (before.size(key) if before is not None else 0)
        self._answers[key] = answer
        while self._bytes > self._max_bytes:
            oldest, dropped = self._answers.popitem(last=False)
            self._bytes -= dropped.size(oldest)


def _whole(started: Message | None, message: Message, snapshot: Snapshot | None) -> _Answer | None:
    """Return the answer that the two messages are; None where it is a stream, a problem, or has no ETag."""
    if started is None or started["status"] != 200 or message.get("more_body"):
        return None
    tag = next((value for name, value in started["headers"] if name == b"etag"), None)
    return _Answer(started["headers"], message.get("body", b""), tag, snapshot) if tag is not None else None


async def _give(answer: _Answer, scope: Scope, send: Send) -> None:
    given = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    if given and _names(given, answer.tag):
        headers = [pair for pair in answer.headers if pair[0] not in _OF_BODIES]
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
    else:
        # A list of its own: those further out add to it.
        await send({"type": "http.response.start", "status": 200, "headers": list(answer.headers)})
        await send({"type": "http.response.body", "body": answer.body})


def _names(given: bytes, tag: bytes) -> bool:
    """Tell whether If-None-Match names the tag; compared weakly (RFC 9110, section 13.1.2)."""
    return given.strip() == b"*" or any(part.strip().removeprefix(b"W/") == tag for part in given.split(b","))
