"""GET /users/{username}/followers."""

import pytest
from tests.factories.people import add_follows, add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.statements import statements
from tests.fixtures.walking import walk

NAMES = [f"person_{number:02}" for number in range(23)]


@pytest.fixture
def followed(api: Api) -> Api:
    """Anna, whom all of NAMES follow, one after the other, and who follows the first."""
    with api.engine.begin() as connection:
        anna = add_person(connection, "anna")
        others = [add_person(connection, name) for name in NAMES]
        add_follows(connection, [(other, anna) for other in others] + [(anna, others[0]), (others[1], others[2])])
    return api


def test_followers_come_newest_first(followed: Api) -> None:
    body = followed.get("/users/anna/followers", params={"page_size": 3}).json()
    assert [user["username"] for user in body["users"]] == NAMES[:-4:-1]
    assert body["next_cursor"] is not None
    oldest = followed.get("/users/anna/followers", params={"page_size": 3, "desc": "false"}).json()
    assert [user["username"] for user in oldest["users"]] == NAMES[:3]


@pytest.mark.parametrize("page_size", [1, 7, 22, 23])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_follower_comes_once_on_pages_of_any_size(followed: Api, page_size: int, desc: str) -> None:
    rows = walk(followed, "/users/anna/followers", "users", page_size=page_size, desc=desc)
    assert [user["username"] for user in rows] == (NAMES[::-1] if desc == "true" else NAMES)


def test_ties_of_the_moment_lose_nobody(followed: Api) -> None:
    from shelflist.images.people.tables import follows

    with followed.engine.begin() as connection:
        connection.execute(follows.update().values(created_at="2026-11-21T09:30:00Z"))
    for desc in ("true", "false"):
        rows = walk(followed, "/users/anna/followers", "users", page_size=4, desc=desc)
        assert sorted(user["username"] for user in rows) == NAMES


def test_those_who_stay_come_once_while_others_come_and_go(followed: Api) -> None:
    gone, come = NAMES[5], followed.person("zoe")
    headers = followed.person(gone)

    def change(_: object) -> None:
        assert followed.delete("/users/anna/follow", headers=headers).status_code == 204
        assert followed.put("/users/anna/follow", headers=come).status_code == 204

    rows = walk(followed, "/users/anna/followers", "users", between=change, page_size=5)
    found = [user["username"] for user in rows]
    assert [name for name in found if name not in (gone, "zoe")] == [name for name in NAMES[::-1] if name != gone]


def test_the_caller_sees_whom_it_follows_and_nobody_sees_an_email(followed: Api) -> None:
    answer = followed.get("/users/me/followers", params={"desc": "false"}, headers=followed.person("anna"))
    assert [user["followed"] for user in answer.json()["users"]] == [True, *[False] * 9]
    assert "@" not in answer.text
    assert followed.get("/users/anna/followers").json()["users"][0]["followed"] is None


def test_a_page_is_one_statement(followed: Api) -> None:
    headers = followed.person("anna")
    with statements() as seen:
        assert followed.get(f"/users/{NAMES[0]}/followers", headers=headers).status_code == 200
    assert len([text for text in seen if "follows" in text]) == 1
    # Beside it only the look-up of the token.
    assert len(seen) == 2


def test_nobody_has_none_and_nobody_of_this_name_is_404(followed: Api) -> None:
    assert followed.get(f"/users/{NAMES[5]}/followers").json() == {"users": [], "next_cursor": None}
    problem(followed.get("/users/zoe/followers"), 404, "not-found")
    problem(followed.get("/users/me/followers"), 401, "unauthorized")


def test_a_cursor_is_bound_to_the_person_and_the_list(followed: Api) -> None:
    annas, others = followed.person("anna"), followed.person(NAMES[0])
    cursor = followed.get("/users/me/followers?page_size=1", headers=annas).json()["next_cursor"]
    for path, headers in (
        ("/users/me/followers", others),
        ("/users/person_00/followers", annas),
        ("/users/me/following", annas),
        ("/users/me/mutual-followers", annas),
    ):
        problem(followed.get(path, params={"cursor": cursor}, headers=headers), 400, "cursor-mismatch")
