"""The models in the database: the shipped one, another one, and what the stored songs become."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api

from shelflist.shared.clock import now
from shelflist.shared.jobs import JobContext
from shelflist.shared.problems import NotFound
from shelflist.songs import models, rescoring
from shelflist.songs.corrections import corrected_songs, with_corrections
from shelflist.songs.features import Song
from shelflist.songs.model_files import Model, read, with_version
from shelflist.songs.problems import NoModel
from shelflist.songs.tables import song_models, songs
from shelflist.songs.training_files import LabelledSongs


@pytest.fixture
def shipped(api: Api) -> str:
    """The shipped model, registered as a start does."""
    models.ensure_shipped(api.engine)
    return read(models.SHIPPED).version


def another() -> Model:
    """Return a model that prefers its first genre over all others."""
    model = read(models.SHIPPED)
    return with_version(replace(model, bias=(1_000.0, *model.bias[1:])))


def active(api: Api) -> str:
    with api.engine.begin() as connection:
        return str(models.active_model(connection).version)


def put(api: Api, trackid: str, **columns: Any) -> None:
    with api.engine.begin() as connection:
        version = models.active_model(connection).version
        values = {"title": "A", "title_key": "a", "tags": "love", "audio": [1.0] * 154, "predicted_genre": "none"}
        judged = {"probability": 0.5, "probabilities": [0.5, 0.5], "model_version": version}
        connection.execute(songs.insert().values(trackid=trackid, **values | judged | columns))


def rescore(api: Api, version: str, *, is_applied: bool) -> dict[str, Any]:
    job = JobContext(api.engine, api.settings, "0198f000-0000-7000-8000-000000000001", now())
    job.progress = lambda share: None  # type: ignore[method-assign] # there is no row of a job
    return rescoring.run(job, {"version": version, "apply": is_applied})


def test_without_a_model_that_is_said(api: Api) -> None:
    with api.engine.begin() as connection, pytest.raises(NoModel):
        models.active_model(connection)


def test_the_shipped_model_judges_from_the_first_start_on(api: Api, shipped: str) -> None:
    models.ensure_shipped(api.engine)
    with api.engine.begin() as connection:
        [row] = models.list_models(connection)
        assert models.load(connection, shipped).version == shipped
    assert (row.version, row.origin, row.is_active) == (shipped, "shipped", True)
    assert row.description["genres"]
    assert row.activated_at is not None


def test_a_trained_model_takes_over_and_stays_at_the_next_start(api: Api, shipped: str) -> None:
    model = another()
    with api.engine.begin() as connection:
        models.register(connection, model)
        models.register(connection, model)
    assert active(api) == shipped
    with api.engine.begin() as connection:
        models.activate(connection, model.version)
    models.ensure_shipped(api.engine)
    assert active(api) == model.version
    with api.engine.begin() as connection:
        models.activate(connection, shipped)
    assert active(api) == shipped


def test_a_newer_shipped_model_replaces_an_older_shipped_one(api: Api, shipped: str) -> None:
    model = another()
    with api.engine.begin() as connection:
        models._insert(connection, model, "shipped")
        models.activate(connection, model.version)
        connection.execute(song_models.delete().where(song_models.c.version == shipped))
    models.ensure_shipped(api.engine)
    assert active(api) == shipped


def test_an_unknown_version_cannot_be_activated(api: Api, shipped: str) -> None:
    with api.engine.begin() as connection, pytest.raises(NotFound):
        models.activate(connection, "2020-01-01-00000000")
    assert active(api) == shipped


def test_rescoring_reports_before_it_changes_anything(api: Api, shipped: str) -> None:
    for number in range(5):
        put(api, f"song{number}")
    model = another()
    with api.engine.begin() as connection:
        models.register(connection, model)
        models.activate(connection, model.version)
    report = rescore(api, model.version, is_applied=False)
    first = model.genres[0]
    assert report == {
        "version": model.version,
        "applied": False,
        "judged": 5,
        "changed": 5,
        "changes": [{"from": "none", "to": first, "count": 5}],
    }
    with api.engine.begin() as connection:
        assert set(connection.scalars(sa.select(songs.c.predicted_genre))) == {"none"}
    assert rescore(api, model.version, is_applied=True)["changed"] == 5
    with api.engine.begin() as connection:
        rows = connection.execute(sa.select(songs)).all()
    assert {(row.predicted_genre, row.genre, row.model_version) for row in rows} == {(first, first, model.version)}
    assert all(row.probability == max(row.probabilities) > 0.99 for row in rows)
    assert all(len(row.probabilities) == len(model.genres) for row in rows)
    assert rescore(api, model.version, is_applied=True)["judged"] == 0


def test_rescoring_goes_on_where_it_was_cut_off(api: Api, shipped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "BATCH", 2)
    for number in range(5):
        put(api, f"song{number}")
    model = another()
    with api.engine.begin() as connection:
        models.register(connection, model)
    shares: Iterator[float] = iter((0.0, 0.4))

    def cut_off(share: float) -> None:
        assert next(shares, None) is not None, "cut off"

    job = JobContext(api.engine, api.settings, "0198f000-0000-7000-8000-000000000001", now())
    job.progress = cut_off  # type: ignore[method-assign] # there is no row of a job
    with pytest.raises(AssertionError, match="cut off"):
        rescoring.run(job, {"version": model.version, "apply": True})
    assert rescore(api, model.version, is_applied=True)["judged"] == 1


def test_corrections_stay_and_feed_the_next_training(api: Api, shipped: str) -> None:
    put(api, "song1", corrected_genre="folk", corrected_at=sa.func.now())
    put(api, "song2")
    model = another()
    with api.engine.begin() as connection:
        models.register(connection, model)
    rescore(api, model.version, is_applied=True)
    with api.engine.begin() as connection:
        found = corrected_songs(connection)
        genres = {row.trackid: row.genre for row in connection.execute(sa.select(songs.c.trackid, songs.c.genre))}
    assert genres == {"song1": "folk", "song2": model.genres[0]}
    assert [(song.trackid, genre) for song, genre in found] == [("song1", "folk")]
    labelled = LabelledSongs((Song("song1", "", "", ()), Song("song9", "", "", ())), ("pop", "metal"))
    merged = with_corrections(labelled, found)
    assert [(song.trackid, genre) for song, genre in zip(merged.songs, merged.genres, strict=True)] == [
        ("song9", "metal"),
        ("song1", "folk"),
    ]
