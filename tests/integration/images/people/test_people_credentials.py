"""Who is taken for whom: tokens that are none, and acts on what is somebody else's (faults 45, 47)."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.images.people.tables import access_tokens
from shelflist.specification import load_specification, operations

ACTS: list[tuple[str, str, Any]] = [
    ("GET", "/users/suggestions", None),
    ("GET", "/users/bert/mutual-followers", None),
    ("PATCH", "/users/me", {"bio": "x"}),
    ("DELETE", "/users/me", None),
    ("PUT", "/users/bert/follow", None),
    ("DELETE", "/users/bert/follow", None),
    ("DELETE", "/tokens/current", None),
]
"""What only a person may do, each as anna would."""
READS = ["/users", "/users/bert", "/users/bert/followers", "/users/bert/following"]
"""What anybody may read."""


def wrong_tokens(token: str) -> dict[str, str]:
    """Return headers that are not quite the right one."""
    first = "a" if token[0] != "a" else "b"
    return {
        "another token": "Bearer " + "x" * 43,
        "one character changed": f"Bearer {first}{token[1:]}",
        "cut": f"Bearer {token[:-1]}",
        "with more behind it": f"Bearer {token}x",
        "another case": f"Bearer {token.swapcase()}",
        "empty": "Bearer ",
        "the scheme alone": "Bearer",
        "10 kB": "Bearer " + "x" * 10_000,
        "two words": f"Bearer {token} {token}",
        "a list": f"Bearer {token}, Bearer {token}",
        "quoted": f'Bearer "{token}"',
        "not ASCII": "Bearer é" + token[1:],
        "a wildcard": "Bearer %",
        "an injection": "Bearer ' OR '1'='1",
    }


def acts(api: Api, headers: Any) -> Iterator[Any]:
    for method, path, body in ACTS:
        yield api.request(method, path, headers=headers, **({"json": body} if body else {}))


def test_every_act_of_people_is_tried_here() -> None:
    tried = {(method.lower(), re.sub(r"/users/(bert|me)\b", "/users/{username}", path)) for method, path, _ in ACTS}
    described = {
        (method, path)
        for path, method, definition in operations(load_specification())
        if definition["tags"] == ["people"] and definition["security"] == [{"bearer": []}]
    }
    assert tried == described


@pytest.mark.parametrize("kind", wrong_tokens("x" * 43))
def test_a_wrong_token_is_refused_on_acts_and_on_open_reads(api: Api, kind: str) -> None:
    right = api.person()["Authorization"].removeprefix("Bearer ")
    api.person("bert")
    headers = [(b"authorization", wrong_tokens(right)[kind].encode("latin-1"))]
    for answer in (*acts(api, headers), *(api.get(path, headers=headers) for path in READS)):
        document = problem(answer, 401, "invalid-token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert right not in str(document)
    assert api.get("/users/me", headers={"Authorization": f"Bearer {right}"}).json()["bio"] is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YW5uYTpjb3JyZWN0"},
        {"Authorization": "Token x"},
        {"Authorization": ""},
        {"Cookie": "access_token=x"},
        {"client-id": "tester"},
    ],
)
def test_without_a_token_nobody_acts(api: Api, headers: Headers) -> None:
    api.person()
    api.person("bert")
    for answer in acts(api, headers):
        problem(answer, 401, "unauthorized")
        assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_a_token_in_the_address_or_in_a_cookie_does_not_count(api: Api) -> None:
    token = api.person()["Authorization"].removeprefix("Bearer ")
    problem(api.get("/users/suggestions", headers={"Cookie": f"access_token={token}"}), 401, "unauthorized")
    assert api.get(f"/users/suggestions?access_token={token}").status_code in (400, 401)


def test_a_program_with_every_scope_is_no_person(api: Api) -> None:
    api.person("bert")
    for answer in acts(api, api.credentials()):
        problem(answer, 401, "unauthorized")


def test_another_scheme_reads_as_anybody(api: Api) -> None:
    api.person("bert")
    answer = api.get("/users/bert", headers={"Authorization": "Basic YW5uYTpjb3JyZWN0"})
    assert (answer.status_code, answer.json()["followed"]) == (200, None)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_scheme_is_read_in_any_case(api: Api, scheme: str) -> None:
    token = api.person()["Authorization"].removeprefix("Bearer ")
    assert api.get("/users/me", headers={"Authorization": f"{scheme} {token}"}).status_code == 200
    assert api.delete("/tokens/current", headers={"Authorization": f"{scheme} {token}"}).status_code == 204
    problem(api.get("/users/me", headers={"Authorization": f"Bearer {token}"}), 401, "invalid-token")


def test_two_authorization_headers_are_one_too_many(api: Api) -> None:
    annas, berts = api.person(), api.person("bert")
    both = [("authorization", annas["Authorization"]), ("authorization", berts["Authorization"])]
    problem(api.get("/users/me", headers=both), 400, "invalid-request")


def test_an_expired_token_is_refused(api: Api) -> None:
    headers = api.person()
    assert api.get("/users/me", headers=headers).status_code == 200
    with api.engine.begin() as connection:
        connection.execute(access_tokens.update().values(expires_at=sa.func.now() - timedelta(seconds=1)))
    for answer in (*acts(api, headers), api.get("/users", headers=headers)):
        problem(answer, 401, "invalid-token")


def test_where_person_and_program_are_sent_the_person_counts(api: Api) -> None:
    both = {**api.credentials(), **api.person()}
    assert api.get("/users/me", headers=both).json()["username"] == "anna"
    problem(api.get("/users/me", headers={**both, "Authorization": "Bearer x"}), 401, "invalid-token")


def test_a_token_that_cannot_be_looked_up_makes_nobody_a_stranger(api: Api) -> None:
    both = {**api.credentials(), **api.person()}
    with api.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE access_tokens RENAME TO gone"))
    try:
        answers = [api.get(path, headers=both) for path in ("/users", "/users/me", "/users/suggestions")]
    finally:
        with api.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE gone RENAME TO access_tokens"))
    for answer in answers:
        problem(answer, 500, "internal-error")


def test_a_person_writes_no_movie(api: Api) -> None:
    problem(api.post("/movies", json={"title": "x"}, headers=api.person()), 401, "unauthorized")


@pytest.fixture(scope="module")
def shut(running_api: Api) -> Iterator[Api]:
    """The application over the same database, with PUBLIC_READS off."""
    with Api(running_api.settings.model_copy(update={"public_reads": False}), running_api.url) as started:
        yield started


def test_where_reads_are_closed_people_and_programs_read_and_strangers_sign_up(shut: Api, api: Api) -> None:
    annas, reader = api.person(), api.credentials("reader", ("read",))
    api.person("bert")
    for path in READS:
        problem(shut.get(path), 401, "unauthorized")
        assert [shut.get(path, headers=headers).status_code for headers in (annas, reader)] == [200, 200]
        problem(shut.get(path, headers=api.credentials("writer" + path.replace("/", "-"), ("write",))), 403)
    new = {"username": "carl", "email": "carl@example.org", "password": "correct horse battery"}
    assert shut.post("/users", json=new).status_code == 201
    assert shut.post("/tokens", json={"username": "carl", "password": "correct horse battery"}).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/users/bert", {"bio": "x"}, 403),
        ("PATCH", "/users/bert", {"email": "anna@example.com", "current_password": "correct horse battery"}, 403),
        ("DELETE", "/users/bert", None, 403),
        ("PATCH", "/users/BERT", {"username": "anna_2"}, 403),
        ("DELETE", "/users/BERT", None, 403),
    ],
)
def test_on_somebody_elses_account_nothing_is_done(
    api: Api, method: str, path: str, body: dict[str, str] | None, status: int
) -> None:
    annas, berts = api.person(), api.person("bert")
    before = api.get("/users/me", headers=berts).json()
    problem(api.request(method, path, json=body, headers=annas), status, "not-yours")
    assert api.get("/users/me", headers=berts).json() == before
