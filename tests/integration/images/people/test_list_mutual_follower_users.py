"""GET /users/{username}/mutual-followers."""

import pytest
from tests.factories.people import add_follows, add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.statements import statements
from tests.fixtures.walking import walk

NAMES = [f"person_{number:02}" for number in range(12)]


@pytest.fixture
def circle(api: Api) -> Api:
    """Anna, whom all of NAMES follow, and Bert, whom each second one follows, Anna too, in another order."""
    with api.engine.begin() as connection:
        anna, bert = add_person(connection, "anna"), add_person(connection, "bert")
        ids = {name: add_person(connection, name) for name in NAMES}
        pairs = [(ids[name], anna) for name in reversed(NAMES)] + [(ids[name], bert) for name in NAMES[::2]]
        add_follows(connection, [*pairs, (anna, bert), (bert, anna)])
    return api


def test_those_who_follow_both_come_newest_follower_of_that_person_first(circle: Api) -> None:
    headers = circle.person("anna")
    body = circle.get("/users/bert/mutual-followers", headers=headers).json()
    assert [user["username"] for user in body["users"]] == NAMES[::2][::-1]
    theirs = circle.get("/users/anna/mutual-followers", headers=circle.person("bert")).json()
    assert [user["username"] for user in theirs["users"]] == NAMES[::2]


@pytest.mark.parametrize("page_size", [1, 5, 6])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_everybody_comes_once_on_pages_of_any_size(circle: Api, page_size: int, desc: str) -> None:
    path, headers = "/users/bert/mutual-followers", circle.person("anna")
    rows = walk(circle, path, "users", headers, page_size=page_size, desc=desc)
    assert [user["username"] for user in rows] == (NAMES[::2][::-1] if desc == "true" else NAMES[::2])


def test_with_oneself_all_followers_are_mutual(circle: Api) -> None:
    headers = circle.person("anna")
    found = {
        path: [user["id"] for user in walk(circle, f"/users/me/{path}", "users", headers)]
        for path in ("followers", "mutual-followers")
    }
    assert found["mutual-followers"] == found["followers"] != []


def test_a_page_is_one_statement(circle: Api) -> None:
    headers = circle.person("anna")
    with statements() as seen:
        assert circle.get("/users/bert/mutual-followers", headers=headers).status_code == 200
    assert len(seen) == 2


def test_there_may_be_none_and_nobody_of_this_name_is_404(circle: Api) -> None:
    headers = circle.person(NAMES[0])
    assert circle.get("/users/bert/mutual-followers", headers=headers).json() == {"users": [], "next_cursor": None}
    problem(circle.get("/users/zoe/mutual-followers", headers=headers), 404, "not-found")


def test_strangers_and_programs_share_followers_with_nobody(circle: Api) -> None:
    for headers in ({}, circle.credentials()):
        problem(circle.get("/users/bert/mutual-followers", headers=headers), 401, "unauthorized")
