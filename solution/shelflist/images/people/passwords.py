"""Passwords: hashed by Argon2id, few at a time, and checked so that unknown names take as long as wrong passwords.

The parameters are those that argon2-cffi holds for right today (RFC 9106, section 4, its second choice): 64 MiB and
three passes for each. A hash holds the parameters that it was made with, so older ones are still understood, and
renewed when their owner logs in.
"""

import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from .problems import TooManyLogins

AT_ONCE = 2
"""How many passwords one process hashes at a time: each takes 64 MiB."""
WAITING = 4
"""How many more may wait for their turn: each holds one of the server's ten threads."""
WAITING_SECONDS = 5.0

_HASHER = PasswordHasher()
_TURNS = threading.BoundedSemaphore(AT_ONCE)
_PLACES = threading.BoundedSemaphore(AT_ONCE + WAITING)


@dataclass(frozen=True)
class Check:
    """Whether a password is right, and its new hash where the parameters of the old one are no longer ours."""

    is_right: bool
    renewed: str | None = None


def hash_password(password: str) -> str:
    """Return the hash of a password with its parameters and salt; raises TooManyLogins."""
    with _turn():
        return _HASHER.hash(_prepared(password))


def check_password(password: str, stored: str | None) -> Check:
    """Return whether `stored` is a hash of the password; raises TooManyLogins.

    None stands for somebody who is not there, and takes the same work: the time of the answer tells nothing.
    """
    prepared = _prepared(password)
    with _turn():
        try:
            _HASHER.verify(stored or _nobodys_hash(), prepared)
        except (VerificationError, InvalidHashError):
            return Check(False)
        if stored is None:
            return Check(False)
        return Check(True, _HASHER.hash(prepared) if _HASHER.check_needs_rehash(stored) else None)


def made_up_password() -> str:
    """Return a password of 120 random bits."""
    return secrets.token_urlsafe(15)


@contextmanager
def _turn() -> Iterator[None]:
    if not _PLACES.acquire(blocking=False):
        raise TooManyLogins
    try:
        if not _TURNS.acquire(timeout=WAITING_SECONDS):
            raise TooManyLogins
        try:
            yield
        finally:
            _TURNS.release()
    finally:
        _PLACES.release()


def _prepared(password: str) -> str:
    # Keyboards write the same letter composed and decomposed (RFC 8265, section 4.2.2).
    return unicodedata.normalize("NFC", password)


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe(32))
