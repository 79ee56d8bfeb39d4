"""Posts for tests, with what they do not care about filled in."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from uuid6 import uuid7

from shelflist.images.people.tables import users
from shelflist.images.posts.tables import likes, posts
from shelflist.images.posts.terms import index_posts
from tests.factories.images import add_image
from tests.factories.people import add_person
from tests.fixtures.api import Api

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
LINK = "https://example.org/coffee.jpg"
"""An image that lies elsewhere."""


def add_image_of(connection: sa.Connection, username: str = "anna", labels: Mapping[str, float] | None = None) -> str:
    """Store an image of a person, made where there is none, with what the model sees on it; return its id."""
    seen = None if labels is None else [{"class_name": name, "score": score} for name, score in labels.items()]
    return add_image(connection, add_person(connection, username), seed=uuid7(), labels=seen)


def add_posts(connection: sa.Connection, rows: Iterable[Mapping[str, Any]], username: str = "anna") -> list[str]:
    """Store posts of a person, made where there is none, and what they are found by; return their ids."""
    user_id, ids = add_person(connection, username), []
    for row in rows:
        shown = {} if "image_id" in row else {"image_url": LINK}
        values = {"id": str(uuid7()), "user_id": user_id, **shown, **row}
        connection.execute(posts.insert().values(values))
        ids.append(str(values["id"]))
    index_posts(connection, [row["image_id"] for row in rows if "image_id" in row])
    return ids


def add_likes(connection: sa.Connection, post_id: str, usernames: Iterable[str]) -> None:
    """Let these people, made where there are none, like the post."""
    for username in usernames:
        connection.execute(likes.insert().values(post_id=post_id, user_id=add_person(connection, username)))


def posted(api: Api, *captions: str, username: str = "anna", **values: Any) -> list[str]:
    """Store a post with each caption and return their ids."""
    with api.engine.begin() as connection:
        return add_posts(connection, [{"caption": caption, **values} for caption in captions], username)


def check_counts(api: Api) -> None:
    """Fail unless every count of the database equals the rows that it counts."""
    liked = sa.select(sa.func.count()).where(likes.c.post_id == posts.c.id).scalar_subquery()
    made = sa.select(sa.func.count()).where(posts.c.user_id == users.c.id).scalar_subquery()
    with api.engine.connect() as connection:
        assert connection.execute(sa.select(posts.c.id).where(posts.c.like_count != liked)).all() == []
        assert connection.execute(sa.select(users.c.username).where(users.c.post_count != made)).all() == []
