"""Paths and methods: what exists, what it may be asked, and HEAD and OPTIONS for all of it."""

import re
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shelflist.shared.problems import MethodNotAllowed, NotFound
from shelflist.shared.responses import HEAD

from .asgi import answer, answer_problem

_PLACEHOLDER = re.compile(r"\{[^}]+\}")


class HeadAsGet:
    """Asks the inner layers for GET where the caller said HEAD, and sends their headers without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", "extensions": {**scope.get("extensions", {}), HEAD: True}}
            send = _without_body(send)
        await self.app(scope, receive, send)


class Routes:
    """Answers unknown paths and methods itself, and OPTIONS from the table.

    Connexion would redirect a trailing slash to whatever the Host header says, and knows no Allow.
    """

    def __init__(self, app: ASGIApp, *, methods: Mapping[str, Iterable[str]], page_prefixes: tuple[str, ...]) -> None:
        self.app = app
        self.page_prefixes = page_prefixes
        self.literal = {path: _allowed(names) for path, names in methods.items() if "{" not in path}
        self.templates = [(path_pattern(path), _allowed(names)) for path, names in methods.items() if "{" in path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        allowed = self._allowed(scope["path"])
        method = "HEAD" if scope.get("extensions", {}).get(HEAD) else scope["method"]
        if allowed is None and f"{scope['path']}/" in self.page_prefixes:
            await answer(send, 308, [(b"location", f"{scope['path']}/".encode())])
        elif allowed is None:
            await answer_problem(send, NotFound(f"there is nothing at {scope['path'][:200]}"))
        elif method == "OPTIONS":
            await answer(send, 204, [(b"allow", ", ".join(allowed).encode())])
        elif method not in allowed:
            problem = MethodNotAllowed(
                f"{method[:20]} is not a method of this path", headers={"Allow": ", ".join(allowed)}
            )
            await answer_problem(send, problem)
        else:
            await self.app(scope, receive, send)

    def _allowed(self, path: str) -> tuple[str, ...] | None:
        if path in self.literal:
            return self.literal[path]
        if path.startswith(self.page_prefixes):
            return ("GET", "HEAD", "OPTIONS")
        return next((allowed for pattern, allowed in self.templates if pattern.fullmatch(path)), None)


def _allowed(names: Iterable[str]) -> tuple[str, ...]:
    methods = {name.upper() for name in names} | {"OPTIONS"}
    return tuple(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def path_pattern(path: str) -> re.Pattern[str]:
    """Return what matches the paths of a template such as /movies/{movie_id}, with a group for each placeholder."""
    parts = [re.escape(part) for part in _PLACEHOLDER.split(path)]
    return re.compile("([^/]+)".join(parts))


def _without_body(send: Send) -> Send:
    async def headers_only(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headers_only
