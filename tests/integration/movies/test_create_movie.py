"""POST /movies."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.fixtures.api import Api

WHOLE = {
    "title": "The Long Way Down",
    "original_title": "Der lange Weg hinab",
    "year": 2024,
    "runtime": 104,
    "rating": 8.6,
    "votes": 1200,
    "genres": ["Action", "Kammerspiel"],
    "imdb_link": "https://www.imdb.com/title/tt0111161/",
}


def test_a_created_movie_is_answered_whole_and_can_be_read_at_its_location(api: Api) -> None:
    answer = api.post("/movies", json=WHOLE, headers=api.credentials())
    assert answer.status_code == 201
    movie = answer.json()
    assert uuid.UUID(movie["id"]).version == 7
    assert {name: movie[name] for name in WHOLE} == WHOLE
    assert (movie["source"], movie["imdb_id"]) == ("user", "tt0111161")
    assert answer.headers["Location"] == f"/movies/{movie['id']}"
    assert api.get(answer.headers["Location"]).json() == movie
    assert api.get("/movies/tt0111161").json() == movie


def test_a_title_is_enough_and_the_rest_is_null(api: Api) -> None:
    movie = api.post("/movies", json={"title": "  Solo  "}, headers=api.credentials()).json()
    assert movie["title"] == "Solo"
    assert movie["genres"] == []
    nulls = {name for name, value in movie.items() if value is None}
    assert nulls == {"original_title", "year", "runtime", "rating", "votes", "imdb_id", "imdb_link"}


def test_unknown_genres_are_created_and_known_ones_keep_their_spelling(api: Api) -> None:
    headers = api.credentials()
    api.post("/movies", json={"title": "a", "genres": ["Heist"]}, headers=headers)
    second = api.post("/movies", json={"title": "b", "genres": ["hEIST", "Heist", "Noir"]}, headers=headers).json()
    assert second["genres"] == ["Heist", "Noir"]
    assert api.get("/genres").json() == {
        "genres": [{"name": "Heist", "movie_count": 2}, {"name": "Noir", "movie_count": 1}],
        "next_cursor": None,
    }


@pytest.mark.parametrize(
    "link",
    [
        "https://www.imdb.com/title/tt0111161/",
        "http://imdb.com/title/tt0111161",
        "https://m.imdb.com/title/tt0111161/reviews?ref_=tt_ov#top",
        "HTTPS://WWW.IMDB.COM/title/tt0111161",
    ],
)
def test_links_to_imdb_are_normalised(api: Api, link: str) -> None:
    movie = api.post("/movies", json={"title": "a", "imdb_link": link}, headers=api.credentials()).json()
    assert movie["imdb_link"] == "https://www.imdb.com/title/tt0111161/"


@pytest.mark.parametrize(
    "link",
    [
        "",
        "tt0111161",
        "https://www.imdb.com/name/nm0000001/",
        "https://www.imdb.com.evil.example/title/tt0111161/",
        "https://evil.example/?https://www.imdb.com/title/tt0111161/",
        "ftp://www.imdb.com/title/tt0111161/",
        "javascript:alert(1)//www.imdb.com/title/tt0111161/",
        "https://www.imdb.com/title/tt0111161/\nX: y",
        "https://www.imdb.com/title/tt01111611111/",
        "https://user:password@www.imdb.com/title/tt0111161/",
    ],
)
def test_any_other_link_is_refused(api: Api, link: str) -> None:
    answer = api.post("/movies", json={"title": "a", "imdb_link": link}, headers=api.credentials())
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/invalid-imdb-link"
    assert answer.json()["errors"][0]["name"] == "imdb_link"


def test_a_known_imdb_id_is_a_conflict(api: Api) -> None:
    headers = api.credentials()
    assert api.post("/movies", json=WHOLE, headers=headers).status_code == 201
    again = api.post("/movies", json=WHOLE, headers=headers)
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/movie-exists"
    assert len(api.get("/movies").json()["movies"]) == 1


def test_the_same_imdb_id_from_many_at_once_is_stored_once(api: Api) -> None:
    headers = api.credentials()

    def post(_: int) -> int:
        return api.post("/movies", json={**WHOLE, "genres": ["New one", "Another"]}, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(post, range(16)))
    assert statuses == [201] + [409] * 15
    assert len(api.get("/movies").json()["movies"]) == 1


@pytest.mark.parametrize(
    ("body", "name", "code"),
    [
        ({}, "title", "missing"),
        ({"title": None}, "title", "wrong-type"),
        ({"title": ""}, "title", "out-of-bounds"),
        ({"title": "x" * 501}, "title", "out-of-bounds"),
        ({"title": 5}, "title", "wrong-type"),
        ({"title": "x", "year": 1869}, "year", "out-of-bounds"),
        ({"title": "x", "year": 2101}, "year", "out-of-bounds"),
        ({"title": "x", "year": "1999"}, "year", "wrong-type"),
        ({"title": "x", "year": 1999.5}, "year", "wrong-type"),
        ({"title": "x", "runtime": 0}, "runtime", "out-of-bounds"),
        ({"title": "x", "runtime": 100001}, "runtime", "out-of-bounds"),
        ({"title": "x", "rating": 10.1}, "rating", "out-of-bounds"),
        ({"title": "x", "rating": True}, "rating", "wrong-type"),
        ({"title": "x", "votes": -1}, "votes", "out-of-bounds"),
        ({"title": "x", "votes": 2**31}, "votes", "out-of-bounds"),
        ({"title": "x", "genres": "Action"}, "genres", "wrong-type"),
        ({"title": "x", "genres": [1]}, "genres.0", "wrong-type"),
        ({"title": "x", "genres": ["x" * 51]}, "genres.0", "out-of-bounds"),
        ({"title": "x", "genres": ["g"] * 31}, "genres", "out-of-bounds"),
        ({"title": "x", "id": "00000000-0000-7000-8000-000000000000"}, "id", "unknown"),
        ({"title": "x", "source": "imdb"}, "source", "unknown"),
        ([], "body", "wrong-type"),
    ],
)
def test_each_wrong_field_is_named(api: Api, body: Any, name: str, code: str) -> None:
    answer = api.post("/movies", json=body, headers=api.credentials())
    assert answer.status_code == 400
    assert [(error["name"], error["code"]) for error in answer.json()["errors"]] == [(name, code)]
    assert api.get("/movies").json()["movies"] == []


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"title": "   "}, "title"),
        ({"title": "x", "rating": 8.55}, "rating"),
        ({"title": "x", "genres": ["  "]}, "genres"),
    ],
)
def test_values_that_no_schema_can_refuse_are_unprocessable(api: Api, body: Any, name: str) -> None:
    answer = api.post("/movies", json=body, headers=api.credentials())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["name"] == name


def test_every_rating_with_one_decimal_is_kept_exactly(api: Api) -> None:
    headers = api.credentials()
    for tenths in range(0, 101):
        movie = api.post("/movies", json={"title": "x", "rating": tenths / 10}, headers=headers).json()
        assert movie["rating"] == tenths / 10
