"""Every write of posts, of their likes and of their links, one transaction each.

Each locks first the person who acts, then the image, then the post, as all acts of people do: acts that meet wait for
each other one after the other, never in a ring.
"""

import secrets
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from shelflist.shared.problems import NotFound

from ..people.queries import lock_person
from ..problems import NotYours
from ..tables import images
from .queries import get_link_id, get_post, no_post
from .rules import caption_of, shown_by
from .tables import likes, post_links, posts
from .terms import index_new_post

LINK_BYTES = 16
"""Random bytes of the id of a link: 128 bits, which nobody guesses."""


def add_post(connection: sa.Connection, person_id: str, body: Mapping[str, Any]) -> sa.Row[Any]:
    """Store a post and return it; raises InvalidRequest, Unprocessable, and NotFound for an image of somebody else."""
    post_id, caption, shown = str(uuid7()), caption_of(body.get("caption")), shown_by(body)
    lock_person(connection, person_id)
    if "image_id" in shown:
        _lock_own_image(connection, shown["image_id"], person_id)
    connection.execute(posts.insert().values(id=post_id, user_id=person_id, caption=caption, **shown))
    if "image_id" in shown:
        index_new_post(connection, post_id, shown["image_id"])
    return get_post(connection, post_id)


def change_post(connection: sa.Connection, post_id: str, person_id: str, body: Mapping[str, Any]) -> sa.Row[Any]:
    """Change the caption and return the post; raises NotFound, NotYours, Unprocessable."""
    caption = caption_of(body["caption"])
    _lock_own(connection, post_id, person_id)
    values = {"caption": caption, "updated_at": sa.func.clock_timestamp()}
    connection.execute(posts.update().where(posts.c.id == post_id).values(**values))
    return get_post(connection, post_id)


def delete_post(connection: sa.Connection, post_id: str, person_id: str) -> None:
    """Remove a post with its likes and its link; its image stays. Raises NotFound, NotYours."""
    _check_owner(get_post(connection, post_id), person_id)
    lock_person(connection, person_id)
    # The image as well: whoever finds posts by what is on it holds it, and writes rows of the post.
    shown = sa.select(posts.c.image_id).where(posts.c.id == post_id).scalar_subquery()
    connection.execute(sa.select(images.c.id).where(images.c.id == shown).with_for_update(key_share=True))
    if connection.execute(posts.delete().where(posts.c.id == post_id)).rowcount == 0:
        raise no_post(post_id)


def like(connection: sa.Connection, post_id: str, person_id: str) -> None:
    """Let the person like the post, who may do so already; raises NotFound."""
    lock_person(connection, person_id)
    _lock(connection, post_id)
    connection.execute(insert(likes).values(post_id=post_id, user_id=person_id).on_conflict_do_nothing())


def unlike(connection: sa.Connection, post_id: str, person_id: str) -> None:
    """Take the person's like back, if there is one; raises NotFound."""
    lock_person(connection, person_id)
    _lock(connection, post_id)
    connection.execute(likes.delete().where(likes.c.post_id == post_id, likes.c.user_id == person_id))


def add_link(connection: sa.Connection, post_id: str, person_id: str) -> tuple[str, bool]:
    """Return the id of the post's link, and whether it is new; raises NotFound, NotYours."""
    _lock_own(connection, post_id, person_id)
    known = get_link_id(connection, post_id)
    if known is not None:
        return known, False
    link_id = secrets.token_urlsafe(LINK_BYTES)
    connection.execute(post_links.insert().values(link_id=link_id, post_id=post_id))
    return link_id, True


def delete_link(connection: sa.Connection, post_id: str, person_id: str) -> None:
    """Revoke the post's link, if there is one, for ever; raises NotFound, NotYours."""
    _lock_own(connection, post_id, person_id)
    connection.execute(post_links.delete().where(post_links.c.post_id == post_id))


def _lock_own_image(connection: sa.Connection, image_id: str, person_id: str) -> None:
    own = sa.select(images.c.id).where(images.c.id == image_id, images.c.owner_id == person_id)
    if connection.execute(own.with_for_update(key_share=True)).first() is None:
        raise NotFound(f"you have no image {image_id}")


def _lock_own(connection: sa.Connection, post_id: str, person_id: str) -> None:
    """Lock the person and then the post, which must be the person's own."""
    _check_owner(get_post(connection, post_id), person_id)
    lock_person(connection, person_id)
    _lock(connection, post_id)


def _lock(connection: sa.Connection, post_id: str) -> None:
    wanted = sa.select(posts.c.id).where(posts.c.id == post_id)
    if connection.execute(wanted.with_for_update(key_share=True)).first() is None:
        raise no_post(post_id)


def _check_owner(row: sa.Row[Any], person_id: str) -> None:
    # Who made a post never changes, so this needs no lock.
    if row.user_id != person_id:
        raise NotYours("only who made a post may change it")
