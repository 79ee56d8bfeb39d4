"""Programs that may call the API: their scopes, and their secrets of which only hashes are stored."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from .notices import Notice
from .settings import CLIENT_ID_PATTERN
from .tables import client_secrets, clients, server_secrets

SCOPES = ("read", "write", "admin")


class ClientError(Notice):
    """What was asked of a client cannot be done; the text is one line for the operator."""


@dataclass(frozen=True)
class Client:
    """A program that proved who it is."""

    id: str
    scopes: frozenset[str]


@dataclass(frozen=True)
class ClientRow:
    """A client as the operator sees it, without its secrets."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None
    live_secrets: int


def hash_secret(secret: str) -> bytes:
    """Return the SHA-256 of a secret: enough for 256 random bits, which nobody guesses."""
    return hashlib.sha256(secret.encode()).digest()


def authenticate(connection: sa.Connection, client_id: str, secret: str) -> Client | None:
    """Return the client whose id and live secret these are, else None; the comparison takes constant time."""
    given = hash_secret(secret)
    is_live = sa.or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > sa.func.now())
    rows = connection.execute(
        sa.select(clients.c.scopes, client_secrets.c.secret_hash)
        .join_from(clients, client_secrets)
        .where(clients.c.id == client_id, clients.c.revoked_at.is_(None), is_live)
    ).all()
    matches = [hmac.compare_digest(given, bytes(row.secret_hash)) for row in rows]
    return Client(client_id, frozenset(rows[0].scopes)) if any(matches) else None


def add_client(
    connection: sa.Connection, client_id: str, *, name: str, scopes: Sequence[str], secret: str | None = None
) -> str:
    """Store a new client and return its secret, which is shown this once; raises ClientError where the id exists."""
    if re.fullmatch(CLIENT_ID_PATTERN, client_id) is None:
        raise ClientError(
            "an id has 1 to 64 letters, digits, dots, underscores and dashes, and begins with one of the former"
        )
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        raise ClientError(f"scopes are one or more of {', '.join(SCOPES)}")
    added = connection.execute(
        sa.dialects.postgresql.insert(clients)
        .values(id=client_id, name=name, scopes=list(scopes))
        .on_conflict_do_nothing()
        .returning(clients.c.id)
    ).scalar()
    if added is None:
        raise ClientError(f"a client called {client_id} exists")
    secret = secret or secrets.token_urlsafe(32)
    _store_secret(connection, client_id, secret)
    return secret


def ensure_client(connection: sa.Connection, client_id: str, secret: str) -> str | None:
    """Make the client that the settings name, with this secret and all scopes, where there is none of its id.

    Returns what is wrong with one that exists, None where the secret works. It is left as it is: rotated and revoked
    secrets must not come back by a restart.
    """
    row = connection.execute(sa.select(clients.c.revoked_at).where(clients.c.id == client_id)).first()
    if row is None:
        add_client(connection, client_id, name="from CLIENT_ID", scopes=SCOPES, secret=secret)
    elif row.revoked_at is not None:
        return "it is revoked"
    elif authenticate(connection, client_id, secret) is None:
        return "CLIENT_SECRET is not its secret any more"
    return None


def rotate_client(connection: sa.Connection, client_id: str, *, overlap: timedelta) -> str:
    """Return a new secret of the client; the one before stays valid for `overlap`, older ones end now."""
    _require_live(connection, client_id)
    secret = secrets.token_urlsafe(32)
    _replace_secret(connection, client_id, secret, overlap=overlap)
    return secret


def revoke_client(connection: sa.Connection, client_id: str) -> None:
    """Refuse every secret of the client from now on."""
    _require_live(connection, client_id)
    connection.execute(clients.update().where(clients.c.id == client_id).values(revoked_at=sa.func.now()))
    connection.execute(client_secrets.delete().where(client_secrets.c.client_id == client_id))


def list_clients(connection: sa.Connection) -> list[ClientRow]:
    """Return every client, oldest first."""
    live = (
        sa.select(sa.func.count())
        .where(
            client_secrets.c.client_id == clients.c.id,
            sa.or_(client_secrets.c.expires_at.is_(None), client_secrets.c.expires_at > sa.func.now()),
        )
        .scalar_subquery()
    )
    rows = connection.execute(sa.select(clients, live.label("live")).order_by(clients.c.created_at, clients.c.id))
    return [ClientRow(row.id, row.name, tuple(row.scopes), row.created_at, row.revoked_at, row.live) for row in rows]


def server_secret(connection: sa.Connection, name: str) -> bytes:
    """Return the random secret that all processes of this installation share under `name`, made at first use."""
    select = sa.select(server_secrets.c.value).where(server_secrets.c.name == name)
    found: Any = connection.scalar(select)
    # Written only once: a database that takes no writes must still serve reads.
    if found is None:
        statement = sa.dialects.postgresql.insert(server_secrets).values(name=name, value=secrets.token_bytes(32))
        connection.execute(statement.on_conflict_do_nothing())
        found = connection.scalar(select)
    return bytes(found)


def _require_live(connection: sa.Connection, client_id: str) -> None:
    row = connection.execute(sa.select(clients.c.revoked_at).where(clients.c.id == client_id).with_for_update()).first()
    if row is None:
        raise ClientError(f"there is no client called {client_id}")
    if row.revoked_at is not None:
        raise ClientError(f"client {client_id} is revoked")


def _replace_secret(connection: sa.Connection, client_id: str, secret: str, *, overlap: timedelta) -> None:
    newest = (
        sa.select(sa.func.max(client_secrets.c.id)).where(client_secrets.c.client_id == client_id).scalar_subquery()
    )
    connection.execute(
        client_secrets.delete().where(client_secrets.c.client_id == client_id, client_secrets.c.id != newest)
    )
    end = sa.func.least(sa.func.coalesce(client_secrets.c.expires_at, "infinity"), sa.func.now() + overlap)
    connection.execute(client_secrets.update().where(client_secrets.c.client_id == client_id).values(expires_at=end))
    _store_secret(connection, client_id, secret)


def _store_secret(connection: sa.Connection, client_id: str, secret: str) -> None:
    connection.execute(client_secrets.insert().values(client_id=client_id, secret_hash=hash_secret(secret)))
