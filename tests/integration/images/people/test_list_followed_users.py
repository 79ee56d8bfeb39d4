"""GET /users/{username}/following."""

import pytest
from tests.factories.people import add_follows, add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.statements import statements
from tests.fixtures.walking import walk

NAMES = [f"person_{number:02}" for number in range(12)]


@pytest.fixture
def following(api: Api) -> Api:
    """Anna, who follows all of NAMES, one after the other, and whom the first follows."""
    with api.engine.begin() as connection:
        anna = add_person(connection, "anna")
        others = [add_person(connection, name) for name in NAMES]
        add_follows(connection, [(anna, other) for other in others] + [(others[0], anna), (others[1], others[2])])
    return api


def test_those_followed_last_come_first(following: Api) -> None:
    body = following.get("/users/anna/following").json()
    assert [user["username"] for user in body["users"]] == NAMES[:-11:-1]
    headers = following.person("anna")
    assert {user["followed"] for user in following.get("/users/me/following", headers=headers).json()["users"]} == {
        True
    }


@pytest.mark.parametrize("page_size", [1, 5, 11, 12])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_everybody_comes_once_on_pages_of_any_size(following: Api, page_size: int, desc: str) -> None:
    rows = walk(following, "/users/ANNA/following", "users", page_size=page_size, desc=desc)
    assert [user["username"] for user in rows] == (NAMES[::-1] if desc == "true" else NAMES)


def test_a_page_is_one_statement(following: Api) -> None:
    headers = following.person("anna")
    with statements() as seen:
        assert following.get("/users/me/following", headers=headers).status_code == 200
    assert len(seen) == 2


def test_nobody_has_none_and_nobody_of_this_name_is_404(following: Api) -> None:
    assert following.get(f"/users/{NAMES[5]}/following").json() == {"users": [], "next_cursor": None}
    problem(following.get("/users/zoe/following"), 404, "not-found")
    problem(following.get("/users/me/following"), 401, "unauthorized")
