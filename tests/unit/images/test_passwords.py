"""Passwords take turns, and hashes hold what they were made with."""

import threading

import pytest
from argon2 import PasswordHasher
from argon2 import exceptions as argon2_errors
from tests.fixtures.threads import at_once

from shelflist.images.people import passwords
from shelflist.images.people.problems import TooManyLogins


class CountingHasher:
    """Counts how many hash at the same moment; none ends before as many as may have begun."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.pairs = threading.Barrier(passwords.AT_ONCE)
        self.running = self.most = 0

    def hash(self, _password: str) -> str:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.pairs.wait(10)
        with self.lock:
            self.running -= 1
        return "a hash"


def test_never_more_than_two_are_hashed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = CountingHasher()
    monkeypatch.setattr(passwords, "_HASHER", hasher)
    places = passwords.AT_ONCE + passwords.WAITING
    assert at_once(places, lambda _: passwords.hash_password("x")) == ["a hash"] * places
    assert hasher.most == passwords.AT_ONCE == 2


def test_who_finds_all_places_taken_is_sent_away_at_once_and_places_are_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passwords, "_PLACES", threading.BoundedSemaphore(1))
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    with passwords._turn(), pytest.raises(TooManyLogins):
        passwords.hash_password("x")
    stored = passwords.hash_password("x")
    assert passwords.check_password("x", stored).is_right


def test_a_place_is_given_back_where_hashing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def hash(self, _password: str) -> str:
            raise argon2_errors.HashingError

    monkeypatch.setattr(passwords, "_HASHER", Broken())
    for _ in range(2 * (passwords.AT_ONCE + passwords.WAITING)):
        with pytest.raises(argon2_errors.HashingError):
            passwords.hash_password("x")


def test_two_hashes_of_one_password_differ_and_both_hold() -> None:
    one, other = passwords.hash_password("correct horse"), passwords.hash_password("correct horse")
    assert one != other
    for stored in (one, other):
        assert passwords.check_password("correct horse", stored) == passwords.Check(True, None)
        assert passwords.check_password("correct horsf", stored) == passwords.Check(False, None)


def test_made_up_passwords_are_long_and_differ() -> None:
    made = {passwords.made_up_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(password) for password in made} == {20}
