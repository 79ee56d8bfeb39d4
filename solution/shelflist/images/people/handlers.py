"""Operations of people: one function per operationId."""

from collections.abc import Callable
from typing import Any

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.auth import Person, person_of
from shelflist.shared.idempotency import Answer, once
from shelflist.shared.lists import answer_page, cursors
from shelflist.shared.paging import Listing, Page
from shelflist.shared.responses import attempt, bodiless, created, json_answer
from shelflist.shared.session import reading, writing
from shelflist.shared.settings import Settings

from . import accounts, commands, queries, representations
from .passwords import check_password
from .problems import SignUpClosed, WrongLogin
from .rules import ONESELF, name_key
from .tokens import revoke_token


def create_user(body: dict[str, Any]) -> ResponseReturnValue:
    """POST /users."""
    if not _settings().sign_up:
        raise SignUpClosed
    account = accounts.new_account(body)
    # Whoever could read the stored fingerprint, which is fast, could guess the password by it.
    asked = {name: value for name, value in body.items() if name != "password"}
    with writing() as connection:

        def create() -> Answer:
            user = representations.own_user(commands.add_user(connection, account))
            return Answer(201, {"Location": f"/users/{user['username']}"}, orjson.dumps(user))

        # Strangers share no keys: each name is a caller of its own.
        answer = once(connection, attempt("POST /users", f"sign-up:{name_key(body['username'])}", asked), create)
    return created(answer)


def create_token(body: dict[str, Any]) -> ResponseReturnValue:
    """POST /tokens."""
    with reading() as connection:
        found = queries.get_login(connection, body["username"])
    checked = check_password(body["password"], found.password_hash if found else None)
    if found is None or not checked.is_right:
        raise WrongLogin
    days = _settings().token_days
    with writing() as connection:
        token = commands.log_in(connection, found.id, found.password_hash, checked.renewed, days=days)
    content = orjson.dumps(representations.token(token))
    return created(Answer(201, {"Cache-Control": "no-store"}, content))


def delete_current_token() -> ResponseReturnValue:
    """DELETE /tokens/current."""
    with writing() as connection:
        revoke_token(connection, _token())
    return bodiless(204)


def list_users(
    *, page_size: int, sort: str, desc: bool, user: object, q: str | None = None, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /users."""
    filters, viewer = {"q": q}, person_of(user)
    listing = Listing("users", sort, desc, filters)
    after = cursors().read(listing, cursor, queries.SORTS[sort].key_type) if cursor is not None else None
    with reading() as connection:
        page = queries.list_users(connection, viewer, filters, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.users)


def get_user(username: str, *, user: object) -> ResponseReturnValue:
    """GET /users/{username}."""
    viewer = person_of(user)
    with reading() as connection:
        row = queries.get_user(connection, username, viewer)
    return json_answer(representations.user(row, viewer))


def update_user(username: str, body: dict[str, Any], *, user: Person) -> ResponseReturnValue:
    """PATCH /users/{username}."""
    with reading() as connection:
        row = queries.get_own(connection, username, user)
    changes = accounts.changes_of(row, body)
    with writing() as connection:
        row = commands.change_user(connection, user.id, changes.columns, changes.proven, _token())
    return json_answer(representations.own_user(row))


def delete_user(username: str, *, user: Person) -> ResponseReturnValue:
    """DELETE /users/{username}."""
    with writing() as connection:
        commands.delete_user(connection, queries.get_own(connection, username, user).id)
    return bodiless(204)


def follow_user(username: str, *, user: Person) -> ResponseReturnValue:
    """PUT /users/{username}/follow."""
    with writing() as connection:
        commands.follow(connection, user.id, queries.get_id(connection, username, user))
    return bodiless(204)


def unfollow_user(username: str, *, user: Person) -> ResponseReturnValue:
    """DELETE /users/{username}/follow."""
    with writing() as connection:
        commands.unfollow(connection, user.id, queries.get_id(connection, username, user))
    return bodiless(204)


def list_follower_users(
    username: str, *, page_size: int, sort: str, desc: bool, user: object, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /users/{username}/followers."""
    viewer = person_of(user)
    listing = _follows("followers", username, viewer, sort, desc)
    return _answer_follows(queries.list_followers, listing, username, viewer, cursor=cursor, page_size=page_size)


def list_followed_users(
    username: str, *, page_size: int, sort: str, desc: bool, user: object, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /users/{username}/following."""
    viewer = person_of(user)
    listing = _follows("following", username, viewer, sort, desc)
    return _answer_follows(queries.list_followed, listing, username, viewer, cursor=cursor, page_size=page_size)


def list_mutual_follower_users(
    username: str, *, page_size: int, sort: str, desc: bool, user: Person, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /users/{username}/mutual-followers."""
    listing = _follows(f"mutual-followers {user.id}", username, user, sort, desc)
    return _answer_follows(queries.list_mutual_followers, listing, username, user, cursor=cursor, page_size=page_size)


def list_suggested_users(
    *, page_size: int, sort: str, desc: bool, user: Person, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /users/suggestions."""
    listing = Listing("users", sort, desc, {"list": "suggestions", "of": user.id})
    after = cursors().read(listing, cursor, int) if cursor is not None else None
    with reading() as connection:
        page = queries.list_suggestions(connection, user, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.suggestions)


def _follows(name: str, username: str, viewer: Person | None, sort: str, desc: bool) -> Listing:
    key = name_key(username)
    # Another's `me` is another list.
    of = viewer.id if viewer is not None and key == ONESELF else key
    return Listing("users", sort, desc, {"list": name, "of": of})


def _answer_follows(
    read: Callable[..., Page],
    listing: Listing,
    username: str,
    viewer: Person | None,
    *,
    cursor: str | None,
    page_size: int,
) -> ResponseReturnValue:
    key_type = queries.FOLLOW_SORTS[listing.sort].key_type
    after = cursors().read(listing, cursor, key_type) if cursor is not None else None
    order = {"sort": listing.sort, "desc": listing.desc}
    with reading() as connection:
        page = read(connection, username, viewer, **order, after=after, page_size=page_size)
    return answer_page(listing, page, representations.users)


def _token() -> str:
    """Return the token that has proved who calls."""
    given = flask.request.authorization
    assert given is not None and given.token is not None
    return given.token


def _settings() -> Settings:
    found: Settings = flask.current_app.extensions["shelflist.settings"]
    return found
