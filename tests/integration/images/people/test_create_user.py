"""POST /users."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.people import PASSWORD
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.threads import at_once

from shelflist.images.people.tables import users
from shelflist.shared.tables import idempotency_keys

ANNA = {"username": "Anna.B_1", "email": "Anna@Example.org", "password": PASSWORD}


def stored(api: Api) -> list[sa.Row[Any]]:
    with api.engine.connect() as connection:
        return list(connection.execute(sa.select(users).order_by(users.c.id)))


def test_somebody_is_stored_and_answered_whole(api: Api) -> None:
    answer = api.post("/users", json={**ANNA, "display_name": " Anna ", "bio": "Cats.\nDogs."})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["Location"] == "/users/Anna.B_1"
    assert body == {
        "id": body["id"],
        "username": "Anna.B_1",
        "display_name": "Anna",
        "bio": "Cats.\nDogs.",
        "follower_count": 0,
        "following_count": 0,
        "post_count": 0,
        "followed": None,
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
        "email": "Anna@Example.org",
    }
    [row] = stored(api)
    assert row.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_what_is_left_out_is_null(api: Api) -> None:
    body = api.post("/users", json=ANNA).json()
    assert (body["display_name"], body["bio"]) == (None, None)
    given = {**ANNA, "username": "bert", "email": "b@example.org", "display_name": " ", "bio": None}
    body = api.post("/users", json=given).json()
    assert (body["display_name"], body["bio"]) == (None, None)


@pytest.mark.parametrize("username", ["anna", "ANNA", "aNNa"])
def test_a_username_is_taken_in_any_case(api: Api, username: str) -> None:
    api.person("anna")
    problem(api.post("/users", json={**ANNA, "username": username}), 409, "username-taken")
    assert len(stored(api)) == 1


def test_an_email_address_is_taken_in_any_case(api: Api) -> None:
    api.person("anna")
    problem(api.post("/users", json={**ANNA, "email": "ANNA@example.ORG"}), 409, "email-taken")
    assert len(stored(api)) == 1


@pytest.mark.parametrize(
    "username", ["admin", "ADMIN", "suggestions", "Shelflist", "ad.min_", "_root", "users", "...", "_._"]
)
def test_some_words_are_nobodys_name(api: Api, username: str) -> None:
    answer = problem(api.post("/users", json={**ANNA, "username": username}), 422, "unprocessable")
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [("username", "reserved")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[
            ("username", value)
            for value in ("me", "ab", "a" * 31, "a b", "a-b", "anna\n", "ännä", "аnna", "a/b", "", 5)
        ],
        *[
            ("email", value)
            for value in (
                "anna",
                "anna@example",
                "@example.org",
                "anna@",
                "a b@example.org",
                "anna@example.org\n",
                "anna@-example.org",
                "anna@example..org",
                "<anna@example.org>",
                "anna@example.org, bert@example.org",
                "a" * 65 + "@example.org",
                "anna@" + "a." * 130 + "org",
                None,
            )
        ],
        *[("password", value) for value in ("a" * 7, "a" * 129, None, 12345678, ["correct horse battery"])],
        ("display_name", "a" * 101),
        ("bio", "a" * 501),
        ("bio", 1),
    ],
)
def test_what_the_document_forbids_is_refused_by_name_and_not_repeated(api: Api, name: str, value: Any) -> None:
    answer = problem(api.post("/users", json={**ANNA, name: value}), 400, "invalid-request")
    assert [error["name"] for error in answer["errors"]] == [name]
    assert stored(api) == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("password", "12345678901", "too-easy"),
        ("password", "P@EXAMPLE.org", "too-easy"),
        ("password", "correct\thorse", "control-character"),
        ("display_name", "An\tna", "control-character"),
        ("display_name", "An\u202ena", "control-character"),
        ("bio", "a\x07b", "control-character"),
    ],
)
def test_what_only_we_can_tell_is_refused_by_name(api: Api, name: str, value: str, code: str) -> None:
    body = {"username": "12345678901", "email": "p@example.org", "password": PASSWORD, name: value}
    answer = problem(api.post("/users", json=body), 422, "unprocessable")
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [(name, code)]
    assert stored(api) == []


@pytest.mark.parametrize(
    "name", ["id", "created_at", "follower_count", "post_count", "password_hash", "is_admin", "followed", "search_key"]
)
def test_what_is_not_the_callers_to_say_is_refused_by_name(api: Api, name: str) -> None:
    answer = problem(api.post("/users", json={**ANNA, name: "x"}), 400)
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [(name, "unknown")]


@pytest.mark.parametrize("body", [b'{"username": "\\ud800aa"}', b'{"username": "a\\u0000b"}', b"[]", b"null", b"{"])
def test_texts_that_are_none_are_refused(api: Api, body: bytes) -> None:
    problem(api.post("/users", content=body, headers={"content-type": "application/json"}), 400, "invalid-request")


def test_a_repeated_key_is_answered_the_same_and_the_password_is_no_part_of_what_is_kept(api: Api) -> None:
    headers = {"Idempotency-Key": "a"}
    first, second = (api.post("/users", json=ANNA, headers=headers) for _ in range(2))
    assert first.content == second.content
    assert second.headers["Idempotency-Replayed"] == "true"
    # A fast hash of the password would show here: the fingerprint would differ.
    third = api.post("/users", json={**ANNA, "password": "another password"}, headers=headers)
    assert third.headers["Idempotency-Replayed"] == "true"
    with api.engine.connect() as connection:
        [kept] = connection.execute(sa.select(idempotency_keys))
    assert PASSWORD.encode() not in bytes(kept.body)
    assert b"argon2" not in bytes(kept.body)
    assert api.post("/tokens", json={"username": "anna.b_1", "password": PASSWORD}).status_code == 201


def test_a_repeated_key_with_another_body_is_refused_and_another_strangers_key_is_another_key(api: Api) -> None:
    headers = {"Idempotency-Key": "a"}
    assert api.post("/users", json=ANNA, headers=headers).status_code == 201
    problem(api.post("/users", json={**ANNA, "bio": "x"}, headers=headers), 422, "idempotency-key-reused")
    bert = {**ANNA, "username": "bert", "email": "bert@example.org"}
    answer = api.post("/users", json=bert, headers=headers)
    assert (answer.status_code, answer.json()["email"]) == (201, "bert@example.org")


def test_of_many_who_want_one_name_at_once_one_gets_it(api: Api) -> None:
    def sign_up(number: int) -> int:
        name = "anna" if number % 2 else "ANNA"
        return api.post("/users", json={**ANNA, "username": name, "email": f"a{number}@example.org"}).status_code

    statuses = Counter(at_once(6, sign_up))
    assert statuses == {201: 1, 409: 5}
    assert len(stored(api)) == 1


@pytest.fixture(scope="module")
def closed(running_api: Api) -> Iterator[Api]:
    """The application over the same database, with SIGN_UP off."""
    with Api(running_api.settings.model_copy(update={"sign_up": False}), running_api.url) as started:
        yield started


def test_where_sign_up_is_closed_nobody_signs_up_and_all_others_go_on(closed: Api, api: Api) -> None:
    problem(closed.post("/users", json=ANNA), 403, "sign-up-closed")
    assert stored(api) == []
    api.person("bert")
    assert closed.post("/tokens", json={"username": "bert", "password": PASSWORD}).status_code == 201
