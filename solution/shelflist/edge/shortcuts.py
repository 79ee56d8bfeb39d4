"""Shorter ways through Connexion: the one place that touches its private parts, and those of Flask and a2wsgi under it.

Connexion's own way parses each request three times, tries every route in turn, inspects the handler's signature for
each call and crosses between threads four times. What is done instead:

- `Documentation` asks the router of Swagger UI only below its own path.
- `Routing` finds the operation in a table.
- `Security` asks nobody about a request without credentials, where the operation takes strangers.
- `Validation` reads no media type where there is no body. `ParameterValidators` and the bodies' validator (both by
  Connexion's public `validator_map`) leave the handler's arguments in the scope, once they are checked.
- `Handlers` runs the handler in Flask's request context, without sessions, signals and functions to be called at its
  end, of which there are none; on the event loop or in one thread; and takes its answer over whole.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import connexion
import flask
from a2wsgi.wsgi import Body, build_environ
from connexion.decorators.parameter import pythonic
from connexion.middleware.abstract import ROUTING_CONTEXT
from connexion.middleware.request_validation import (
    RequestValidationAPI,
    RequestValidationMiddleware,
    RequestValidationOperation,
)
from connexion.middleware.routing import RoutingAPI, RoutingMiddleware
from connexion.middleware.security import SecurityAPI, SecurityMiddleware, SecurityOperation
from connexion.middleware.swagger_ui import SwaggerUIMiddleware
from connexion.resolver import Resolver
from flask.ctx import RequestContext
from flask.globals import _cv_app, _cv_request
from flask.typing import ResponseReturnValue
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send
from werkzeug.exceptions import HTTPException as WSGIHTTPException

from shelflist.shared.batching import NeedsThread
from shelflist.shared.capacity import THREADS
from shelflist.shared.database import is_connection_lost
from shelflist.shared.event_loop import LoopConnection, may_run_on_event_loop, run_on_event_loop
from shelflist.shared.responses import WholeAnswer

from .parameters import ARGUMENTS, Parameters
from .routes import path_pattern
from .streams import WholeAnswers

MADE_FOR = {"connexion": "3.3.0", "a2wsgi": "1.10.10", "flask": "3.1.3"}
"""The versions whose private parts these are; a test fails where others are installed."""

_CREDENTIALS = frozenset((b"client-id", b"client-secret", b"authorization"))
_OF_CALLER = ("user", "token_info")
_ACCEPTS_NOBODY: dict[str, Any] = {"user": None, "token_info": {}}


class Documentation(SwaggerUIMiddleware):  # type: ignore[misc]
    """Swagger UI, which no other path has to do with; its files come in pieces."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self._pages = WholeAnswers(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_below = scope["type"] == "http" and scope["path"].startswith("/docs")
        await (self._pages if is_below else self.app)(scope, receive, send)


class _RouteTable(RoutingAPI):  # type: ignore[misc]
    """What Connexion would tell Starlette's router, as a table."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.literal: dict[tuple[str, str], str] = {}
        self.templates: list[tuple[str, Any, list[str], str]] = []
        super().__init__(*args, **kwargs)

    @staticmethod
    def _framework_path_and_name(operation: Any, path: str) -> tuple[str, str]:  # noqa: ARG004 - the base's
        return path, path

    def _add_operation_internal(self, method: str, path: str, operation: Any, name: str | None = None) -> None:  # noqa: ARG002 - the base's
        if "{" in path:
            names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
            self.templates.append((method.upper(), path_pattern(path), names, operation.operation_id))
        else:
            self.literal[method.upper(), path] = operation.operation_id

    def find(self, method: str, path: str) -> tuple[str | None, dict[str, str]]:
        """Return the operation and the parameters in its path; None where there is none."""
        operation_id = self.literal.get((method, path))
        if operation_id is not None:
            return operation_id, {}
        for its_method, pattern, names, operation_id in self.templates:
            if its_method == method and (match := pattern.fullmatch(path)):
                return operation_id, dict(zip(names, match.groups(), strict=True))
        return None, {}


class Routing(RoutingMiddleware):  # type: ignore[misc]
    """Tells the operation of a request as Connexion's own does, without asking every route in turn."""

    def add_api(self, specification: Any, base_path: str | None = None, **kwargs: Any) -> None:
        """Take the API, one alone."""
        self._table = _RouteTable(specification, base_path=base_path, next_app=self.app, **kwargs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            operation_id, scope["path_params"] = self._table.find(scope["method"], scope["path"])
            routed = {"api_base_path": self._table.base_path, "operation_id": operation_id}
            scope["extensions"] = {**scope.get("extensions", {}), ROUTING_CONTEXT: routed}
        await self.app(scope, receive, send)


class _Security(SecurityOperation):  # type: ignore[misc]
    """Asks for proofs only where there are any, or where strangers are not let in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._takes_strangers = {} in (self.security or ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._takes_strangers and not any(name in _CREDENTIALS for name, _ in scope["headers"]):
            scope["extensions"]["connexion_context"] = dict(_ACCEPTS_NOBODY)
            await self.next_app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _SecurityAPI(SecurityAPI):  # type: ignore[misc]
    def make_operation(self, operation: Any) -> SecurityOperation:
        """Return the check of one operation."""
        return _Security.from_operation(
            operation, next_app=self.next_app, security_handler_factory=self.security_handler_factory
        )


class Security(SecurityMiddleware):  # type: ignore[misc]
    """Connexion's own, with shorter checks."""

    api_cls = _SecurityAPI


class _Validation(RequestValidationOperation):  # type: ignore[misc]
    """Checks the parameters alone where an operation takes no body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._operation.request_body:
            await super().__call__(scope, receive, send)
        else:
            self._validator_map["parameter"](self._operation.parameters).validate(scope)
            await self.next_app(scope, receive, send)


class _ValidationAPI(RequestValidationAPI):  # type: ignore[misc]
    def make_operation(self, operation: Any) -> RequestValidationOperation:
        """Return the check of one operation."""
        return _Validation(
            self.next_app,
            operation=operation,
            strict_validation=self.strict_validation,
            validator_map=self.validator_map,
        )


class Validation(RequestValidationMiddleware):  # type: ignore[misc]
    """Connexion's own, with shorter checks."""

    api_cls = _ValidationAPI


def middlewares(authorization: Callable[[ASGIApp], ASGIApp]) -> list[Any]:
    """Return what stands between the edge and the handlers; `authorization` knows who calls, and what."""
    # Not by Connexion's positions: it looks for its own classes, and leaves out what it finds no place for.
    # What they raise is answered by the edge.
    return [Documentation, Routing, Security, authorization, Validation]


class ParameterValidators:
    """What Connexion's `validator_map` wants for parameters: makes one validator for each operation, once."""

    def __init__(self) -> None:
        self._made: dict[int, _ParameterValidator] = {}

    def __call__(self, parameters: list[dict[str, Any]], **_: Any) -> "_ParameterValidator":
        made = self._made.get(id(parameters))
        if made is None:
            made = self._made[id(parameters)] = _ParameterValidator(parameters)
        return made


class _ParameterValidator:
    def __init__(self, definitions: list[dict[str, Any]]) -> None:
        # Kept, so that no other list gets its id.
        self._definitions = definitions
        self._parameters = Parameters(definitions, pythonic)

    def validate(self, scope: Scope) -> None:
        """Leave the arguments in the scope; raises InvalidRequest."""
        scope["extensions"][ARGUMENTS] = self._parameters.read(scope)


class NoURIParser:
    """Stands for the parser that Connexion makes for each request and that nothing here asks."""

    def __init__(self, *_: Any) -> None:
        pass


@dataclass(frozen=True)
class _Handler:
    """A handler, and which arguments it takes."""

    function: Callable[..., ResponseReturnValue]
    names: frozenset[str]
    takes_all: bool
    may_run_on_event_loop: bool

    @classmethod
    def of(cls, function: Callable[..., ResponseReturnValue]) -> "_Handler":
        parameters = inspect.signature(inspect.unwrap(function)).parameters
        takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        return cls(function, frozenset(parameters), takes_all, may_run_on_event_loop(function))

    def __call__(self, arguments: dict[str, Any]) -> ResponseReturnValue:
        if not self.takes_all:
            arguments = {name: value for name, value in arguments.items() if name in self.names}
        return self.function(**arguments)


@dataclass(frozen=True)
class _Answer:
    """What a handler has answered; `chunks` is all of it, or what is still to be read."""

    status: int
    headers: list[tuple[bytes, bytes]]
    chunks: Any
    is_whole: bool


class Handlers:
    """Runs the handlers in Flask's request context, and sends what they answer.

    Those that may run on the event loop do as far as they can. All others have a thread while they run and while a
    piece of a long answer is read, not while its reader takes it.
    """

    def __init__(self, flask_app: flask.Flask, resolver: Resolver, connection: LoopConnection) -> None:
        self._flask = flask_app
        self._connection = connection
        # The operation is known, and nothing asks for addresses of others.
        flask_app.create_url_adapter = _no_url_adapter  # type: ignore[assignment, method-assign]
        # Flask-SQLAlchemy's end of a session: handlers use connections.
        flask_app.teardown_appcontext_funcs.clear()
        self._resolver = resolver
        self._known: dict[str, _Handler] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="handler")

    @classmethod
    def take_over(cls, app: connexion.FlaskApp, resolver: Resolver, connection: LoopConnection) -> None:
        """Let the handlers of `app` be called this way; before anything is asked of it."""
        app._middleware_app.asgi_app = cls(app.app, resolver, connection)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            self._connection.pool.close()
            return
        extensions = scope["extensions"]
        operation_id = extensions[ROUTING_CONTEXT]["operation_id"]
        if operation_id is None:
            raise HTTPException(404)
        handler = self._handler(operation_id)
        context = extensions.get("connexion_context", {})
        # What else stands there is between the layers: a handler that takes everything must not take it for a filter.
        arguments = extensions[ARGUMENTS] | {name: context[name] for name in _OF_CALLER if name in context}
        loop = asyncio.get_running_loop()
        # What comes with a GET means nothing, and reading it would wait for the event loop.
        body: Any = BytesIO() if scope["method"] == "GET" else Body(loop, receive)  # type: ignore[arg-type]
        environ: Any = build_environ(scope, body)  # type: ignore[arg-type]
        answer = await self._answer_on_loop(handler, arguments, environ)
        context_run: Any = contextvars.copy_context().run
        run: Callable[..., Awaitable[Any]] = partial(loop.run_in_executor, self._threads, context_run)
        if answer is None:
            answer = await run(self._answer, handler, arguments, environ)
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        if answer.is_whole:
            await send(start)
            await send({"type": "http.response.body", "body": answer.chunks})
            return
        try:
            await send(start)
            while (chunk := await run(next, answer.chunks, None)) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await asyncio.shield(run(answer.chunks.close))

    def _handler(self, operation_id: str) -> _Handler:
        known = self._known.get(operation_id)
        if known is None:
            function = self._resolver.resolve_function_from_operation_id(operation_id)
            known = self._known[operation_id] = _Handler.of(function)
        return known

    async def _answer_on_loop(self, handler: _Handler, arguments: dict[str, Any], environ: Any) -> _Answer | None:
        """Return the answer of a handler that needs no thread; None where it does, and has done nothing yet."""
        if not handler.may_run_on_event_loop or not self._connection.pool.is_ready():
            return None
        try:
            return await run_on_event_loop(self._connection, partial(self._answer_once, handler, arguments, environ))
        except NeedsThread:
            return None

    def _answer(self, handler: _Handler, arguments: dict[str, Any], environ: Any) -> _Answer:
        try:
            return self._answer_once(handler, arguments, environ)
        except Exception as error:
            # Where the server restarts or ends the session just now, a read is done again on a new connection.
            if environ["REQUEST_METHOD"] != "GET" or not is_connection_lost(error):
                raise
            return self._answer_once(handler, arguments, environ)

    def _answer_once(self, handler: _Handler, arguments: dict[str, Any], environ: Any) -> _Answer:
        with _FlaskContext(self._flask, environ):
            try:
                returned = handler(arguments)
            except WSGIHTTPException as error:
                raise HTTPException(error.code or 500, detail=error.description or "") from error
            if isinstance(returned, WholeAnswer):
                length = [] if returned.status == 304 else [(b"content-length", str(len(returned.body)).encode())]
                return _Answer(returned.status, [*_encoded(returned.headers), *length], returned.body, is_whole=True)
            response = self._flask.make_response(returned)
            chunks, status, headers = response.get_wsgi_response(environ)
            is_whole = response.is_sequence
            whole = b"".join(chunks) if is_whole else iter(chunks)
            if is_whole:
                response.close()
        return _Answer(int(status[:3]), _encoded(headers), whole, is_whole)


class _FlaskContext:
    """What handlers know the application and the request by."""

    def __init__(self, app: flask.Flask, environ: Any) -> None:
        self._app = app.app_context()
        self._request = RequestContext(app, environ)

    def __enter__(self) -> None:
        self._tokens = _cv_app.set(self._app), _cv_request.set(self._request)

    def __exit__(self, *_: object) -> None:
        of_app, of_request = self._tokens
        _cv_request.reset(of_request)
        _cv_app.reset(of_app)
        # Each refers to the other.
        self._request.request.environ["werkzeug.request"] = None


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _no_url_adapter(_request: flask.Request | None) -> None:
    """Keep Flask from finding the route once more."""


async def _live(receive: Receive, send: Send) -> None:
    """Tell the server that there is nothing to prepare and nothing to end."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
