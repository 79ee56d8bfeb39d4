"""Every SELECT of posts, of their likes and of their links; the feed of those whom one follows is in following.py."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shelflist.shared.paging import Keyset, Page, Position, Sort, page_of
from shelflist.shared.problems import NotFound

from ..people.tables import users
from ..queries import images_by_id
from ..tables import image_variants, images
from .tables import likes, post_labels, post_links, posts
from .terms import fold_term

FILTERS = ("username", "label")
"""The parameters of GET /posts."""

SORTS: dict[str, Sort] = {"created_at": Sort(posts.c.created_at, datetime, is_nullable=False)}
LIKED_SORTS: dict[str, Sort] = {"like_count": Sort(posts.c.like_count, int, is_nullable=False)}

SHOWN = (*posts.c, users.c.username)


@dataclass(frozen=True)
class Beside:
    """What bodies of posts hold that is not in their rows: the images, and which of the posts the caller likes.

    `liked` is None where no person calls.
    """

    images: Mapping[str, sa.Row[Any]]
    liked: Collection[str] | None


def list_posts(
    connection: sa.Connection,
    filters: Mapping[str, Any],
    *,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of posts behind `after` by time; `filters` as the caller gave them, None where not given."""
    label, username = filters.get("label"), filters.get("username")
    # Where the posts with a label stand in their order, and there a person's own: each is an index of its own.
    table, row_id = (posts, posts.c.id) if label is None else (post_labels, post_labels.c.post_id)
    keys: sa.Select[Any] = sa.select()
    if label is not None:
        keys = keys.where(post_labels.c.term == fold_term(label))
    if username is not None:
        author = sa.select(users.c.id).where(users.c.username_key == username.lower())
        keys = keys.where(table.c.user_id == author.scalar_subquery())
    keyset = Keyset(Sort(table.c.created_at, datetime, is_nullable=False), row_id, desc)
    return read_page(connection, keyset, keyset.walk(keys, after, page_size + 1), page_size)


def list_most_liked(connection: sa.Connection, *, desc: bool, after: Position | None, page_size: int) -> Page:
    """Return the page of posts behind `after` by likes, ties by time."""
    keyset = Keyset(LIKED_SORTS["like_count"], posts.c.id, desc)
    return read_page(connection, keyset, keyset.walk(sa.select(), after, page_size + 1), page_size)


def read_page(connection: sa.Connection, keyset: Keyset, walk: sa.Select[Any], page_size: int) -> Page:
    """Return the posts that `walk` names by page_key and page_id, one too many, in the order of `keyset`.

    The walk reads nothing but an index; only what is on the page is then looked up, all in one statement.
    """
    page = walk.subquery("page")
    joined = page.join(posts, posts.c.id == page.c.page_id).join(users, users.c.id == posts.c.user_id)
    statement: sa.Select[Any] = sa.select(*SHOWN, page.c.page_key, page.c.page_id).select_from(joined)
    order = keyset.order(page.c.page_key, page.c.page_id)
    return page_of(connection.execute(statement.order_by(*order)).all(), page_size)


def get_post(connection: sa.Connection, post_id: str) -> sa.Row[Any]:
    """Return the post; raises NotFound."""
    statement: sa.Select[Any] = sa.select(*SHOWN).join_from(posts, users)
    row = connection.execute(statement.where(posts.c.id == post_id)).first()
    if row is None:
        raise no_post(post_id)
    return row


def no_post(post_id: str) -> NotFound:
    """Return what is raised where there is no such post."""
    return NotFound(f"there is no post {post_id}")


def read_beside(connection: sa.Connection, rows: Sequence[sa.Row[Any]], person_id: str | None) -> Beside:
    """Read what the posts' bodies hold beside their rows: two statements at most, however many posts."""
    shown = images_by_id(connection, [row.image_id for row in rows if row.image_id is not None])
    if person_id is None:
        return Beside(shown, None)
    return Beside(shown, _liked(connection, person_id, [row.id for row in rows]) if rows else ())


def _liked(connection: sa.Connection, person_id: str, post_ids: Sequence[str]) -> frozenset[str]:
    wanted = (likes.c.user_id == person_id, likes.c.post_id.in_(post_ids))
    return frozenset(connection.scalars(sa.select(likes.c.post_id).where(*wanted)))


def get_link_id(connection: sa.Connection, post_id: str) -> str | None:
    """Return the id of the post's live link, None where it has none."""
    return connection.scalar(sa.select(post_links.c.link_id).where(post_links.c.post_id == post_id))


def get_shared_post(connection: sa.Connection, link_id: str) -> sa.Row[Any]:
    """Return the post that the link shows, with its author's display_name; raises NotFound where it is revoked."""
    statement: sa.Select[Any] = sa.select(*SHOWN, users.c.display_name).select_from(_linked().join(users))
    return _shared(connection, statement, link_id)


def get_shared_variant(connection: sa.Connection, link_id: str, size: str) -> sa.Row[Any]:
    """Return one size of the image that the link shows; raises NotFound, also for a post of a link to elsewhere."""
    variant = (image_variants.c.content_sha256 == images.c.content_sha256) & (image_variants.c.size == size)
    shown = _linked().join(images, images.c.id == posts.c.image_id).join(image_variants, variant)
    columns = (image_variants.c.sha256, image_variants.c.media_type, image_variants.c.bytes)
    return _shared(connection, sa.select(*columns).select_from(shown), link_id)


def _linked() -> sa.Join:
    return post_links.join(posts, posts.c.id == post_links.c.post_id)


def _shared(connection: sa.Connection, statement: sa.Select[Any], link_id: str) -> sa.Row[Any]:
    row = connection.execute(statement.where(post_links.c.link_id == link_id)).first()
    if row is None:
        raise NotFound("there is no such link, or it was revoked")
    return row
