"""POST /videos."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.videos import add_rows, harvested, new_video, vector
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_a_video_is_stored_and_answered_whole(api: Api) -> None:
    fields = {
        "title": " Été ",
        "description": "One\ntwo",
        "published_at": "2026-11-21T10:30:00+01:00",
        "thumbnails": {"default": {"url": "https://example.org/1.jpg", "width": 120, "height": 90}},
    }
    answer = api.post("/videos", json=new_video("-v_1", **fields), headers=api.credentials())
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == "/videos/-v_1"
    body = answer.json()
    assert body == api.get("/videos/-v_1").json()
    assert body.pop("created_at") == body.pop("updated_at")
    assert body == {
        **new_video("-v_1"),
        **fields,
        "title": "Été",
        "published_at": "2026-11-21T09:30:00.000Z",
        "is_published_approximate": False,
        "channel_id": None,
        "channel_title": None,
        "source": "upload",
        "live_state": None,
    }


def test_the_view_gives_one_row_per_value(api: Api) -> None:
    api.post("/videos", json=new_video(), headers=api.credentials())
    statement = "SELECT content_id, feature_index, value FROM feature_values ORDER BY feature_index"
    with api.engine.connect() as connection:
        rows = connection.execute(sa.text(statement)).all()
    assert [tuple(row) for row in rows] == [("v1", index, value) for index, value in enumerate(vector())]


def test_a_known_content_id_is_a_conflict_and_changes_nothing(api: Api) -> None:
    credentials = api.credentials()
    api.post("/videos", json=new_video(), headers=credentials)
    before = api.get("/videos/v1").json()
    problem(api.post("/videos", json=new_video(actual_label="Music"), headers=credentials), 409, "video-exists")
    assert api.get("/videos/v1").json() == before


def test_a_harvested_video_is_known_too(api: Api) -> None:
    add_rows(api.engine, [harvested("v1")])
    problem(api.post("/videos", json=new_video(), headers=api.credentials()), 409, "video-exists")


def test_numbers_are_kept_in_single_precision(api: Api) -> None:
    given = [0.1, 1e-50, 1 / 3, 16777217, *vector()[4:]]
    api.post("/videos", json=new_video(feature_vector=given), headers=api.credentials())
    assert api.get("/videos/v1").json()["feature_vector"][:4] == [0.1, 0, 0.33333334, 16777216]


@pytest.mark.parametrize("name", ["content_id", "actual_label", "predicted_label", "tvshow", "feature_vector"])
def test_each_field_is_required(name: str, api: Api) -> None:
    body = new_video()
    del body[name]
    answer = problem(api.post("/videos", json=body, headers=api.credentials()), 400)
    assert name in str(answer["errors"])


@pytest.mark.parametrize(
    "fields",
    [
        {"feature_vector": vector()[:255]},
        {"feature_vector": [*vector(), 1.0]},
        {"feature_vector": [*vector()[:255], "1"]},
        {"feature_vector": [*vector()[:255], None]},
        {"feature_vector": [*vector()[:255], True]},
        {"feature_vector": [*vector()[:255], 1e39]},
        {"feature_vector": None},
        {"content_id": ""},
        {"content_id": "a/b"},
        {"content_id": "../x"},
        {"content_id": ".."},
        {"content_id": "x" * 129},
        {"content_id": "v1\n"},
        {"actual_label": ""},
        {"actual_label": None},
        {"actual_label": "x" * 201},
        {"tvshow": 7},
        {"published_at": "yesterday"},
        {"thumbnails": {"default": {"url": "javascript:alert(1)"}}},
        {"thumbnails": {"default": "https://example.org"}},
        {"source": "youtube"},
        {"live_state": "live"},
        {"id": 7},
    ],
)
def test_what_the_document_forbids_is_refused(fields: dict[str, Any], api: Api) -> None:
    problem(api.post("/videos", json=new_video(**fields), headers=api.credentials()), 400)
    assert api.get("/videos").json()["videos"] == []


@pytest.mark.parametrize("fields", [{"actual_label": "   "}, {"tvshow": "a\tb"}])
def test_labels_are_texts_that_can_be_seen(fields: dict[str, Any], api: Api) -> None:
    answer = problem(api.post("/videos", json=new_video(**fields), headers=api.credentials()), 422)
    assert answer["errors"][0]["name"] == next(iter(fields))


def test_raw_nan_is_refused(api: Api) -> None:
    raw = b'{"content_id":"v1","actual_label":"a","predicted_label":"b","tvshow":"c","feature_vector":[NaN]}'
    headers = {**api.credentials(), "Content-Type": "application/json"}
    problem(api.post("/videos", content=raw, headers=headers), 400)


def test_a_repeated_request_with_its_key_creates_once(api: Api) -> None:
    headers = {**api.credentials(), "Idempotency-Key": "k1"}
    first = api.post("/videos", json=new_video(), headers=headers)
    again = api.post("/videos", json=new_video(), headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    problem(api.post("/videos", json=new_video("v2"), headers=headers), 422, "idempotency-key-reused")
