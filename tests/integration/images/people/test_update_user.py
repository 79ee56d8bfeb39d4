"""PATCH /users/{username}."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.people import PASSWORD
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.threads import at_once

from shelflist.images.people import accounts, passwords
from shelflist.images.people.tables import users


def change(api: Api, headers: Headers, name: str = "me", **body: Any) -> Any:
    return api.patch(f"/users/{name}", json=body, headers=headers)


def logs_in(api: Api, username: str, password: str = PASSWORD) -> bool:
    return api.post("/tokens", json={"username": username, "password": password}).status_code == 201


@pytest.mark.parametrize("name", ["me", "anna", "ANNA"])
def test_what_is_sent_changes_and_the_rest_stays(api: Api, name: str) -> None:
    headers = api.person(bio="Cats.")
    before = api.get("/users/me", headers=headers).json()
    answer = change(api, headers, name, display_name=" Änna ")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body == {**before, "display_name": "Änna", "updated_at": body["updated_at"]}
    assert body["updated_at"] > before["updated_at"]
    assert api.get("/users/me", headers=headers).json() == body


def test_null_and_spaces_take_the_name_away(api: Api) -> None:
    headers = api.person(display_name="Anna", bio="Cats.")
    body = change(api, headers, display_name=None, bio="  ").json()
    assert (body["display_name"], body["bio"]) == (None, None)


def test_a_new_name_is_found_and_the_old_one_is_free(api: Api) -> None:
    headers = api.person(display_name="Anna")
    assert change(api, headers, username="Bertha").json()["username"] == "Bertha"
    assert [user["username"] for user in api.get("/users?q=berth").json()["users"]] == ["Bertha"]
    assert [user["username"] for user in api.get("/users?q=anna").json()["users"]] == ["Bertha"]
    change(api, headers, display_name=None)
    assert api.get("/users?q=anna").json()["users"] == []
    problem(api.get("/users/anna"), 404)
    assert change(api, api.person("carl"), username="anna").status_code == 200
    assert api.get("/users/me", headers=headers).json()["username"] == "Bertha"


def test_ones_own_name_in_another_case_is_not_taken(api: Api) -> None:
    headers = api.person()
    assert change(api, headers, username="ANNA").json()["username"] == "ANNA"
    answer = change(api, headers, email="ANNA@example.org", current_password=PASSWORD)
    assert answer.json()["email"] == "ANNA@example.org"


@pytest.mark.parametrize(
    ("body", "slug"),
    [({"username": "BERT"}, "username-taken"), ({"email": "Bert@Example.org"}, "email-taken")],
)
def test_what_somebody_has_is_a_conflict(api: Api, body: dict[str, str], slug: str) -> None:
    api.person("bert")
    headers = api.person()
    before = api.get("/users/me", headers=headers).json()
    problem(change(api, headers, **body, bio="x", current_password=PASSWORD), 409, slug)
    assert api.get("/users/me", headers=headers).json() == before


def test_a_new_password_ends_all_other_tokens(api: Api) -> None:
    headers, other, berts = api.person(), api.person(), api.person("bert")
    answer = change(api, headers, password="another password", current_password=PASSWORD)
    assert answer.status_code == 200, answer.text
    assert api.get("/users/me", headers=headers).status_code == 200
    problem(api.get("/users/me", headers=other), 401, "invalid-token")
    assert api.get("/users/me", headers=berts).status_code == 200
    assert logs_in(api, "anna", "another password")
    assert not logs_in(api, "anna")
    assert logs_in(api, "bert")


def test_a_new_email_address_ends_no_token_and_is_logged_in_by(api: Api) -> None:
    headers, other = api.person(), api.person()
    answer = change(api, headers, email="new@example.org", current_password=PASSWORD)
    assert answer.json()["email"] == "new@example.org"
    assert api.get("/users/me", headers=other).json()["email"] == "new@example.org"
    assert logs_in(api, "new@example.org")
    assert not logs_in(api, "anna@example.org")


@pytest.mark.parametrize("body", [{"password": "another password"}, {"email": "new@example.org"}])
def test_both_need_the_present_password(api: Api, body: dict[str, str]) -> None:
    headers = api.person()
    before = api.get("/users/me", headers=headers).json()
    answer = problem(change(api, headers, **body), 422, "unprocessable")
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [("current_password", "missing")]
    problem(change(api, headers, **body, current_password="another password"), 403, "wrong-password")
    problem(change(api, headers, **body, current_password=None), 400, "invalid-request")
    assert api.get("/users/me", headers=headers).json() == before
    assert logs_in(api, "anna")


@pytest.mark.parametrize("password", ["anna_anna", "NEW@example.org"])
def test_a_password_is_not_the_new_name_either(api: Api, password: str) -> None:
    body = {"username": "anna_anna", "email": "new@example.org", "current_password": PASSWORD}
    answer = problem(change(api, api.person(), **body, password=password), 422)
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [("password", "too-easy")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"username": None}, 400),
        ({"email": None, "current_password": PASSWORD}, 400),
        ({"password": None, "current_password": PASSWORD}, 400),
        ({"bio": 1}, 400),
        ({"display_name": "a" * 101}, 400),
        ({"username": "admin"}, 422),
        ({"username": "me"}, 400),
        ({"display_name": "\u202eanna"}, 422),
        ({"bio": "\x00"}, 400),
        ({"bio": "\x1b[31m"}, 422),
    ],
)
def test_what_may_not_be_is_refused_and_changes_nothing(api: Api, body: dict[str, Any], status: int) -> None:
    headers = api.person()
    before = api.get("/users/me", headers=headers).json()
    problem(change(api, headers, **body), status)
    assert api.get("/users/me", headers=headers).json() == before


@pytest.mark.parametrize(
    "name",
    ["id", "follower_count", "post_count", "created_at", "updated_at", "password_hash", "followed", "username_key"],
)
def test_what_is_not_the_callers_to_say_is_refused_by_name(api: Api, name: str) -> None:
    answer = problem(change(api, api.person(), **{"bio": "x", name: 1}), 400)
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [(name, "unknown")]


def test_somebody_elses_account_stays_as_it_is(api: Api) -> None:
    annas, berts = api.person(), api.person("bert")
    before = api.get("/users/me", headers=berts).json()
    problem(change(api, annas, "bert", bio="x"), 403, "not-yours")
    problem(change(api, annas, "bert", password="another password", current_password=PASSWORD), 403, "not-yours")
    problem(change(api, annas, "carl", bio="x"), 404, "not-found")
    for headers in ({}, api.credentials()):
        problem(change(api, headers, "bert", bio="x"), 401, "unauthorized")
    assert api.get("/users/me", headers=berts).json() == before


def test_of_two_new_passwords_at_once_one_holds_and_the_other_is_refused(api: Api) -> None:
    headers = api.person()
    both = ("the first password", "the second password")
    answers = at_once(2, lambda number: change(api, headers, password=both[number], current_password=PASSWORD))
    # Whoever comes second in time may also find the new password in place already.
    assert sorted(answer.status_code for answer in answers) == [200, 403]
    assert [logs_in(api, "anna", password) for password in both] == [answer.status_code == 200 for answer in answers]


def test_a_password_that_changed_since_it_was_proven_proves_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = api.person()

    def change_meanwhile(password: str) -> str:
        with api.engine.begin() as connection:
            connection.execute(users.update().values(password_hash="!"))
        return passwords.hash_password(password)

    monkeypatch.setattr(accounts, "hash_password", change_meanwhile)
    problem(change(api, headers, password="another password", current_password=PASSWORD), 403, "wrong-password")
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(users.c.password_hash)) == "!"
