"""GET /genre/list."""

import sqlalchemy as sa
from tests.factories.song_models import add_songs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.songs.tables import song_models

PATH = "/genre/list"


def test_genres_of_the_model_and_of_songs_are_counted(api: Api, caller: Headers, version: str) -> None:
    corrected = {"trackid": "c", "corrected_genre": "punk"}
    add_songs(api.engine, [{"trackid": "a"}, {"trackid": "b"}, corrected, {"trackid": "d", "predicted_genre": "Oi!"}])
    assert api.get(PATH, headers=caller).json() == {
        "genres": [
            {"name": "Oi!", "count": 1},
            {"name": "classic pop and rock", "count": 0},
            {"name": "folk", "count": 2},
            {"name": "punk", "count": 1},
        ]
    }


def test_without_a_model_stored_songs_are_counted(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a"}])
    with api.engine.begin() as connection:
        connection.execute(song_models.update().values(is_active=sa.false()))
    assert api.get(PATH, headers=caller).json() == {"genres": [{"name": "folk", "count": 1}]}


def test_a_stranger_sees_no_genres(api: Api) -> None:
    problem(api.get(PATH), 401, "unauthorized")
