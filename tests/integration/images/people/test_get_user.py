"""GET /users/{username}."""

import pytest
from tests.factories.people import add_follows, add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_somebody_is_answered_whole_and_without_email(api: Api) -> None:
    berts = api.person("bert", display_name="Bert", bio="Dogs.")
    annas = api.person("Anna")
    body = api.get("/users/bert", headers=annas).json()
    assert body == {
        "id": body["id"],
        "username": "bert",
        "display_name": "Bert",
        "bio": "Dogs.",
        "follower_count": 0,
        "following_count": 0,
        "post_count": 0,
        "followed": False,
        "created_at": body["created_at"],
        "updated_at": body["updated_at"],
    }
    assert api.get("/users/bert").json() == {**body, "followed": None}
    assert api.get("/users/bert", headers=api.credentials()).json() == {**body, "followed": None}
    assert api.get("/users/bert", headers=berts).json() == {**body, "followed": None, "email": "bert@example.org"}


@pytest.mark.parametrize("name", ["me", "ME", "anna", "ANNA"])
def test_oneself_is_answered_with_the_email_address(api: Api, name: str) -> None:
    body = api.get(f"/users/{name}", headers=api.person("Anna")).json()
    assert (body["username"], body["email"], body["followed"]) == ("Anna", "Anna@example.org", None)


def test_the_counts_and_whether_the_caller_follows_it(api: Api) -> None:
    annas, berts = api.person("anna"), api.person("bert")
    with api.engine.begin() as connection:
        anna, bert, carl = (add_person(connection, name) for name in ("anna", "bert", "carl"))
        add_follows(connection, [(anna, bert), (carl, bert), (bert, carl)])
    seen = api.get("/users/bert", headers=annas).json()
    assert (seen["follower_count"], seen["following_count"], seen["followed"]) == (2, 1, True)
    assert api.get("/users/anna", headers=berts).json()["followed"] is False


def test_nobody_and_programs_are_not_me(api: Api) -> None:
    for headers in ({}, api.credentials()):
        answer = api.get("/users/me", headers=headers)
        problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_nobody_of_this_name_is_404(api: Api) -> None:
    api.person("anna")
    for name in ("bert", "ann", "annaa", "a_na", "..."):
        problem(api.get(f"/users/{name}"), 404, "not-found")


@pytest.mark.parametrize("name", ["ab", "a" * 31, "a b", "a%00b", "anna%0A", "ännä", "%25", "a'b", "anna;x=1"])
def test_what_is_no_name_is_refused(api: Api, name: str) -> None:
    problem(api.get(f"/users/{name}"), 400, "invalid-request")
