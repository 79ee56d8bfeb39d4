"""POST /tokens."""

from datetime import UTC, datetime, timedelta
from typing import Any

import argon2
import pytest
import sqlalchemy as sa
from tests.factories.people import PASSWORD, add_person, cheap_hash
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.threads import at_once

from shelflist.images.people import commands, passwords
from shelflist.images.people.tables import access_tokens, users


def log_in(api: Api, username: str = "anna", password: str = PASSWORD) -> Any:
    return api.post("/tokens", json={"username": username, "password": password})


@pytest.mark.parametrize("name", ["anna", "ANNA", "anna@example.org", "Anna@Example.Org"])
def test_somebody_logs_in_by_username_or_email(api: Api, name: str) -> None:
    api.person()
    answer = log_in(api, name)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_at"}
    assert body["token_type"] == "bearer"
    days = datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < days <= timedelta(days=30)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert api.get("/users/me", headers=headers).json()["username"] == "anna"


def test_the_database_holds_no_token_that_could_be_used(api: Api) -> None:
    api.person()
    token = log_in(api).json()["access_token"]
    assert len(token) == 43
    with api.engine.connect() as connection:
        kept = str(connection.execute(sa.select(sa.text("to_jsonb(t)::text FROM access_tokens t"))).all())
    assert token not in kept


def test_each_log_in_makes_a_token_of_its_own(api: Api) -> None:
    api.person()
    assert log_in(api).json()["access_token"] != log_in(api).json()["access_token"]


def test_a_wrong_password_and_an_unknown_name_are_the_same_problem(api: Api) -> None:
    api.person()
    wrong = log_in(api, password="another password")
    documents = [
        problem(answer, 401, "wrong-login")
        for answer in (wrong, log_in(api, "bert"), log_in(api, "bert@example.org"), log_in(api, "%"))
    ]
    assert len({str({**document, "instance": ""}) for document in documents}) == 1
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD.upper(),
        PASSWORD + " ",
        " " + PASSWORD,
        PASSWORD[:-1],
        "x",
        "' OR '1'='1",
        pytest.param(cheap_hash(), id="its hash"),
    ],
)
def test_nearly_the_password_is_not_the_password(api: Api, password: str) -> None:
    api.person()
    problem(log_in(api, password=password), 401, "wrong-login")


def test_an_unknown_name_takes_the_same_work_as_a_wrong_password(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    with api.engine.begin() as connection:
        add_person(connection, "anna", password_hash=passwords.hash_password(PASSWORD))
    worked = []

    class Hasher(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - the library's
            worked.append(argon2.extract_parameters(str(hash)))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_HASHER", Hasher())
    for name in ("anna", "nobody"):
        problem(log_in(api, name, "another password"), 401, "wrong-login")
    assert worked[0] == worked[1]
    assert len(worked) == 2


def test_the_password_of_nobody_opens_nothing(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_nobodys_hash", cheap_hash)
    problem(log_in(api, "nobody"), 401, "wrong-login")


def test_a_hash_of_old_parameters_is_renewed(api: Api) -> None:
    def stored() -> str:
        with api.engine.connect() as connection:
            return str(connection.scalar(sa.select(users.c.password_hash)))

    api.person()
    assert stored() == cheap_hash()
    assert log_in(api).status_code == 201
    renewed = stored()
    assert renewed.startswith("$argon2id$v=19$m=65536,")
    assert log_in(api).status_code == 201
    assert stored() == renewed
    problem(log_in(api, password="another password"), 401, "wrong-login")


def test_letters_are_the_same_composed_and_decomposed(api: Api) -> None:
    with api.engine.begin() as connection:
        add_person(connection, "anna", password_hash=passwords.hash_password("cr\u00e8me br\u00fbl\u00e9e"))
    assert log_in(api, password="cre\u0300me bru\u0302le\u0301e").status_code == 201


def test_a_hash_that_is_none_lets_nobody_in(api: Api) -> None:
    with api.engine.begin() as connection:
        add_person(connection, "anna", password_hash="!")
    problem(log_in(api), 401, "wrong-login")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "anna"},
        {"password": PASSWORD},
        {"username": "anna", "password": None},
        {"username": ["anna"], "password": PASSWORD},
        {"username": {"$ne": ""}, "password": {"$ne": ""}},
        {"username": "", "password": PASSWORD},
        {"username": "a" * 255, "password": PASSWORD},
        {"username": "anna", "password": "a" * 129},
        {"username": "anna", "password": PASSWORD, "grant_type": "password"},
        [],
        "anna",
    ],
)
def test_what_the_document_forbids_is_refused(api: Api, body: Any) -> None:
    api.person()
    problem(api.post("/tokens", json=body), 400, "invalid-request")


def test_a_password_that_changes_during_the_log_in_lets_nobody_in(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.person()

    def change_meanwhile(connection: sa.Connection, *arguments: Any, **named: Any) -> Any:
        with api.engine.begin() as other:
            other.execute(users.update().values(password_hash="!"))
        return log_in_really(connection, *arguments, **named)

    log_in_really = commands.log_in
    monkeypatch.setattr(commands, "log_in", change_meanwhile)
    problem(log_in(api), 401, "wrong-login")


def test_tokens_past_their_time_are_removed(api: Api) -> None:
    old = api.person("bert")
    with api.engine.begin() as connection:
        connection.execute(access_tokens.update().values(expires_at=sa.func.now()))
    api.person("anna")
    assert log_in(api).status_code == 201
    problem(api.get("/users/me", headers=old), 401, "invalid-token")
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(access_tokens)) == 2


def test_of_many_passwords_at_once_few_are_hashed_and_the_rest_is_told_to_come_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.person()
    monkeypatch.setattr(passwords, "WAITING_SECONDS", 0.05)
    with passwords._turn(), passwords._turn():
        answers = at_once(4, lambda _: log_in(api))
    for answer in answers:
        problem(answer, 503, "too-many-logins")
        assert int(answer.headers["Retry-After"]) > 0
    assert log_in(api).status_code == 201
