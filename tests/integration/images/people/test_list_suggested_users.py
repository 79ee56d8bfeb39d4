"""GET /users/suggestions."""

from typing import Any

import pytest
from tests.factories.people import add_follows, add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.statements import statements
from tests.fixtures.walking import walk

FRIENDS = [f"friend_{number}" for number in range(4)]
CANDIDATES = [f"candidate_{number}" for number in range(4)]


@pytest.fixture
def friends(api: Api) -> Api:
    """Anna, who follows all friends; friend n follows candidates n and up, so candidate n has n + 1 friends in common.

    The friends follow Anna and one another, and a candidate follows somebody whom none of them does.
    """
    with api.engine.begin() as connection:
        anna, far = add_person(connection, "anna"), add_person(connection, "far_away")
        known = [add_person(connection, name) for name in FRIENDS]
        others = [add_person(connection, name) for name in CANDIDATES]
        pairs = [(anna, friend) for friend in known] + [(friend, anna) for friend in known]
        pairs += [(known[0], known[1]), (known[1], known[2]), (others[0], far), (far, anna)]
        pairs += [(friend, other) for number, friend in enumerate(known) for other in others[number:]]
        add_follows(connection, pairs)
    return api


def found(api: Api, **query: Any) -> list[tuple[str, int]]:
    answer = api.get("/users/suggestions", params=query, headers=api.person("anna"))
    assert answer.status_code == 200, answer.text
    return [(user["username"], user["common_count"]) for user in answer.json()["users"]]


def test_friends_of_friends_come_by_number_in_common(friends: Api) -> None:
    expected = [(name, number + 1) for number, name in enumerate(CANDIDATES)]
    assert found(friends) == expected[::-1]
    assert found(friends, desc="false") == expected


def test_a_suggestion_is_a_user_with_the_number_in_common(friends: Api) -> None:
    headers = friends.person("anna")
    [first, *_] = friends.get("/users/suggestions", headers=headers).json()["users"]
    assert first == {**friends.get("/users/candidate_3", headers=headers).json(), "common_count": 4}
    assert first["followed"] is False


def test_whom_the_caller_follows_by_now_is_suggested_no_longer(friends: Api) -> None:
    assert friends.put("/users/candidate_3/follow", headers=friends.person("anna")).status_code == 204
    assert [name for name, _ in found(friends)] == CANDIDATES[2::-1]


@pytest.mark.parametrize("page_size", [1, 2, 3, 4])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_everybody_comes_once_ties_by_id(api: Api, page_size: int, desc: str) -> None:
    with api.engine.begin() as connection:
        anna, bert, carl = (add_person(connection, name) for name in ("anna", "bert", "carl"))
        others = [add_person(connection, f"candidate_{number}") for number in range(9)]
        pairs = [
            (anna, bert),
            (anna, carl),
            *((bert, other) for other in others),
            *((carl, other) for other in others[5:]),
        ]
        add_follows(connection, pairs)
    rows = walk(api, "/users/suggestions", "users", api.person("anna"), page_size=page_size, desc=desc)
    counted = [(user["common_count"], user["id"]) for user in rows]
    assert (
        counted
        == sorted([(2, other) for other in others[5:]] + [(1, other) for other in others[:5]])[
            :: -1 if desc == "true" else 1
        ]
    )


def test_a_page_is_one_statement(friends: Api) -> None:
    headers = friends.person("anna")
    with statements() as seen:
        assert friends.get("/users/suggestions", headers=headers).status_code == 200
    assert len(seen) == 2


def test_who_follows_nobody_gets_none(friends: Api) -> None:
    answer = friends.get("/users/suggestions", headers=friends.person("zoe"))
    assert answer.json() == {"users": [], "next_cursor": None}


def test_a_cursor_is_the_callers_alone(friends: Api) -> None:
    cursor = friends.get("/users/suggestions?page_size=1", headers=friends.person("anna")).json()["next_cursor"]
    others = friends.person("friend_0")
    problem(friends.get("/users/suggestions", params={"cursor": cursor}, headers=others), 400, "cursor-mismatch")


def test_strangers_and_programs_know_nobody(friends: Api) -> None:
    for headers in ({}, friends.credentials()):
        problem(friends.get("/users/suggestions", headers=headers), 401, "unauthorized")
