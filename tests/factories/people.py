"""People as tests need them: made directly in the database, with a password whose hash costs nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from shelflist.images.people.tables import follows, users
from shelflist.shared.folding import fold

PASSWORD = "correct horse battery"
"""The password of everybody who is made here."""


def add_person(connection: sa.Connection, username: str = "anna", **values: Any) -> str:
    """Store a person and return the id; that of the person there is where the name is taken."""
    row = {
        "id": str(uuid7()),
        "username": username,
        "email": f"{username}@example.org",
        "password_hash": cheap_hash(),
        "search_key": fold(f"{username} {values.get('display_name') or ''}"),
        **values,
    }
    connection.execute(insert(users).values(row).on_conflict_do_nothing())
    return str(connection.scalar(sa.select(users.c.id).where(users.c.username_key == username.lower())))


@cache
def cheap_hash() -> str:
    """Return a hash of PASSWORD that holds its own parameters, so that checking it is cheap as well."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def add_follows(connection: sa.Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Store who follows whom, (follower's id, followed one's id), each a second after the one before."""
    start = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    rows = [
        {"follower_id": follower, "followee_id": followee, "created_at": start + timedelta(seconds=number)}
        for number, (follower, followee) in enumerate(pairs)
    ]
    connection.execute(follows.insert(), rows)
