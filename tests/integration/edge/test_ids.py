"""Ids that are none."""

import uuid
from urllib.parse import quote

import pytest
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

UNKNOWN = ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "tt0000001", "tt9999999999"]
NO_ID = [
    "x",
    "0",
    "-1",
    "1e9",
    "null",
    "undefined",
    "tt123",
    "tt01234567890",
    "TT0111161",
    "tt０１１１１６１",
    "nm0000001",
    "{movie_id}",
    "*",
    ".",
    "..",
    " ",
    "%",
    "a/b",
    "00000000000070008000000000000000",
    "{00000000-0000-7000-8000-000000000000}",
    "urn:uuid:00000000-0000-7000-8000-000000000000",
    "00000000-0000-7000-8000-00000000000g",
    "x" * 10_000,
    "9" * 10_000,
]


@pytest.mark.parametrize("movie_id", UNKNOWN)
def test_an_id_of_no_movie_is_404(api: Api, movie_id: str) -> None:
    headers = api.credentials()
    problem(api.get(f"/movies/{movie_id}"), 404, "not-found")
    problem(api.patch(f"/movies/{movie_id}", json={"year": 2000}, headers=headers), 404, "not-found")
    problem(api.delete(f"/movies/{movie_id}", headers=headers), 404, "not-found")
    problem(api.get("/movies", params={"after_id": movie_id}), 404, "not-found")


@pytest.mark.parametrize("movie_id", NO_ID, ids=lambda movie_id: movie_id[:40])
def test_what_is_no_id_is_refused(api: Api, movie_id: str) -> None:
    headers = api.credentials()
    path = f"/movies/{quote(movie_id, safe='').replace('.', '%2E')}"
    for answer in (
        api.get(path),
        api.patch(path, json={"year": 2000}, headers=headers),
        api.delete(path, headers=headers),
    ):
        assert answer.status_code in (400, 404)
        problem(answer, answer.status_code)
        assert len(answer.content) < 2_000
    problem(api.get("/movies", params={"after_id": movie_id}), 400, "invalid-request")


@pytest.mark.parametrize("ending", ["\n", "\r\n", " ", "\t", "\0", "/", "/.", "%", "\u2028", "x"])
def test_an_id_with_something_behind_it_is_not_that_id(api: Api, ending: str) -> None:
    [movie_id] = add_movies(api.engine, [{"title": "a"}])
    headers = api.credentials()
    path = f"/movies/{movie_id}{quote(ending, safe='')}"
    assert api.get(path).status_code in (400, 404)
    assert api.delete(path, headers=headers).status_code in (400, 404, 405)
    problem(api.get("/movies", params={"after_id": movie_id + ending}), 400, "invalid-request")
    assert api.get(f"/movies/{movie_id}").status_code == 200


def test_an_id_in_capitals_is_refused(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"title": "a"}])
    problem(api.get(f"/movies/{movie_id.upper()}"), 400, "invalid-request")
    problem(api.get("/movies", params={"after_id": movie_id.upper()}), 400, "invalid-request")


@pytest.mark.parametrize(
    "path",
    ["/movies/", "//movies", "/movies//", "/Movies", "/movies/a/b", "/movies%2F", "/movies;a=b", "/movies/..%2Fgenres"],
)
def test_a_path_that_only_looks_like_one_of_ours_is_404_and_never_a_redirect(api: Api, path: str) -> None:
    problem(api.http.request("GET", f"http://testserver{path}"), 404, "not-found")


@pytest.mark.parametrize(
    "path", ["/docs/..%2F..%2Fpyproject.toml", "/docs/%2E%2E/%2E%2E/openapi.yml", "/docs/%2Fetc%2Fpasswd", "/docs/nope"]
)
def test_the_documentation_serves_no_other_files(api: Api, path: str) -> None:
    problem(api.get(path), 404, "not-found")


def test_a_uuid_of_another_version_is_only_unknown(api: Api) -> None:
    problem(api.get(f"/movies/{uuid.uuid1()}"), 404, "not-found")
