"""POST /classifier/predict."""

import hashlib
import sys

import pytest
import sqlalchemy as sa
from tests.factories.song_files import body
from tests.factories.song_models import GENRES, add_model, small_model
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.songs import handlers
from shelflist.songs.classifier import Classifier
from shelflist.songs.judge import Judge
from shelflist.songs.rows import song_of_body
from shelflist.songs.tables import song_models, songs

PATH = "/classifier/predict"


def test_every_genre_is_answered_as_the_model_tells_it_the_best_first(api: Api, caller: Headers, version: str) -> None:
    answer = api.post(PATH, json=body(1), headers=caller)
    assert answer.status_code == 200, answer.text
    [probabilities] = Classifier(small_model()).predict([song_of_body(body(1))]).tolist()
    ranked = sorted(zip(GENRES, probabilities, strict=True), key=lambda pair: -pair[1])
    assert answer.json() == {
        "model_version": version,
        "genre": ranked[0][0],
        "probability": ranked[0][1],
        "genres": [{"genre": genre, "probability": probability} for genre, probability in ranked],
    }


def test_nothing_is_stored(api: Api, caller: Headers, version: str) -> None:
    api.post(PATH, json=body(1), headers=caller)
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(songs)) == 0


def test_a_song_needs_no_trackid_and_no_tags_but_a_client_that_may_read(api: Api, version: str) -> None:
    song = {name: value for name, value in body(1, tags="").items() if name != "trackid"}
    assert api.post(PATH, json=song, headers=api.credentials("reader", ("read",))).status_code == 200
    problem(api.post(PATH, json=song), 401, "unauthorized")


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"tempo": "asd"}, "tempo"),
        ({"tempo": None}, "tempo"),
        ({"tempo": 1001}, "tempo"),
        ({"key": 12}, "key"),
        ({"mode": 0.5}, "mode"),
        ({"time_signature": -1}, "time_signature"),
        ({"loudness": -201}, "loudness"),
        ({"duration": -1}, "duration"),
        ({"vect": [0.0] * 147}, "vect"),
        ({"vect": [0.0] * 149}, "vect"),
        ({"vect": [0.0] * 147 + [1e10]}, "vect.147"),
        ({"title": ""}, "title"),
        ({"tags": "x" * 20_001}, "tags"),
        ({"trackid": "a b"}, "trackid"),
        ({"genre": "folk"}, "genre"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    api: Api, caller: Headers, version: str, changed: dict[str, object], name: str
) -> None:
    found = problem(api.post(PATH, json=body(1, **changed), headers=caller), 400, "invalid-request")
    assert [error["name"] for error in found["errors"]] == [name]


@pytest.mark.parametrize(
    ("name", "text", "code"), [("title", " ", "missing-value"), ("tags", "a\tb", "control-character")]
)
def test_a_text_that_holds_none_is_named(api: Api, version: str, name: str, text: str, code: str) -> None:
    answer = api.post(PATH, json=body(1, **{name: text}), headers=api.credentials())
    found = problem(answer, 422, "unprocessable")
    assert [(error["name"], error["code"]) for error in found["errors"]] == [(name, code)]


def test_without_a_model_nobody_judges(api: Api, caller: Headers) -> None:
    answer = api.post(PATH, json=body(1), headers=caller)
    problem(answer, 503, "no-model")
    assert int(answer.headers["Retry-After"]) > 0


def test_another_model_judges_from_the_next_request_on(api: Api, caller: Headers, version: str) -> None:
    first = api.post(PATH, json=body(1), headers=caller).json()
    second_version = add_model(api.engine, seed=2)
    second = api.post(PATH, json=body(1), headers=caller).json()
    assert (first["model_version"], second["model_version"]) == (version, second_version)
    assert first["genres"] != second["genres"]
    # The one before stays for those who still ask it.
    files = {file.name for file in (api.settings.state_directory / "models").iterdir()}
    assert files >= {f"{version}.zip", f"{second_version}.zip"}


def test_a_file_of_the_model_that_is_altered_is_written_anew(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = api.post(PATH, json=body(1), headers=caller).json()
    (api.settings.state_directory / "models" / f"{version}.zip").write_bytes(b"altered")
    fresh = Judge()
    monkeypatch.setattr(handlers, "JUDGE", fresh)
    assert api.post(PATH, json=body(1), headers=caller).json() == first
    fresh.close()


def test_a_judge_that_died_is_replaced(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge()
    monkeypatch.setattr(handlers, "JUDGE", judge)
    first = api.post(PATH, json=body(1), headers=caller).json()
    assert judge._child is not None
    judge._child.kill()
    assert api.post(PATH, json=body(1), headers=caller).json() == first
    judge.close()


def test_a_judge_that_cannot_start_is_a_503(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "JUDGE", Judge((sys.executable, "-c", "raise SystemExit(1)")))
    answer = api.post(PATH, json=body(1), headers=caller)
    problem(answer, 503, "service-unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("is_checksum_right", [True, False])
def test_a_model_that_is_broken_is_a_503(api: Api, caller: Headers, version: str, is_checksum_right: bool) -> None:
    data = b"no archive"
    sha256 = hashlib.sha256(data).hexdigest() if is_checksum_right else "0" * 64
    with api.engine.begin() as connection:
        connection.execute(song_models.update().values(artefact=data, sha256=sha256))
    problem(api.post(PATH, json=body(1), headers=caller), 503, "service-unavailable")
