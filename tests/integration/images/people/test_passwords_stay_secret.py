"""Passwords, tokens, hashes and e-mail addresses: in no log and in no problem, whatever fails."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fixtures.server import serving

from shelflist.shared.database import create_engine

PASSWORD = "hunter2-and-then-some-more"
OTHER = "hunter3-and-then-some-more"
EMAIL = "hunter@example.org"
SIGN_UP = {"username": "anna", "email": EMAIL, "password": PASSWORD}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_server_that_is_told_passwords_and_loses_its_tables_repeats_none(
    database_url: str, tmp_path: Path, log_format: str
) -> None:
    answers: list[Any] = []
    with serving(database_url, tmp_path, LOG_LEVEL="DEBUG", LOG_FORMAT=log_format) as server:

        def post(path: str, body: Any, **headers: str) -> Any:
            answers.append(server.http.post(path, json=body, headers=headers))
            return answers[-1]

        assert post("/users", SIGN_UP, **{"Idempotency-Key": "a"}).status_code == 201
        token = post("/tokens", {"username": "anna", "password": PASSWORD}).json()["access_token"]
        told = [answers.pop().text, answers.pop().text]
        headers = {"Authorization": f"Bearer {token}"}

        def fail() -> None:
            post("/users", {**SIGN_UP, "username": "bert"})
            post("/users", {**SIGN_UP, "username": PASSWORD})
            post("/users", {**SIGN_UP, "username": "carl", "email": PASSWORD})
            post("/users", {**SIGN_UP, "email": "b@example.org", "password": [PASSWORD]})
            post("/users", {**SIGN_UP, "display_name": {"a": PASSWORD}})
            post("/tokens", {"username": EMAIL, "password": OTHER})
            post("/tokens", {"username": PASSWORD, "password": PASSWORD})
            post("/tokens", {"username": "anna", "password": PASSWORD, "token": token})
            answers.append(server.http.post("/tokens", content=json.dumps({"password": PASSWORD})[:-1]))
            answers.append(server.get(f"/users?access_token={token}&password={PASSWORD}"))
            for body in ({"password": OTHER}, {"password": OTHER, "current_password": OTHER}, {"email": PASSWORD}):
                answers.append(server.http.patch("/users/me", json=body, headers=headers))
            answers.append(server.get("/users/me", headers={"Authorization": f"Bearer {token}x"}))

        fail()
        engine = create_engine(database_url, "tests")
        with engine.begin() as connection:
            stored = connection.scalar(sa.text("SELECT password_hash FROM users"))
            connection.execute(sa.text("ALTER TABLE users RENAME COLUMN search_key TO gone"))
        fail()
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE access_tokens RENAME TO gone"))
        fail()
        engine.dispose()
    assert {answer.status_code for answer in answers} >= {400, 401, 403, 409, 422, 500}
    assert EMAIL in told[1]
    assert PASSWORD not in told[1]
    log, problems = server.text(), "".join(f"{answer.headers} {answer.text}" for answer in answers)
    assert "Traceback" in log
    for secret in (PASSWORD, OTHER, token, EMAIL, stored, "argon2id"):
        assert secret not in log
        assert secret not in problems
