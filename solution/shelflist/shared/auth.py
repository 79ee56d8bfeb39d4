"""Who is calling: Connexion's security checks of programs and of people, and the scopes of each operation."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from connexion.lifecycle import ConnexionRequest
from connexion.security import NO_VALUE, AbstractSecurityHandler
from starlette.types import ASGIApp, Receive, Scope, Send

from .clients import Client, authenticate
from .database import autocommitting
from .problems import InvalidToken, MissingScope, Unauthorized

_CHECKED = "shelflist.caller"
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,256})", re.IGNORECASE)


@dataclass(frozen=True)
class Person:
    """A person who proved who it is by a token."""

    id: str
    username: str


_OUTCOME = Client | Person | Exception


def person_of(user: object) -> Person | None:
    """Return the person who calls; None where it is a program, or nobody that we know.

    `user` is what Connexion gives handlers: a Person, the id of a client, or None.
    """
    return user if isinstance(user, Person) else None


def bearer_security(
    engine: sa.Engine, authenticate_person: Callable[[sa.Connection, str], Person | None]
) -> Callable[[], AbstractSecurityHandler]:
    """Return what Connexion calls for `Authorization: Bearer` (RFC 6750)."""

    def look_up(token: str) -> Person | None:
        with autocommitting(engine) as connection:
            return authenticate_person(connection, token)

    class BearerSecurity(AbstractSecurityHandler):  # type: ignore[misc]
        """Proves a person by a token; any other scheme counts as none."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Any:  # noqa: ARG002
            async def verify(request: ConnexionRequest) -> Any:
                given = request.headers.get("authorization")
                if given is None or given.partition(" ")[0].lower() != "bearer":
                    return NO_VALUE
                token = _BEARER.fullmatch(given.strip())
                try:
                    person = await asyncio.to_thread(look_up, token[1]) if token else None
                    request.context[_CHECKED] = person or InvalidToken()
                except Exception as error:
                    # Raised behind the check: Connexion would go on to the next alternative, a stranger even.
                    request.context[_CHECKED] = error
                return {"outcome": request.context[_CHECKED]}

            return verify

    return BearerSecurity


def client_security(engine: sa.Engine) -> Callable[[], AbstractSecurityHandler]:
    """Return what Connexion calls for each apiKey scheme of a requirement (its `security_map`)."""

    class ClientSecurity(AbstractSecurityHandler):  # type: ignore[misc]
        """Proves a client by both headers at once; OpenAPI demands the two schemes together."""

        def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Any:  # noqa: ARG002
            async def verify(request: ConnexionRequest) -> Any:
                client_id, secret = request.headers.get("client-id"), request.headers.get("client-secret")
                if client_id is None and secret is None:
                    return NO_VALUE
                return {"outcome": await _authenticate_once(engine, request, client_id, secret)}

            return verify

    return ClientSecurity


async def _authenticate_once(
    engine: sa.Engine, request: ConnexionRequest, client_id: str | None, secret: str | None
) -> _OUTCOME:
    # Connexion asks once for each of the two schemes.
    if _CHECKED not in request.context:
        request.context[_CHECKED] = await _authenticate(engine, client_id, secret)
    outcome: _OUTCOME = request.context[_CHECKED]
    return outcome


async def _authenticate(engine: sa.Engine, client_id: str | None, secret: str | None) -> _OUTCOME:
    if not client_id or not secret:
        return Unauthorized("client-id and client-secret go together")
    if not (client_id.isascii() and client_id.isprintable() and len(client_id) <= 64):
        return Unauthorized("client-id or client-secret is wrong")

    def look_up() -> Client | None:
        with autocommitting(engine) as connection:
            return authenticate(connection, client_id, secret)

    try:
        client = await asyncio.to_thread(look_up)
    except Exception as error:
        # Raised behind the check: Connexion would go on to the next alternative, a stranger even.
        return error
    return client or Unauthorized("client-id or client-secret is wrong")


class Authorization:
    """ASGI middleware behind Connexion's security check: refuses bad credentials and missing scopes.

    The check itself cannot refuse on operations that anybody may call: Connexion takes a failed alternative as
    "not this one" and goes on to the anonymous one.
    """

    def __init__(self, app: ASGIApp, *, scopes: dict[str, str]) -> None:
        self.app = app
        self.scopes = scopes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            extensions = scope.get("extensions", {})
            context = extensions.get("connexion_context", {})
            outcome = context.get(_CHECKED)
            if isinstance(outcome, Exception):
                raise outcome
            if isinstance(outcome, Person):
                context["user"] = outcome
            if isinstance(outcome, Client):
                self._check_scope(extensions.get("connexion_routing", {}).get("operation_id"), outcome)
                context["user"] = outcome.id
        await self.app(scope, receive, send)

    def _check_scope(self, operation_id: str | None, client: Client) -> None:
        needed = self.scopes.get(operation_id or "")
        if needed is not None and needed not in client.scopes:
            raise MissingScope(f"this operation needs the scope {needed}")
