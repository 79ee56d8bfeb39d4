"""GET /genre/title-list."""

from typing import Any

import httpx
from tests.factories.song_models import add_songs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

PATH = "/genre/title-list"


def ask(api: Api, caller: Headers, **query: Any) -> httpx.Response:
    return api.get(PATH, params=query, headers=caller)


def test_titles_of_one_genre_come_sorted_without_case_and_accents(api: Api, caller: Headers, version: str) -> None:
    titles = ("beta", "Älpha", "gamma", "Beta")
    add_songs(api.engine, [{"trackid": str(number), "title": title} for number, title in enumerate(titles)])
    add_songs(api.engine, [{"trackid": "x", "title": "corrected", "corrected_genre": "punk"}])
    assert ask(api, caller, genre="folk").json() == {"titles": ["Älpha", "beta", "Beta", "gamma"], "next_cursor": None}
    assert ask(api, caller, genre="folk", desc="true").json()["titles"] == ["gamma", "Beta", "beta", "Älpha"]
    assert ask(api, caller, genre="punk").json()["titles"] == ["corrected"]


def test_pages_hold_every_title_once_the_same_ones_too(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": str(number), "title": f"Title {number % 4}"} for number in range(23)])
    seen: list[str] = []
    cursor = None
    while True:
        query = {"genre": "folk", "page_size": 5, **({"cursor": cursor} if cursor else {})}
        answer = ask(api, caller, **query)
        seen += answer.json()["titles"]
        cursor = answer.json()["next_cursor"]
        assert ('rel="next"' in answer.headers.get("Link", "")) == (cursor is not None)
        if cursor is None:
            break
    assert seen == sorted(f"Title {number % 4}" for number in range(23))


def test_a_genre_that_nobody_knows_is_refused_by_name(api: Api, caller: Headers, version: str) -> None:
    found = problem(ask(api, caller, genre="Folk"), 400, "invalid-request")
    assert [(error["name"], error["code"]) for error in found["errors"]] == [("genre", "not-one-of")]
    found = problem(ask(api, caller), 400, "invalid-request")
    assert [(error["name"], error["code"]) for error in found["errors"]] == [("genre", "missing")]


def test_a_genre_of_the_model_without_songs_has_no_titles(api: Api, caller: Headers, version: str) -> None:
    assert ask(api, caller, genre="punk").json() == {"titles": [], "next_cursor": None}


def test_a_genre_that_only_songs_know_has_titles(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a", "title": "One", "predicted_genre": "Oi!"}])
    assert ask(api, caller, genre="Oi!").json()["titles"] == ["One"]


def test_a_cursor_belongs_to_its_genre(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a"}, {"trackid": "b"}])
    cursor = ask(api, caller, genre="folk", page_size=1).json()["next_cursor"]
    problem(ask(api, caller, genre="punk", cursor=cursor), 400, "cursor-mismatch")


def test_a_stranger_sees_no_titles(api: Api) -> None:
    problem(api.get(PATH, params={"genre": "folk"}), 401, "unauthorized")
