"""Rows of people, and tokens, as API bodies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from marshmallow import fields

from shelflist.shared.auth import Person
from shelflist.shared.representing import RowSchema
from shelflist.shared.timestamps import Timestamp

from .tokens import Token

Body = dict[str, Any]


class UserSchema(RowSchema):
    """Somebody as anybody may see it."""

    id = fields.String()
    username = fields.String()
    display_name = fields.String()
    bio = fields.String()
    follower_count = fields.Integer()
    following_count = fields.Integer()
    post_count = fields.Integer()
    followed = fields.Boolean()
    created_at = Timestamp()
    updated_at = Timestamp()


class SuggestionSchema(UserSchema):
    """Somebody whom the caller may know."""

    common_count = fields.Integer()


class TokenSchema(RowSchema):
    """A token, shown this once."""

    access_token = fields.String(attribute="value")
    expires_at = Timestamp()


_USER = UserSchema()
_SUGGESTION = SuggestionSchema()
_TOKEN = TokenSchema()


def user(row: sa.Row[Any], viewer: Person | None) -> Body:
    """Return somebody; to oneself with the e-mail address."""
    return own_user(row) if viewer is not None and viewer.id == row.id else dict(_USER.dump(row))


def own_user(row: sa.Row[Any]) -> Body:
    """Return somebody as only the person itself may see it."""
    return {**_USER.dump(row), "followed": None, "email": row.email}


def users(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return people as lists show them."""
    return list(_USER.dump(rows, many=True))


def suggestions(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return people whom the caller may know."""
    return list(_SUGGESTION.dump(rows, many=True))


def token(issued: Token) -> Body:
    """Return a token as OAuth does (RFC 6749, section 5.1), but with a moment in place of seconds."""
    return {"token_type": "bearer", **_TOKEN.dump(issued)}
