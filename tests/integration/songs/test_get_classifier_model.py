"""GET /classifier/model."""

import sqlalchemy as sa
from tests.factories.song_models import GENRES, small_model
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.songs.tables import song_models

PATH = "/classifier/model"


def test_the_whole_answer(api: Api, caller: Headers, version: str) -> None:
    model = api.get(PATH, headers=caller).json()
    assert model.pop("activated_at").endswith("Z")
    assert model == {
        "version": version,
        "origin": "trained",
        "trained_at": "2026-11-21T09:30:00.000Z",
        "rows": 200,
        "genres": list(GENRES),
        "layout": small_model().description()["layout"],
        "parameters": {"rounds": 5},
        "scores": {"accuracy": 0.5},
        "libraries": dict(small_model().libraries),
        "card": "# A small model\n",
    }


def test_the_card_alone_comes_as_markdown(api: Api, caller: Headers, version: str) -> None:
    answer = api.get(PATH, headers={**caller, "Accept": "text/markdown"})
    assert answer.headers["content-type"].startswith("text/markdown")
    assert answer.text == "# A small model\n"
    again = api.get(PATH, headers={**caller, "Accept": "text/markdown", "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_without_an_active_model_there_is_none_to_show(api: Api, caller: Headers, version: str) -> None:
    with api.engine.begin() as connection:
        connection.execute(song_models.update().values(is_active=sa.false()))
    problem(api.get(PATH, headers=caller), 503, "no-model")


def test_a_stranger_sees_no_model(api: Api, version: str) -> None:
    problem(api.get(PATH), 401, "unauthorized")
