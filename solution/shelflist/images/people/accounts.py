"""What a request says of an account, checked, its password hashed: outside of transactions, for hashing is slow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shelflist.shared.problems import FieldError, Unprocessable

from .passwords import check_password, hash_password
from .problems import WrongPassword
from .rules import check_email, check_username, said_of_oneself
from .rules import check_password as check_new_password


@dataclass(frozen=True)
class Changes:
    """The columns to change, and the hash that the present password was checked against."""

    columns: Mapping[str, Any]
    proven: str | None


def new_account(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of somebody who signs up; raises Unprocessable, TooManyLogins."""
    username, email = check_username(body["username"]), check_email(body["email"])
    password = check_new_password(body["password"], username, email)
    said = said_of_oneself(body)
    return {"username": username, "email": email, **said, "password_hash": hash_password(password)}


def new_password(row: sa.Row[Any], password: str) -> str:
    """Return the hash of a new password of the person; raises Unprocessable, TooManyLogins."""
    return hash_password(check_new_password(password, row.username, row.email))


def changes_of(row: sa.Row[Any], body: Mapping[str, Any]) -> Changes:
    """Return what a request changes of the account that is now `row`.

    Raises Unprocessable, WrongPassword where the present password is needed and is another, TooManyLogins.
    """
    columns: dict[str, Any] = dict(said_of_oneself(body))
    if "username" in body:
        columns["username"] = check_username(body["username"])
    if "email" in body:
        columns["email"] = check_email(body["email"])
    names = (columns.get("username", row.username), columns.get("email", row.email))
    if "password" in body:
        check_new_password(body["password"], *names)
    if not {"email", "password"} & set(body):
        return Changes(columns, None)
    _prove(row, body.get("current_password"))
    if "password" in body:
        columns["password_hash"] = hash_password(body["password"])
    return Changes(columns, row.password_hash)


def _prove(row: sa.Row[Any], current_password: str | None) -> None:
    if current_password is None:
        rule = "is needed to change the e-mail address or the password"
        raise Unprocessable(f"current_password {rule}", errors=[FieldError("current_password", "missing", rule)])
    if not check_password(current_password, row.password_hash).is_right:
        raise WrongPassword
