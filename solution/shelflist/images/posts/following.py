"""The posts of those whom a person follows, at the same cost at any depth, however many they are and have posted."""

from typing import Any

import sqlalchemy as sa

from shelflist.shared.paging import Keyset, Page, Position

from ..people.tables import follows
from .queries import SORTS, read_page
from .tables import posts

DENSE = 10
"""How many posts of everybody are looked at for each of a page, before the people are looked at one by one."""


def list_following(
    connection: sa.Connection, person_id: str, *, desc: bool, after: Position | None, page_size: int
) -> Page:
    """Return the page of posts behind `after`, by time, of those whom the person follows.

    Where they post much of what is posted, the page is among the next posts of everybody. Elsewhere, only the
    page_size + 1 people whose next post stands first can have a post on the page: each of them has one that
    stands before all posts of everybody else. So one step along the index for each whom the person follows finds these
    people, and a page of each of them holds the page of all.
    """
    keyset = Keyset(SORTS["created_at"], posts.c.id, desc)
    limit = page_size + 1
    page = read_page(connection, keyset, _among_all(keyset, person_id, after, limit), page_size)
    if page.next is not None:
        return page
    followed = sa.select(follows.c.followee_id).where(follows.c.follower_id == person_id).subquery("followed")
    nearest = _merged(keyset, followed, after, each=1, limit=limit).subquery("nearest")
    return read_page(connection, keyset, _merged(keyset, nearest, after, each=limit, limit=limit), page_size)


def _among_all(keyset: Keyset, person_id: str, after: Position | None, limit: int) -> sa.Select[Any]:
    """Return those of the next posts of everybody that are of people whom the person follows, `limit` at most."""
    walk = keyset.walk(sa.select(posts.c.user_id), after, DENSE * limit).subquery("walk")
    is_followed = sa.exists().where(follows.c.follower_id == person_id, follows.c.followee_id == walk.c.user_id)
    found: sa.Select[Any] = sa.select(walk.c.page_key, walk.c.page_id).where(is_followed)
    return found.order_by(*keyset.order(walk.c.page_key, walk.c.page_id)).limit(limit)


def _merged(keyset: Keyset, people: sa.Subquery, after: Position | None, *, each: int, limit: int) -> sa.Select[Any]:
    """Return the first `limit` of the next `each` posts of all these people, in the order of the keyset."""
    own: sa.Select[Any] = sa.select().where(posts.c.user_id == people.c.followee_id)
    walk = keyset.walk(own.correlate(people), after, each).lateral("walk")
    columns = (people.c.followee_id, walk.c.page_key, walk.c.page_id)
    merged: sa.Select[Any] = sa.select(*columns).select_from(people.join(walk, sa.true()))
    return merged.order_by(*keyset.order(walk.c.page_key, walk.c.page_id)).limit(limit)
