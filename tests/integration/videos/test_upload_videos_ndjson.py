"""POST /videos/batch/ndjson."""

import json
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.factories.labelled_videos import ndjson_file, vector
from tests.fixtures.api import Api


def video(number: int, **changed: Any) -> dict[str, Any]:
    row = {"content_id": f"v{number}", "actual_label": "A", "predicted_label": "B", "tvshow": "s"}
    return {**row, "feature_vector": vector(number), **changed}


def upload(api: Api, content: bytes, **query: str) -> httpx.Response:
    return api.post(
        "/videos/batch/ndjson", params=query, headers=api.credentials(), files={"file": ("videos.ndjson", content)}
    )


@pytest.mark.parametrize(
    ("row", "column", "code"),
    [
        (video(2, content_id=7), "content_id", "wrong-form"),
        (video(2, tvshow=None), "tvshow", "missing-value"),
        ({**video(2), "actual_label": "a\nb"}, "actual_label", "control-character"),
        (video(2, feature_vector=vector()[1:]), "feature_vector", "wrong-length"),
        (video(2, feature_vector="1, 2"), "feature_vector", "wrong-form"),
        (video(2, feature_vector=[*vector()[1:], "x"]), "feature_vector", "not-a-number"),
        (video(2, feature_vector=[*vector()[1:], True]), "feature_vector", "not-a-number"),
        (video(2, feature_vector=[*vector()[1:], None]), "feature_vector", "not-a-number"),
        (video(2, feature_vector=[*vector()[1:], float("nan")]), "feature_vector", "not-finite"),
        (video(2, feature_vector=[*vector()[1:], 1e39]), "feature_vector", "out-of-range"),
        (video(2, feature_vector=[*vector()[1:], 10**400]), "feature_vector", "out-of-range"),
        (video(2, content_id="\ud800"), "content_id", "not-utf-8"),
        ("[1]", None, "malformed"),
        ("{", None, "malformed"),
        ("[" * 100_000, None, "malformed"),
        ("{}" + " " * 2_000_000, None, "line-too-long"),
    ],
)
def test_a_row_that_is_wrong_is_reported_by_line_and_field(
    api: Api, row: dict[str, Any] | str, column: str | None, code: str
) -> None:
    answer = upload(api, ndjson_file(video(1), "", row, video(3)))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [(error["line"], error["column"], error["code"]) for error in body["errors"]] == [(3, column, code)]
    assert (body["count_videos"], body["created"], body["rejected"]) == (3, 2, 1)


def test_a_file_is_stored_and_again_changes_nothing(api: Api) -> None:
    headers = api.credentials()
    content = ndjson_file(*[video(number, more=[{}]) for number in range(50)])
    for outcome in ("created", "unchanged"):
        answer = api.post("/videos/batch/ndjson", headers=headers, files={"file": ("v", content)})
        assert answer.json()[outcome] == 50
    with api.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM feature_vectors")) == 50


def test_an_empty_file_is_refused(api: Api) -> None:
    answer = upload(api, b"")
    assert (answer.status_code, json.loads(answer.content)["type"]) == (400, "/problems/invalid-file")
