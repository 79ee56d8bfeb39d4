"""Operations of posts and their likes: one function per operationId."""

from functools import partial
from typing import Any

import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.auth import Person, person_of
from shelflist.shared.idempotency import Answer, once
from shelflist.shared.lists import answer_page, cursors
from shelflist.shared.paging import Listing
from shelflist.shared.responses import attempt, bodiless, created, json_answer
from shelflist.shared.session import reading, writing

from . import commands, following, queries, representations


def list_posts(
    *,
    page_size: int,
    sort: str,
    desc: bool,
    username: str | None = None,
    label: str | None = None,
    cursor: str | None = None,
    user: Any = None,
) -> ResponseReturnValue:
    """GET /posts."""
    filters = {"username": username, "label": label}
    listing = Listing("posts", sort, desc, filters)
    after = cursors().read(listing, cursor, queries.SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        page = queries.list_posts(connection, filters, desc=desc, after=after, page_size=page_size)
        beside = queries.read_beside(connection, page.rows, _id_of(user))
    return answer_page(listing, page, partial(representations.posts, beside=beside))


def list_following_posts(
    *, page_size: int, sort: str, desc: bool, user: Person, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /posts/following."""
    listing = Listing("posts", sort, desc, {"follower": user.id})
    after = cursors().read(listing, cursor, queries.SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        page = following.list_following(connection, user.id, desc=desc, after=after, page_size=page_size)
        beside = queries.read_beside(connection, page.rows, user.id)
    return answer_page(listing, page, partial(representations.posts, beside=beside))


def list_most_liked_posts(
    *, page_size: int, sort: str, desc: bool, cursor: str | None = None, user: Any = None
) -> ResponseReturnValue:
    """GET /posts/most-liked."""
    listing = Listing("posts", sort, desc, {})
    after = cursors().read(listing, cursor, queries.LIKED_SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        page = queries.list_most_liked(connection, desc=desc, after=after, page_size=page_size)
        beside = queries.read_beside(connection, page.rows, _id_of(user))
    return answer_page(listing, page, partial(representations.posts, beside=beside))


def create_post(body: dict[str, Any], user: Person) -> ResponseReturnValue:
    """POST /posts."""
    with writing() as connection:

        def create() -> Answer:
            row = commands.add_post(connection, user.id, body)
            post = representations.post(row, queries.read_beside(connection, [row], user.id))
            return Answer(201, {"Location": f"/posts/{row.id}"}, orjson.dumps(post))

        answer = once(connection, attempt("POST /posts", f"person:{user.id}", body), create)
    return created(answer)


def get_post(post_id: str, user: Any = None) -> ResponseReturnValue:
    """GET /posts/{post_id}."""
    with reading() as connection:
        row = queries.get_post(connection, post_id)
        beside = queries.read_beside(connection, [row], _id_of(user))
    return json_answer(representations.post(row, beside))


def update_post(post_id: str, body: dict[str, Any], user: Person) -> ResponseReturnValue:
    """PATCH /posts/{post_id}."""
    with writing() as connection:
        row = commands.change_post(connection, post_id, user.id, body)
        beside = queries.read_beside(connection, [row], user.id)
    return json_answer(representations.post(row, beside))


def delete_post(post_id: str, user: Person) -> ResponseReturnValue:
    """DELETE /posts/{post_id}."""
    with writing() as connection:
        commands.delete_post(connection, post_id, user.id)
    return bodiless(204)


def like_post(post_id: str, user: Person) -> ResponseReturnValue:
    """PUT /posts/{post_id}/like."""
    with writing() as connection:
        commands.like(connection, post_id, user.id)
    return bodiless(204)


def unlike_post(post_id: str, user: Person) -> ResponseReturnValue:
    """DELETE /posts/{post_id}/like."""
    with writing() as connection:
        commands.unlike(connection, post_id, user.id)
    return bodiless(204)


def _id_of(user: object) -> str | None:
    person = person_of(user)
    return None if person is None else person.id
