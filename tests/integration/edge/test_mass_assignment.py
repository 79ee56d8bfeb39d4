"""Fields that a body may not set."""

from typing import Any

import pytest
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

OURS = {
    "id": "00000000-0000-7000-8000-000000000000",
    "source": "imdb",
    "created_at": "1999-01-01T00:00:00Z",
    "updated_at": "1999-01-01T00:00:00Z",
    "imdb_id": "tt0111161",
    "title_key": "a",
    "owner": "somebody",
    "client_id": "somebody",
    "user": "somebody",
    "token_info": {},
    "movie_id": "tt0111161",
    "body": {"title": "x"},
    "scopes": ["admin"],
    "is_admin": True,
    "__class__": {},
    "constructor": {},
    "": 1,
    "Title": "another case",
    "title ": "a space",
    "titlе": "a Cyrillic letter",
    "genres[]": ["Action"],
}


@pytest.mark.parametrize(("name", "value"), OURS.items(), ids=repr)
def test_a_field_that_is_not_the_callers_is_refused_by_name(api: Api, name: str, value: Any) -> None:
    headers = api.credentials()
    answer = api.post("/movies", json={"title": "x", name: value}, headers=headers)
    assert [(error["name"], error["code"]) for error in problem(answer, 400)["errors"]] == [(name, "unknown")]
    assert api.get("/movies").json()["movies"] == []


@pytest.mark.parametrize(("name", "value"), OURS.items(), ids=repr)
def test_a_change_of_such_a_field_is_refused_and_changes_nothing(api: Api, name: str, value: Any) -> None:
    headers = api.credentials()
    [movie_id] = add_movies(api.engine, [{"title": "before"}])
    before = api.get(f"/movies/{movie_id}").json()
    answer = api.patch(f"/movies/{movie_id}", json={"title": "after", name: value}, headers=headers)
    assert [error["name"] for error in problem(answer, 400)["errors"]] == [name]
    assert api.get(f"/movies/{movie_id}").json() == before


def test_all_of_them_at_once_are_all_named(api: Api) -> None:
    answer = api.post("/movies", json={"title": "x", **OURS}, headers=api.credentials())
    assert {error["name"] for error in problem(answer, 400)["errors"]} == set(OURS)


@pytest.mark.parametrize("name", ["id", "source", "user", "token_info", "body"])
def test_a_query_does_not_set_them_either(api: Api, name: str) -> None:
    headers = api.credentials()
    problem(api.post(f"/movies?{name}=imdb", json={"title": "x"}, headers=headers), 400, "invalid-request")
    assert api.get("/movies").json()["movies"] == []
