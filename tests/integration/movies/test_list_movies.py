"""GET /movies."""

from typing import Any

import pytest
from tests.factories.movies import add_movies
from tests.fixtures.api import Api


def titles(api: Api, **parameters: Any) -> list[str]:
    answer = api.get("/movies", params=parameters)
    assert answer.status_code == 200, answer.text
    return [movie["title"] for movie in answer.json()["movies"]]


def test_a_movie_has_exactly_the_documented_fields(api: Api) -> None:
    [movie_id] = add_movies(
        api.engine,
        [
            {
                "title": "Éowyn",
                "original_title": "Eowyn",
                "year": 2003,
                "runtime": 201,
                "rating": 8.9,
                "votes": 12,
                "genres": ["Action", "Drama"],
                "imdb_link": "http://m.imdb.com/title/tt0167260/?ref=x",
            }
        ],
    )
    [movie] = api.get("/movies").json()["movies"]
    created_at = movie.pop("created_at")
    assert movie.pop("updated_at") == created_at
    assert created_at.endswith("Z")
    assert movie == {
        "id": movie_id,
        "title": "Éowyn",
        "original_title": "Eowyn",
        "year": 2003,
        "runtime": 201,
        "rating": 8.9,
        "votes": 12,
        "genres": ["Action", "Drama"],
        "imdb_id": "tt0167260",
        "imdb_link": "https://www.imdb.com/title/tt0167260/",
        "source": "user",
    }


def test_an_empty_catalogue_is_an_empty_list(api: Api) -> None:
    answer = api.get("/movies")
    assert answer.json() == {"movies": [], "next_cursor": None}
    assert "Link" not in answer.headers


def test_titles_are_ordered_without_case_and_accents(api: Api) -> None:
    add_movies(api.engine, [{"title": title} for title in ("beta", "Älpha", "Gamma", "alphb")])
    assert titles(api) == ["Älpha", "alphb", "beta", "Gamma"]
    assert titles(api, desc="true") == ["Gamma", "beta", "alphb", "Älpha"]


@pytest.mark.parametrize("desc", ["false", "true"])
def test_movies_without_a_rating_come_last_in_both_directions(api: Api, desc: str) -> None:
    add_movies(api.engine, [{"title": "none"}, {"title": "low", "rating": 1}, {"title": "high", "rating": 9}])
    expected = ["high", "low", "none"] if desc == "true" else ["low", "high", "none"]
    assert titles(api, sort="rating", desc=desc) == expected


def test_rating_filter_leaves_out_unrated_movies_and_the_bound(api: Api) -> None:
    add_movies(api.engine, [{"title": "none"}, {"title": "8.5", "rating": 8.5}, {"title": "8.6", "rating": 8.6}])
    assert titles(api, rating_gt="8.5") == ["8.6"]
    assert titles(api, rating_gte="8.5") == ["8.5", "8.6"]
    assert titles(api, rating_lt="8.6") == ["8.5"]
    assert titles(api, rating_lte="8.55") == ["8.5"]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"year_gte": 2000}, ["new"]),
        ({"year_lte": 1999}, ["old"]),
        ({"runtime_gte": 91}, ["new"]),
        ({"runtime_lte": 90}, ["old"]),
        ({"votes_gte": 10}, ["new"]),
        ({"year_gte": 2001}, []),
    ],
)
def test_number_filters_take_the_bound_and_leave_out_nulls(
    api: Api, parameters: dict[str, int], expected: list[str]
) -> None:
    add_movies(
        api.engine,
        [
            {"title": "old", "year": 1999, "runtime": 90, "votes": 9},
            {"title": "new", "year": 2000, "runtime": 91, "votes": 10},
            {"title": "unknown"},
        ],
    )
    assert titles(api, **parameters) == expected


def test_genre_in_any_case_and_repeated_means_all_of_them(api: Api) -> None:
    add_movies(
        api.engine,
        [{"title": "both", "genres": ["Action", "Sci-Fi"]}, {"title": "one", "genres": ["Action"]}, {"title": "none"}],
    )
    assert titles(api, genre="aCTION") == ["both", "one"]
    assert titles(api, genre=["Action", "sci-fi"]) == ["both"]
    assert titles(api, genre="Western") == []
    assert titles(api, genre=["Action", "Western"]) == []


def test_genre_any_gives_each_movie_once(api: Api) -> None:
    add_movies(
        api.engine,
        [
            {"title": "both", "genres": ["Action", "Drama"]},
            {"title": "drama", "genres": ["Drama"]},
            {"title": "war", "genres": ["War"]},
        ],
    )
    assert titles(api, genre_any="action,Drama") == ["both", "drama"]
    assert titles(api, genre_any="War,unheard-of") == ["war"]
    assert titles(api, genre_any="unheard-of") == []
    assert titles(api, genre="Drama", genre_any="Action,War") == ["both"]


def test_search_ignores_case_and_accents_and_takes_wildcards_literally(api: Api) -> None:
    add_movies(api.engine, [{"title": title} for title in ("Amélie", "100% Wolf", "1000 Wolves", "a_b", "axb", "c\\d")])
    assert titles(api, q="AMELIE") == ["Amélie"]
    assert titles(api, q="éli") == ["Amélie"]
    assert titles(api, q="0%") == ["100% Wolf"]
    assert titles(api, q="a_b") == ["a_b"]
    assert titles(api, q="c\\") == ["c\\d"]
    assert titles(api, q="wol") == ["100% Wolf", "1000 Wolves"]


@pytest.mark.parametrize("text", ["x", "x" * 101, "\u0301\u0301", "   "])
def test_search_text_that_is_too_short_too_long_or_empty_is_refused(api: Api, text: str) -> None:
    answer = api.get("/movies", params={"q": text})
    assert answer.status_code == 400
    assert [error["name"] for error in answer.json()["errors"]] == ["q"]


def test_after_id_continues_behind_that_movie_in_the_given_order(api: Api) -> None:
    ids = add_movies(api.engine, [{"title": "a", "rating": 1}, {"title": "b", "rating": 3}, {"title": "c"}])
    assert titles(api, after_id=ids[0]) == ["b", "c"]
    assert titles(api, after_id=ids[0], sort="rating", desc="true") == ["c"]
    assert titles(api, after_id=ids[2], sort="rating") == []


def test_after_id_of_no_movie_is_404_and_excludes_a_cursor(api: Api) -> None:
    add_movies(api.engine, [{"title": "a"}, {"title": "b"}])
    assert api.get("/movies", params={"after_id": "00000000-0000-7000-8000-000000000000"}).status_code == 404
    cursor = api.get("/movies", params={"page_size": 1}).json()["next_cursor"]
    both = api.get("/movies", params={"after_id": "tt0000001", "cursor": cursor})
    assert both.status_code == 400
    assert {error["name"] for error in both.json()["errors"]} == {"cursor", "after_id"}


def test_source_tells_users_movies_from_imdbs(api: Api) -> None:
    add_movies(api.engine, [{"title": "mine"}])
    assert titles(api, source="user") == ["mine"]
    assert titles(api, source="imdb") == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("colour=red", ["colour"]),
        ("sort=title&sort=year", ["sort"]),
        ("sort=budget", ["sort"]),
        ("desc=yes", ["desc"]),
        ("page_size=0", ["page_size"]),
        ("page_size=101", ["page_size"]),
        ("page_size=ten", ["page_size"]),
        ("rating_gt=nan", ["rating_gt"]),
        ("rating_gt=1e400", ["rating_gt"]),
        ("rating_gt=", ["rating_gt"]),
        ("year_gte=1999.5", ["year_gte"]),
        ("votes_gte=99999999999999999999", ["votes_gte"]),
        ("source=netflix", ["source"]),
        ("genre=", ["genre"]),
        ("genre_any=", ["genre_any"]),
        ("after_id=5", ["after_id"]),
        ("rating_gt=11&year_gte=x", ["rating_gt", "year_gte"]),
    ],
)
def test_each_wrong_parameter_is_named(api: Api, query: str, names: list[str]) -> None:
    answer = api.get(f"/movies?{query}")
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-request"
    assert sorted({error["name"] for error in answer.json()["errors"]}) == names
