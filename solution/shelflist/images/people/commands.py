"""Every write of people and of who follows whom, one transaction each.

Locks are taken in one order by all acts of people: people by id, then images by id, then posts by id.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from shelflist.shared.database import transaction_lock
from shelflist.shared.problems import InvalidToken, NotFound
from shelflist.shared.tables import idempotency_keys

from ..contents import request_removal
from ..posts.tables import likes, posts
from ..tables import images
from .problems import EmailTaken, FollowYourself, TooManyFollowed, UsernameTaken, WrongLogin, WrongPassword
from .queries import lock_person
from .rules import name_key, search_key
from .tables import follows, users
from .tokens import Token, issue_token, revoke_tokens

MAX_FOLLOWED = 7_500
"""How many people one person follows at most."""


def add_user(connection: sa.Connection, account: Mapping[str, Any]) -> sa.Row[Any]:
    """Store a person and return all of it; raises UsernameTaken, EmailTaken.

    `account` holds username, email, password_hash, and may hold display_name and bio: as accounts.py makes it.
    """
    key = search_key(account["username"], account.get("display_name"))
    _claim(connection, account["username"], account["email"])
    new = insert(users).values(**account, id=str(uuid7()), search_key=key)
    return connection.execute(new.returning(users)).one()


def change_user(
    connection: sa.Connection, person_id: str, changes: Mapping[str, Any], proven: str | None, token: str | None
) -> sa.Row[Any]:
    """Change the given columns and return all of the person; a new password ends all tokens but `token`.

    `proven` is the hash that the present password was checked against, None where nothing needed it.
    Raises InvalidToken where the person is gone, WrongPassword where the password has changed since, UsernameTaken,
    EmailTaken.
    """
    row = lock_person(connection, person_id)
    if proven is not None and row.password_hash != proven:
        raise WrongPassword
    if not changes:
        return row
    now = {**row._mapping, **changes}
    values = {**changes, "search_key": search_key(now["username"], now["display_name"])}
    changed = users.update().where(users.c.id == person_id).values(**values, updated_at=sa.func.clock_timestamp())
    _claim(connection, now["username"], now["email"], but=person_id)
    row = connection.execute(changed.returning(users)).one()
    if "password_hash" in changes:
        revoke_tokens(connection, person_id, but=token)
    return row


def log_in(connection: sa.Connection, user_id: str, proven: str, renewed: str | None, *, days: int) -> Token:
    """Return a new token of the person, whose password was checked against the hash `proven`.

    `renewed` takes its place where it is given. Raises WrongLogin where the person is gone or has another password now.
    """
    try:
        row = lock_person(connection, user_id)
    except InvalidToken:
        raise WrongLogin from None
    if row.password_hash != proven:
        raise WrongLogin
    if renewed is not None:
        connection.execute(users.update().where(users.c.id == user_id).values(password_hash=renewed))
    return issue_token(connection, user_id, days=days)


def follow(connection: sa.Connection, person_id: str, followed_id: str) -> None:
    """Let the person follow another; nothing changes where it does already.

    Raises FollowYourself, TooManyFollowed, NotFound where the other has just gone, InvalidToken where the person has.
    """
    if followed_id == person_id:
        raise FollowYourself
    _join_circles(connection, person_id, followed_id)
    person = _lock_pair(connection, person_id, followed_id)
    if connection.scalar(sa.select(sa.exists().where(_is_pair(person_id, followed_id)))):
        return
    # Locked, so that nobody else counts up in between.
    if person.following_count >= MAX_FOLLOWED:
        raise TooManyFollowed(MAX_FOLLOWED)
    # Not now(), the start of the transaction: what waited longer for its locks is newer.
    values = {"follower_id": person_id, "followee_id": followed_id, "created_at": sa.func.clock_timestamp()}
    connection.execute(follows.insert().values(**values))


def unfollow(connection: sa.Connection, person_id: str, followed_id: str) -> None:
    """End the person's following of another; nothing changes where there is none."""
    if followed_id != person_id:
        _lock_pair(connection, person_id, followed_id)
    connection.execute(follows.delete().where(_is_pair(person_id, followed_id)))


def delete_user(connection: sa.Connection, user_id: str) -> None:
    """Remove a person with everything that is that person's: posts, images, likes, follows and tokens.

    The counts of others stay right. A job removes what nobody else's images show. Raises InvalidToken where the person
    has just gone.
    """
    _lock_with_neighbours(connection, user_id)
    connection.execute(
        sa.select(images.c.id).where(images.c.owner_id == user_id).order_by(images.c.id).with_for_update()
    )
    liked = sa.select(likes.c.post_id).where(likes.c.user_id == user_id)
    touched = sa.or_(posts.c.user_id == user_id, posts.c.id.in_(liked))
    connection.execute(sa.select(posts.c.id).where(touched).order_by(posts.c.id).with_for_update())
    # Before the person: the cascade would remove images while posts still show them.
    connection.execute(likes.delete().where(likes.c.user_id == user_id))
    connection.execute(posts.delete().where(posts.c.user_id == user_id))
    if connection.execute(images.delete().where(images.c.owner_id == user_id)).rowcount:
        request_removal(connection)
    connection.execute(follows.delete().where(_touches(user_id)))
    # The stored answers hold the address, too.
    sign_up = sa.select("sign-up:" + users.c.username_key).where(users.c.id == user_id).scalar_subquery()
    callers = idempotency_keys.c.caller.in_((f"person:{user_id}", sign_up))
    connection.execute(idempotency_keys.delete().where(callers))
    connection.execute(users.delete().where(users.c.id == user_id))


def _claim(connection: sa.Connection, username: str, email: str, *, but: str | None = None) -> None:
    """Keep others from taking the name and the address; raises UsernameTaken, EmailTaken where somebody has.

    Not left to the unique indexes: PostgreSQL writes a statement that breaks one into its log, with all of its values.
    """
    keys = {users.c.username_key: (name_key(username), UsernameTaken), users.c.email_key: (name_key(email), EmailTaken)}
    for key in sorted(key for key, _ in keys.values()):
        # Not even the address itself: a statement that waits for too long is logged as well.
        transaction_lock(connection, f"shelflist-account-{hashlib.sha256(key.encode()).hexdigest()}")
    for column, (key, taken) in keys.items():
        holder = sa.select(users.c.id).where(column == key)
        if connection.scalar(holder) not in (None, but):
            raise taken


def _lock_pair(connection: sa.Connection, person_id: str, other_id: str) -> Any:
    """Lock both, the lower id first, and return the person; raises InvalidToken, NotFound where one has gone."""
    statement = sa.select(users.c.id, users.c.following_count).where(users.c.id.in_((person_id, other_id)))
    rows = connection.execute(statement.order_by(users.c.id).with_for_update(key_share=True)).all()
    found = {row.id: row for row in rows}
    if person_id not in found:
        raise InvalidToken
    if other_id not in found:
        raise NotFound("there is nobody of this name any more")
    return found[person_id]


def _lock_with_neighbours(connection: sa.Connection, user_id: str) -> None:
    """Lock the person for removal and, in the order of ids, all whose counts change with it; raises InvalidToken."""
    # Alone with it, nobody begins to follow this one or is followed by it: the neighbours stay as they are read.
    transaction_lock(connection, _circle(user_id))
    neighbours = _neighbours(connection, user_id)
    _lock(connection, neighbours, users.c.id < user_id)
    own = sa.select(users.c.id).where(users.c.id == user_id).with_for_update()
    if connection.execute(own).first() is None:
        raise InvalidToken
    _lock(connection, neighbours, users.c.id > user_id)


def _join_circles(connection: sa.Connection, *user_ids: str) -> None:
    """Wait for the removal of any of these people; many may do so at once. Comes before all locks of rows."""
    names = [sa.func.hashtextextended(_circle(user_id), 0) for user_id in user_ids]
    connection.execute(sa.select(*(sa.func.pg_advisory_xact_lock_shared(name) for name in names)))


def _circle(user_id: str) -> str:
    return f"shelflist-followers-{user_id}"


def _neighbours(connection: sa.Connection, user_id: str) -> frozenset[str]:
    others = sa.union(
        sa.select(follows.c.followee_id).where(follows.c.follower_id == user_id),
        sa.select(follows.c.follower_id).where(follows.c.followee_id == user_id),
    )
    return frozenset(connection.scalars(others))


def _lock(connection: sa.Connection, ids: frozenset[str], which: sa.ColumnElement[bool]) -> None:
    # One array: a list of a celebrity's followers would be a statement of megabytes of parameters.
    wanted = users.c.id == sa.any_(sa.literal(sorted(ids), sa.dialects.postgresql.ARRAY(users.c.id.type)))
    statement = sa.select(users.c.id).where(wanted, which).order_by(users.c.id)
    connection.execute(statement.with_for_update(key_share=True)).all()


def _is_pair(follower_id: str, followee_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(follows.c.follower_id == follower_id, follows.c.followee_id == followee_id)


def _touches(user_id: str) -> sa.ColumnElement[bool]:
    return sa.or_(follows.c.follower_id == user_id, follows.c.followee_id == user_id)
