"""PATCH /videos/{content_id}."""

from typing import Any

import pytest
from tests.factories.videos import add_rows, harvested, new_video, vector
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.videos import revisions


def revision(api: Api) -> int:
    with api.engine.connect() as connection:
        return revisions.current(connection)


def test_labels_and_a_vector_are_attached_to_a_harvested_video(api: Api) -> None:
    add_rows(api.engine, [harvested("v1")])
    change = {name: new_video()[name] for name in ("actual_label", "predicted_label", "tvshow", "feature_vector")}
    answer = api.patch("/videos/v1", json=change, headers=api.credentials())
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert {name: body[name] for name in change} == change
    assert (body["title"], body["source"]) == ("Video v1", "youtube")
    assert body["updated_at"] > body["created_at"]
    assert api.get("/videos", params={"labelled": "true"}).json()["videos"][0]["content_id"] == "v1"


def test_null_empties_a_field(api: Api) -> None:
    credentials = api.credentials()
    api.post("/videos", json=new_video(title="One", published_at="2026-11-21T09:30:00Z"), headers=credentials)
    change: dict[str, Any] = {"title": None, "published_at": None, "feature_vector": None, "predicted_label": None}
    body = api.patch("/videos/v1", json=change, headers=credentials).json()
    assert {name: body[name] for name in change} == change
    assert api.get("/videos", params={"q": "one"}).json()["videos"] == []


def test_what_is_not_named_stays(api: Api) -> None:
    credentials = api.credentials()
    api.post("/videos", json=new_video(title="One", description="Two"), headers=credentials)
    before = api.get("/videos/v1").json()
    after = api.patch("/videos/v1", json={"title": "Uno"}, headers=credentials).json()
    assert after == {**before, "title": "Uno", "updated_at": after["updated_at"]}
    for q, found in (("uno", 1), ("one", 0), ("two", 1)):
        assert len(api.get("/videos", params={"q": q}).json()["videos"]) == found


def test_a_vector_is_replaced(api: Api) -> None:
    credentials = api.credentials()
    api.post("/videos", json=new_video(), headers=credentials)
    assert api.patch("/videos/v1", json={"feature_vector": vector(2)}, headers=credentials).status_code == 200
    assert api.get("/videos/v1").json()["feature_vector"] == vector(2)


def test_only_what_the_analysis_reads_makes_a_new_revision(api: Api) -> None:
    credentials = api.credentials()
    api.post("/videos", json=new_video(), headers=credentials)
    first = revision(api)
    api.patch("/videos/v1", json={"title": "x"}, headers=credentials)
    assert revision(api) == first
    api.patch("/videos/v1", json={"actual_label": "x"}, headers=credentials)
    assert revision(api) == first + 1
    api.delete("/videos/v1", headers=credentials)
    assert revision(api) == first + 2


@pytest.mark.parametrize(
    "change",
    [{}, {"content_id": "v2"}, {"source": "youtube"}, {"live_state": "none"}, {"feature_vector": [1]}, {"tvshow": 1}],
)
def test_what_may_not_change_is_refused(change: dict[str, Any], api: Api) -> None:
    add_rows(api.engine, [harvested("v1")])
    problem(api.patch("/videos/v1", json=change, headers=api.credentials()), 400)


def test_nobody_is_a_404(api: Api) -> None:
    problem(api.patch("/videos/nobody", json={"tvshow": "x"}, headers=api.credentials()), 404)
