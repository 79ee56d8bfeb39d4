"""GET /videos/{content_id}."""

import pytest
from tests.factories.videos import add_rows, harvested, new_video, vector
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_the_vector_is_included(api: Api) -> None:
    api.post("/videos", json=new_video(), headers=api.credentials())
    assert api.get("/videos/v1").json()["feature_vector"] == vector()


def test_a_harvested_video_has_no_vector(api: Api) -> None:
    add_rows(api.engine, [harvested("v1")])
    assert api.get("/videos/v1").json()["feature_vector"] is None


def test_fields_names_what_is_answered(api: Api) -> None:
    api.post("/videos", json=new_video(), headers=api.credentials())
    answer = api.get("/videos/v1", params={"fields": "content_id,tvshow"})
    assert answer.json() == {"content_id": "v1", "tvshow": "The Late Hour"}
    problem(api.get("/videos/v1", params={"fields": "content_id,id"}), 400)


def test_the_live_state_is_what_its_source_has_told(api: Api) -> None:
    add_rows(api.engine, [harvested("v1", live_state="upcoming"), harvested("v2")])
    bodies = [api.get(f"/videos/{name}", params={"fields": "live_state"}).json() for name in ("v1", "v2")]
    assert bodies == [{"live_state": "upcoming"}, {"live_state": None}]


def test_an_unchanged_video_is_a_304(api: Api) -> None:
    add_rows(api.engine, [harvested("v1")])
    etag = api.get("/videos/v1").headers["ETag"]
    assert api.get("/videos/v1", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize(("content_id", "status"), [("nobody", 404), ("a%20b", 400), ("x" * 129, 400), ("%2e%2e", 400)])
def test_an_id_that_names_no_video(content_id: str, status: int, api: Api) -> None:
    assert api.get(f"/videos/{content_id}").status_code in (status, 404)
