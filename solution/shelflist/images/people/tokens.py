"""Tokens that prove a person: 256 random bits, of which only the SHA-256 is stored, until they end or are revoked."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from shelflist.shared.auth import Person
from shelflist.shared.clients import hash_secret

from .tables import access_tokens, users

_REMOVED_AT_ONCE = 100


@dataclass(frozen=True)
class Token:
    """A token as it is shown this one time, and when it ends."""

    value: str
    expires_at: datetime


def issue_token(connection: sa.Connection, user_id: str, *, days: int) -> Token:
    """Store a new token of the person, and remove some of those, of anybody, that are past their time."""
    value = secrets.token_urlsafe(32)
    # Those that others remove at this moment are left to them: nobody waits here while a person is locked.
    ended = sa.select(access_tokens.c.token_hash).where(access_tokens.c.expires_at <= sa.func.now())
    ended = ended.limit(_REMOVED_AT_ONCE).with_for_update(skip_locked=True)
    connection.execute(access_tokens.delete().where(access_tokens.c.token_hash.in_(ended)))
    statement = access_tokens.insert().values(
        token_hash=hash_secret(value), user_id=user_id, expires_at=sa.func.now() + timedelta(days=days)
    )
    expires_at = connection.execute(statement.returning(access_tokens.c.expires_at)).scalar_one()
    return Token(value, expires_at)


def authenticate_person(connection: sa.Connection, token: str) -> Person | None:
    """Return whose live token this is, else None.

    Found by its hash, of which a caller who guesses learns nothing from the time that the look-up takes.
    """
    row = connection.execute(
        sa.select(users.c.id, users.c.username)
        .join_from(access_tokens, users)
        .where(access_tokens.c.token_hash == hash_secret(token), access_tokens.c.expires_at > sa.func.now())
    ).first()
    return Person(row.id, row.username) if row is not None else None


def revoke_token(connection: sa.Connection, token: str) -> None:
    """End the token at once."""
    connection.execute(access_tokens.delete().where(access_tokens.c.token_hash == hash_secret(token)))


def revoke_tokens(connection: sa.Connection, user_id: str, *, but: str | None = None) -> None:
    """End all tokens of the person, except for the one in `but`."""
    ended = access_tokens.delete().where(access_tokens.c.user_id == user_id)
    if but is not None:
        ended = ended.where(access_tokens.c.token_hash != hash_secret(but))
    connection.execute(ended)
