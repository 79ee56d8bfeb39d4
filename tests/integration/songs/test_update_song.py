"""PATCH /songs/{trackid}."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.song_models import GENRES, add_songs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.songs.tables import song_models


def test_a_correction_wins_over_the_model_and_can_be_taken_back(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a"}])
    before = api.get("/songs/a", headers=caller).json()
    corrected = api.patch("/songs/a", json={"genre": "punk"}, headers=caller).json()
    changed = {"genre": "punk", "corrected_genre": "punk"}
    assert corrected == {
        **before,
        **changed,
        "corrected_at": corrected["corrected_at"],
        "updated_at": corrected["updated_at"],
    }
    assert corrected["corrected_at"] > before["updated_at"] < corrected["updated_at"]
    assert api.get("/songs/a", headers=caller).json() == corrected
    taken_back = api.patch("/songs/a", json={"genre": None}, headers=caller).json()
    assert taken_back == {**before, "updated_at": taken_back["updated_at"]}


def test_a_genre_that_the_model_does_not_know_is_refused(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a"}])
    found = problem(api.patch("/songs/a", json={"genre": "Punk"}, headers=caller), 422, "unprocessable")
    [error] = found["errors"]
    assert (error["name"], error["code"]) == ("genre", "not-one-of")
    assert error["detail"] == f"must be one of {', '.join(GENRES)}"
    assert api.get("/songs/a", headers=caller).json()["corrected_genre"] is None


@pytest.mark.parametrize(
    "body", [{}, {"genre": 1}, {"genre": ""}, {"genre": "folk", "title": "x"}, {"genre": ["folk"]}]
)
def test_another_body_is_refused(api: Api, caller: Headers, version: str, body: dict[str, Any]) -> None:
    add_songs(api.engine, [{"trackid": "a"}])
    problem(api.patch("/songs/a", json=body, headers=caller), 400, "invalid-request")


def test_a_song_that_is_not_there_is_404(api: Api, caller: Headers, version: str) -> None:
    problem(api.patch("/songs/nobody", json={"genre": "folk"}, headers=caller), 404, "not-found")


def test_without_a_model_corrections_can_only_be_taken_back(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a", "corrected_genre": "punk"}])
    with api.engine.begin() as connection:
        connection.execute(song_models.update().values(is_active=sa.false()))
    problem(api.patch("/songs/a", json={"genre": "folk"}, headers=caller), 503, "no-model")
    assert api.patch("/songs/a", json={"genre": None}, headers=caller).json()["genre"] == "folk"


def test_a_correction_needs_a_client_that_may_write(api: Api, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a"}])
    problem(api.patch("/songs/a", json={"genre": "folk"}), 401, "unauthorized")
    reader = api.credentials("reader", ("read",))
    problem(api.patch("/songs/a", json={"genre": "folk"}, headers=reader), 403, "missing-scope")
