"""GET /users."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.people import add_follows, add_person
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.walking import walk

from shelflist.images.people.tables import users


def names(api: Api, headers: Headers | None = None, **query: Any) -> list[str]:
    answer = api.get("/users", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return [user["username"] for user in answer.json()["users"]]


@pytest.fixture
def people(api: Api) -> Api:
    with api.engine.begin() as connection:
        for name, shown in {
            "bert": "Ännchen",
            "Anna": None,
            "carl_x": "Carl",
            "dora": "Annabel",
            "ed.w": "100%",
        }.items():
            add_person(connection, name, display_name=shown)
    return api


def test_people_come_by_username_without_case(people: Api) -> None:
    assert names(people) == ["Anna", "bert", "carl_x", "dora", "ed.w"]
    assert names(people, desc="true") == ["ed.w", "dora", "carl_x", "bert", "Anna"]


def test_people_come_by_when_they_signed_up(people: Api) -> None:
    with people.engine.begin() as connection:
        for number, name in enumerate(("dora", "bert", "ed.w", "carl_x", "Anna")):
            moment = sa.func.now() + sa.text(f"interval '{number} seconds'")
            connection.execute(users.update().where(users.c.username == name).values(created_at=moment))
    assert names(people, sort="created_at") == ["dora", "bert", "ed.w", "carl_x", "Anna"]
    assert names(people, sort="created_at", desc="true") == ["Anna", "carl_x", "ed.w", "bert", "dora"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("ann", ["Anna", "bert", "dora"]),
        ("ÄNN", ["Anna", "bert", "dora"]),
        ("carl_", ["carl_x"]),
        ("carl_x carl", ["carl_x"]),
        ("0%", ["ed.w"]),
        ("w 1", ["ed.w"]),
        ("xyz", []),
        ("__", []),
        ("%%", []),
        ("example.org", []),
    ],
)
def test_q_searches_both_names_and_nothing_else(people: Api, q: str, found: list[str]) -> None:
    assert names(people, q=q) == found


@pytest.mark.parametrize("query", [{"q": "a"}, {"q": "a" * 101}, {"q": "  "}, {"sort": "email"}, {"email": "a@b.org"}])
def test_what_the_document_forbids_is_refused(api: Api, query: dict[str, str]) -> None:
    answer = problem(api.get("/users", params=query), 400, "invalid-request")
    assert [error["name"] for error in answer["errors"]] == list(query)


@pytest.mark.parametrize("sort", ["username", "created_at"])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_person_comes_once_on_pages_of_any_size(api: Api, sort: str, desc: str) -> None:
    with api.engine.begin() as connection:
        for number in range(23):
            add_person(connection, f"person_{number:02}")
    ordered = names(api, page_size=100, sort=sort, desc=desc)
    assert len(ordered) == 23
    for page_size in (1, 7, 22, 23):
        rows = walk(api, "/users", "users", page_size=page_size, sort=sort, desc=desc)
        assert [user["username"] for user in rows] == ordered


def test_a_list_says_whom_the_caller_follows_and_shows_nobodys_email(api: Api) -> None:
    annas = api.person("anna")
    with api.engine.begin() as connection:
        anna, bert, _ = (add_person(connection, name) for name in ("anna", "bert", "carl"))
        add_follows(connection, [(anna, bert)])
    answer = api.get("/users", headers=annas)
    assert [user["followed"] for user in answer.json()["users"]] == [None, True, False]
    assert [user["followed"] for user in api.get("/users").json()["users"]] == [None, None, None]
    assert "@" not in answer.text
    assert "argon2" not in answer.text


def test_a_cursor_is_bound_to_its_search(people: Api) -> None:
    cursor = people.get("/users", params={"q": "ann", "page_size": 1}).json()["next_cursor"]
    problem(people.get("/users", params={"cursor": cursor}), 400, "cursor-mismatch")
    problem(people.get("/users", params={"q": "ann", "cursor": cursor + "x"}), 400, "invalid-cursor")
