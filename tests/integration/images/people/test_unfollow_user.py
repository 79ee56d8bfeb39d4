"""DELETE /users/{username}/follow."""

import pytest
from tests.factories.people import add_follows, add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_following_ends_however_often_it_is_asked_for_and_only_ones_own(api: Api) -> None:
    annas = api.person("anna")
    with api.engine.begin() as connection:
        anna, bert, carl = (add_person(connection, name) for name in ("anna", "bert", "carl"))
        add_follows(connection, [(anna, bert), (bert, anna), (carl, bert)])
    for _ in range(2):
        answer = api.delete("/users/Bert/follow", headers=annas)
        assert (answer.status_code, answer.content) == (204, b"")
    seen = api.get("/users/bert", headers=annas).json()
    assert (seen["followed"], seen["follower_count"], seen["following_count"]) == (False, 1, 1)
    mine = api.get("/users/me", headers=annas).json()
    assert (mine["follower_count"], mine["following_count"]) == (1, 0)


@pytest.mark.parametrize("name", ["me", "anna"])
def test_oneself_is_not_followed_already(api: Api, name: str) -> None:
    assert api.delete(f"/users/{name}/follow", headers=api.person("anna")).status_code == 204


def test_nobody_of_this_name_is_404_and_strangers_are_401(api: Api) -> None:
    problem(api.delete("/users/bert/follow", headers=api.person("anna")), 404, "not-found")
    for headers in ({}, api.credentials()):
        problem(api.delete("/users/anna/follow", headers=headers), 401, "unauthorized")
