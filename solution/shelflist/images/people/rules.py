"""What people may be called and say of themselves, whichever way it comes in; the OpenAPI document says the same."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from shelflist.shared.folding import fold
from shelflist.shared.problems import FieldError, Unprocessable

ONESELF = "me"
"""What the caller may be called in an address."""

_WORDS = """
about abuse access account admin administrator anonymous api deleted docs everybody everyone follow followers
following guest help hostmaster images info login logout mail me moderator nobody noreply null official owner password
people posts postmaster problems public register root security settings shared shelflist signup somebody someone staff
static suggestions support system team tokens undefined unknown user username users webmaster www you
"""
RESERVED = frozenset(_WORDS.split())
"""Usernames that nobody gets: words of addresses, and those that would pass for the operator's."""

USERNAME = re.compile(r"[A-Za-z0-9_.]{3,30}")
# As browsers check <input type=email> (WHATWG HTML, section 4.10.5.1.5), with at least one dot behind the @.
EMAIL = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
PASSWORD_LENGTHS = (8, 128)
"""The least and the greatest number of characters of a password."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# Line breaks and tabs are welcome where there is room for them.
_CONTROL_BUT_BREAKS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# What turns the direction of the text behind it makes one name pass for another.
_TURNING = re.compile("[\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def name_key(name: str) -> str:
    """Return what names and addresses are found by: names that differ in case alone are one, as in the database."""
    # Of other scripts' letters, such as the Kelvin sign, lower() makes ASCII ones.
    return name.lower() if name.isascii() else name


def search_key(username: str, display_name: str | None) -> str:
    """Return what somebody is searched for by."""
    return fold(f"{username} {display_name or ''}".strip())


def check_username(username: str) -> str:
    """Return the username; raises Unprocessable for one that is no name, or that nobody gets."""
    if USERNAME.fullmatch(username) is None:
        _refuse(FieldError("username", "wrong-form", "must have 3 to 30 letters, digits, underscores and dots"))
    if re.sub(r"[_.]", "", name_key(username)) in {"", *RESERVED}:
        _refuse(FieldError("username", "reserved", "is a word that nobody may be called by"))
    return username


def check_email(email: str) -> str:
    """Return the e-mail address; raises Unprocessable for one that cannot be one."""
    if EMAIL.fullmatch(email) is None:
        _refuse(FieldError("email", "wrong-form", "must be an e-mail address"))
    return email


def check_password(password: str, *names: str) -> str:
    """Return a new password; raises Unprocessable for one that is too short or one of the person's `names`."""
    least, most = PASSWORD_LENGTHS
    if not least <= len(password) <= most:
        _refuse(FieldError("password", "out-of-bounds", f"must have {least} to {most} characters"))
    if _CONTROL.search(password):
        _refuse(FieldError("password", "control-character", "must hold no control characters"))
    if name_key(password) in map(name_key, names):
        _refuse(FieldError("password", "too-easy", "must be another than the username and the e-mail address"))
    return password


def said_of_oneself(body: Mapping[str, Any]) -> dict[str, str | None]:
    """Return display_name and bio, those that are given, without spaces around them and null where empty.

    Raises Unprocessable where they hold control characters, or a name what turns the direction of texts.
    """
    said = {name: (body[name] or "").strip() or None for name in ("display_name", "bio") if name in body}
    for name, text in said.items():
        forbidden = (_CONTROL, _TURNING) if name == "display_name" else (_CONTROL_BUT_BREAKS,)
        if any(pattern.search(text or "") for pattern in forbidden):
            _refuse(FieldError(name, "control-character", "must hold no control characters"))
    return said


def _refuse(error: FieldError) -> NoReturn:
    # The value is left out: it may be a password.
    raise Unprocessable(f"{error.name} {error.detail}", errors=[error])
