"""Paths and methods: what exists, what it may be asked, and HEAD and OPTIONS for all of it."""

import re
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..problems import InvalidRequest, MethodNotAllowed, NotFound
from .asgi import answer, answer_problem

PAGES = "/docs/"
"""Where answers are pages with scripts of ours, not data."""
MAX_HEADER_BYTES = 32_768


class RouteTable:
    """The paths of the spec, by which requests are answered and counted."""

    def __init__(self, methods: Mapping[str, Iterable[str]], *, has_docs: bool) -> None:
        self._methods = {path: _allowed(names) for path, names in methods.items()}
        self._patterns = {re.compile(re.sub(r"\\\{[^}]+\}", "[^/]+", re.escape(path))): path for path in methods}
        self._has_docs = has_docs

    def template(self, path: str) -> str | None:
        """Return the spec's path that a request's path matches; None where there is none."""
        if path.startswith(PAGES) and self._has_docs:
            return PAGES
        if path in self._methods:
            return path
        return next((template for pattern, template in self._patterns.items() if pattern.fullmatch(path)), None)

    def methods(self, template: str) -> tuple[str, ...]:
        """Return what may be asked of one of the paths."""
        return self._methods.get(template, ("GET", "HEAD", "OPTIONS"))


class Routes:
    """Answers unknown paths and methods, and OPTIONS; asks for GET where the caller said HEAD.

    Connexion knows no HEAD and no OPTIONS, and would redirect a trailing slash to whatever the header Host says.
    """

    def __init__(self, app: ASGIApp, *, table: RouteTable) -> None:
        self.app = app
        self.table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            send = _without_body(send)
        path = scope["path"]
        template = self.table.template(path)
        if _head_bytes(scope) > MAX_HEADER_BYTES:
            await answer_problem(send, InvalidRequest(f"the head has more than {MAX_HEADER_BYTES} bytes"))
        elif f"{path}/" == PAGES and self.table.template(PAGES):
            await answer(send, 308, [(b"location", PAGES.encode())])
        elif template is None:
            await answer_problem(send, NotFound(f"there is nothing at {path[:200]}"))
        else:
            await self._ask(self.table.methods(template), scope, receive, send)

    async def _ask(self, allowed: tuple[str, ...], scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method not in allowed:
            detail = f"{method[:20]} is not a method of this path"
            await answer_problem(send, MethodNotAllowed(detail, headers={"Allow": ", ".join(allowed)}))
        elif method == "OPTIONS":
            await answer(send, 204, [(b"allow", ", ".join(allowed).encode())])
        else:
            await self.app({**scope, "method": "GET"} if method == "HEAD" else scope, receive, send)


def _allowed(names: Iterable[str]) -> tuple[str, ...]:
    methods = {name.upper() for name in names} | {"OPTIONS"}
    return tuple(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _head_bytes(scope: Scope) -> int:
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _without_body(send: Send) -> Send:
    async def headers_only(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return headers_only
