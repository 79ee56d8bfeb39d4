"""Every SELECT of people and of who follows whom; each list is one statement."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shelflist.shared.auth import Person
from shelflist.shared.folding import fold
from shelflist.shared.paging import Keyset, Page, Position, Sort
from shelflist.shared.problems import InvalidToken, NotFound, Unauthorized
from shelflist.shared.searching import words_of

from ..problems import NotYours
from .rules import ONESELF, name_key
from .tables import follows, users

Condition = sa.ColumnElement[bool]

_SHOWN = (
    users.c.id,
    users.c.username,
    users.c.display_name,
    users.c.bio,
    users.c.follower_count,
    users.c.following_count,
    users.c.post_count,
    users.c.created_at,
    users.c.updated_at,
)
_OWN = (*_SHOWN, users.c.email)
"""What its owner alone sees."""

SORTS: dict[str, Sort] = {
    "username": Sort(users.c.username_key, str, is_nullable=False),
    "created_at": Sort(users.c.created_at, datetime, is_nullable=False),
}
FOLLOW_SORTS: dict[str, Sort] = {"followed_at": Sort(follows.c.created_at, datetime, is_nullable=False)}
SUGGESTION_SORTS = ("common_count",)


def _name_contains(text: str) -> Condition:
    # Refuses what holds nothing; the whole text is searched for, spaces included.
    words_of(text)
    return users.c.search_key.contains(fold(text), autoescape=True)


FILTERS: dict[str, Callable[[Any], Condition]] = {"q": _name_contains}
"""Filter name -> condition."""


def list_users(
    connection: sa.Connection,
    viewer: Person | None,
    filters: Mapping[str, Any],
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of people behind `after`; `filters` as the caller gave them, None where not given."""
    conditions = [FILTERS[name](value) for name, value in filters.items() if value is not None]
    statement = sa.select(*_SHOWN, _is_followed_by(viewer)).where(*conditions)
    return Keyset(SORTS[sort], users.c.id, desc).fetch(connection, statement, after, page_size)


def get_user(connection: sa.Connection, username: str, viewer: Person | None) -> sa.Row[Any]:
    """Return the person as `viewer` may see it: oneself with the e-mail address; raises NotFound."""
    statement = sa.select(*_OWN, _is_followed_by(viewer)).where(_is_called(username, viewer))
    return _found(connection, statement, username)


def get_own(connection: sa.Connection, username: str, person: Person) -> sa.Row[Any]:
    """Return all of the person whom `username` must name; raises NotFound, NotYours."""
    row = _found(connection, sa.select(users).where(_is_called(username, person)), username)
    if row.id != person.id:
        raise NotYours("only its owner may change an account")
    return row


def get_person(connection: sa.Connection, username: str) -> sa.Row[Any]:
    """Return all of the person with this username; raises NotFound."""
    return _found(connection, sa.select(users).where(users.c.username_key == name_key(username)), username)


def all_people(connection: sa.Connection) -> sa.CursorResult[Any]:
    """Return everybody by username."""
    return connection.execute(sa.select(users).order_by(users.c.username_key))


def get_id(connection: sa.Connection, username: str, viewer: Person | None) -> str:
    """Return the id of a person; raises NotFound."""
    return str(_found(connection, sa.select(users.c.id).where(_is_called(username, viewer)), username).id)


def get_login(connection: sa.Connection, name: str) -> sa.Row[Any] | None:
    """Return id and password_hash of the person with this username or e-mail address; None where there is none."""
    key = users.c.email_key if "@" in name else users.c.username_key
    statement: sa.Select[Any] = sa.select(users.c.id, users.c.password_hash).where(key == name_key(name))
    return connection.execute(statement).first()


def lock_person(connection: sa.Connection, person_id: str) -> sa.Row[Any]:
    """Return all of a person who acts, whom nobody else changes or removes until the transaction ends.

    Every act of a person begins with it. The order of locks that keeps acts from waiting for each other in a ring:
    people by id, then images by id, then posts by id. Raises InvalidToken where the person has just been removed.
    """
    row = connection.execute(sa.select(users).where(users.c.id == person_id).with_for_update(key_share=True)).first()
    if row is None:
        raise InvalidToken
    return row


def list_followers(
    connection: sa.Connection,
    username: str,
    viewer: Person | None,
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page behind `after` of those who follow the person; raises NotFound."""
    keyset = Keyset(FOLLOW_SORTS[sort], follows.c.follower_id, desc)
    statement = _follows(keyset, viewer).where(follows.c.followee_id == _id_of(username, viewer))
    page = keyset.fetch(connection, statement, after, page_size)
    return _checked(connection, page, username, viewer)


def list_followed(
    connection: sa.Connection,
    username: str,
    viewer: Person | None,
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page behind `after` of those whom the person follows; raises NotFound."""
    keyset = Keyset(FOLLOW_SORTS[sort], follows.c.followee_id, desc)
    statement = _follows(keyset, viewer).where(follows.c.follower_id == _id_of(username, viewer))
    page = keyset.fetch(connection, statement, after, page_size)
    return _checked(connection, page, username, viewer)


def list_mutual_followers(
    connection: sa.Connection,
    username: str,
    person: Person,
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page behind `after` of those who follow both the caller and the person; raises NotFound."""
    mine = follows.alias("mine")
    keyset = Keyset(FOLLOW_SORTS[sort], follows.c.follower_id, desc)
    statement = _follows(keyset, person).join(mine, mine.c.follower_id == follows.c.follower_id)
    both = (mine.c.followee_id == person.id, follows.c.followee_id == _id_of(username, person))
    page = keyset.fetch(connection, statement.where(*both), after, page_size)
    return _checked(connection, page, username, person)


def list_suggestions(
    connection: sa.Connection, person: Person, *, sort: str, desc: bool, after: Position | None, page_size: int
) -> Page:
    """Return the page behind `after` of those whom people follow whom the caller follows, with their `common_count`."""
    assert sort in SUGGESTION_SORTS
    candidates = _friends_of_friends(person).subquery("candidates")
    statement = sa.select(*_SHOWN, _is_followed_by(person), candidates.c.common_count).join_from(
        candidates, users, users.c.id == candidates.c.user_id
    )
    keyset = Keyset(Sort(candidates.c.common_count, int, is_nullable=False), candidates.c.user_id, desc)
    return keyset.fetch(connection, statement, after, page_size)


def _friends_of_friends(person: Person) -> sa.Select[Any]:
    mine, theirs, known = follows.alias("mine"), follows.alias("theirs"), follows.alias("known")
    is_known = sa.exists().where(known.c.follower_id == person.id, known.c.followee_id == theirs.c.followee_id)
    return (
        sa.select(theirs.c.followee_id.label("user_id"), sa.func.count().label("common_count"))
        .join_from(mine, theirs, theirs.c.follower_id == mine.c.followee_id)
        .where(mine.c.follower_id == person.id, theirs.c.followee_id != person.id, ~is_known)
        .group_by(theirs.c.followee_id)
    )


def _follows(keyset: Keyset, viewer: Person | None) -> sa.Select[Any]:
    """Return the statement for follows that shows whom the keyset's id names."""
    return sa.select(*_SHOWN, _is_followed_by(viewer)).join_from(follows, users, users.c.id == keyset.id)


def _is_called(username: str, viewer: Person | None) -> Condition:
    if name_key(username) != ONESELF:
        return users.c.username_key == name_key(username)
    if viewer is None:
        raise Unauthorized(f"who is {ONESELF} is told by a person's token", challenge='Bearer realm="shelflist"')
    return users.c.id == viewer.id


def _id_of(username: str, viewer: Person | None) -> sa.ScalarSelect[Any]:
    return sa.select(users.c.id).where(_is_called(username, viewer)).scalar_subquery().correlate(None)


def _is_followed_by(viewer: Person | None) -> sa.Label[Any]:
    """Return the column `followed`: null for nobody, and for oneself."""
    if viewer is None:
        return sa.null().label("followed")
    seen = follows.alias("seen")
    is_followed = sa.exists().where(seen.c.follower_id == viewer.id, seen.c.followee_id == users.c.id)
    return sa.case((users.c.id != viewer.id, is_followed)).label("followed")


def _checked(connection: sa.Connection, page: Page, username: str, viewer: Person | None) -> Page:
    # Of somebody who is there, hardly any page is empty: the second statement is for the others.
    if not page.rows:
        get_id(connection, username, viewer)
    return page


def _found(connection: sa.Connection, statement: sa.Select[Any], username: str) -> sa.Row[Any]:
    row = connection.execute(statement).first()
    if row is None:
        raise NotFound(f"there is nobody called {username}")
    return row
