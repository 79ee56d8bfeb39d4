"""POST /videos/batch/csv."""

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.conftest import REAL_DATA
from tests.factories.labelled_videos import csv_file, vector, vector_text, video
from tests.fixtures.api import Api, Headers

from shelflist.videos import revisions

REAL_FILE = REAL_DATA / "videos" / "labelled_videos.csv.gz"


@pytest.fixture
def caller(api: Api) -> Headers:
    return api.credentials()


@pytest.fixture
def real_file() -> bytes:
    if not REAL_FILE.exists():
        pytest.skip("the labelled videos are not beside the repository (../shared/data/videos)")
    return gzip.decompress(REAL_FILE.read_bytes())


def upload(api: Api, caller: Headers, content: bytes, headers: Headers | None = None, **query: str) -> httpx.Response:
    return api.post(
        "/videos/batch/csv",
        params=query,
        headers={**caller, **(headers or {})},
        files={"file": ("videos.csv", content)},
    )


def counts(answer: httpx.Response) -> dict[str, int]:
    """Return the counts that are not 0, after checking that they add up."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    names = ("created", "updated", "unchanged", "skipped", "rejected")
    assert body["count_videos"] == sum(body[name] for name in names)
    return {name: body[name] for name in names if body[name]}


def errors(answer: httpx.Response) -> list[tuple[int, str | None, str]]:
    return [(error["line"], error["column"], error["code"]) for error in answer.json()["errors"]]


def stored(api: Api) -> list[Any]:
    with api.engine.connect() as connection:
        return list(
            connection.execute(
                sa.text(
                    "SELECT content_id, source, actual_label, predicted_label, tvshow, feature_vector "
                    "FROM videos LEFT JOIN feature_vectors ON video_id = videos.id ORDER BY content_id"
                )
            )
        )


def revision(api: Api) -> int:
    with api.engine.connect() as connection:
        return revisions.current(connection)


def test_the_real_file_uploads_as_it_is_and_again_changes_nothing(api: Api, caller: Headers, real_file: bytes) -> None:
    assert counts(upload(api, caller, real_file)) == {"created": 1046}
    before, first = revision(api), stored(api)
    assert before == 1
    for on_conflict in ("skip", "update"):
        assert counts(upload(api, caller, real_file, on_conflict=on_conflict)) == {"unchanged": 1046}
    assert (revision(api), stored(api)) == (before, first)


def test_a_row_is_stored_to_the_last_digit(api: Api, caller: Headers) -> None:
    assert counts(upload(api, caller, csv_file(video(1)))) == {"created": 1}
    [(content_id, source, actual, predicted, show, values)] = stored(api)
    assert (content_id, source, actual, predicted, show) == ("v1", "upload", "Family", "Sports", "tv1")
    assert values == pytest.approx(vector(1), rel=1e-6)


def test_the_whole_answer(api: Api, caller: Headers) -> None:
    answer = upload(
        api, caller, csv_file(video(1), video(2, feature_vector="abc" + vector_text()[3:].lstrip("0123456789.")))
    )
    body = answer.json()
    [error] = body.pop("errors")
    assert body == {
        "message": "Videos: 1 created, 0 updated, 0 unchanged, 0 skipped, 1 rejected.",
        "count_videos": 2,
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "skipped": 0,
        "rejected": 1,
        "errors_truncated": False,
    }
    assert error == {
        "line": 3,
        "column": "feature_vector",
        "code": "not-a-number",
        "value": "abc",
        "detail": "value 1 of 256 is 'abc', not a number",
    }


BREAKAGES: list[tuple[Any, str | None, str]] = [
    (lambda row: {**row, "content_id": ""}, "content_id", "missing-value"),
    (lambda row: {**row, "content_id": "a b"}, "content_id", "wrong-form"),
    (lambda row: {**row, "actual_label": "x" * 201}, "actual_label", "too-long"),
    (lambda row: {**row, "predicted_label": "a\tb"}, "predicted_label", "control-character"),
    (lambda row: {**row, "feature_vector": row["feature_vector"] + ", 1"}, "feature_vector", "wrong-length"),
    (lambda row: {**row, "feature_vector": "1, 2"}, "feature_vector", "wrong-length"),
    (lambda row: {**row, "feature_vector": ",".join(["NaN"] * 256)}, "feature_vector", "not-finite"),
    (lambda row: {**row, "feature_vector": ",".join(["1e39"] * 256)}, "feature_vector", "out-of-range"),
    (lambda row: {**row, "tvshow": "  "}, "tvshow", "missing-value"),
    (lambda row: "1;2;3", None, "wrong-field-count"),
    (lambda row: '"never closed;', None, "unbalanced-quote"),
    (lambda row: '"a"b;c;d;e;f', None, "malformed"),
]


def test_every_tenth_row_broken_in_another_way_is_reported_by_line_and_column(api: Api, caller: Headers) -> None:
    rows: list[dict[str, str] | str] = [video(number) for number in range(120)]
    expected = []
    for place, (broken, column, code) in enumerate(BREAKAGES):
        index = place * 10 + 9
        rows[index] = broken(video(index))
        expected.append((index + 2, column, code))
    answer = upload(api, caller, csv_file(*rows))
    assert errors(answer) == expected
    assert counts(answer) == {"created": 108, "rejected": 12}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings_are_read(api: Api, caller: Headers, encoding: str) -> None:
    content = csv_file(video(1, tvshow="Ärger")).decode().encode(encoding)
    assert counts(upload(api, caller, content)) == {"created": 1}
    assert stored(api)[0].tvshow == "Ärger"


def test_bytes_that_are_not_utf_8_are_named(api: Api, caller: Headers) -> None:
    content = csv_file(video(1), video(2)).replace(b"v2;Family", b"v2;Fam\xffily")
    assert errors(upload(api, caller, content)) == [(3, "actual_label", "not-utf-8")]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_other_separators_and_column_orders_and_extra_columns(api: Api, caller: Headers, separator: str) -> None:
    row = video(1, feature_vector=f'"{vector_text(1)}"', extra="x")
    header = ("", "tvshow", "extra", "feature_vector", "predicted_label", "content_id", "actual_label")
    assert counts(upload(api, caller, csv_file(row, header=header, separator=separator))) == {"created": 1}


def test_lines_are_counted_through_quoted_line_feeds(api: Api, caller: Headers) -> None:
    rows = [video(1, actual_label='"two\nlines"'), video(2, tvshow="")]
    assert errors(upload(api, caller, csv_file(*rows))) == [
        (2, "actual_label", "control-character"),
        (4, "tvshow", "missing-value"),
    ]


def test_a_line_that_is_too_long_costs_only_itself(api: Api, caller: Headers) -> None:
    answer = upload(api, caller, csv_file(video(1), "x" * 3_000_000, video(2)))
    assert errors(answer) == [(3, None, "line-too-long")]
    assert counts(answer) == {"created": 2, "rejected": 1}


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04\x14\0", "the file is a ZIP archive or an Excel workbook (.xlsx), not text"),
        (b"a;b\0c\n", "the file is binary, not text: it holds NUL bytes"),
        (b"just a sentence\n", "the column content_id is not in the header"),
        (csv_file(header=("content_id", "content_id", "actual_label", "predicted_label", "feature_vector", "tvshow")),
         "the column content_id stands in the header twice"),
        (b";".join([b"c"] * 100_000), "the first line is no header: it has more than 1000 columns"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused(api: Api, caller: Headers, content: bytes, detail: str) -> None:
    answer = upload(api, caller, content)
    assert (answer.status_code, answer.json()["type"], answer.json()["detail"]) == (
        400,
        "/problems/invalid-file",
        detail,
    )


def test_a_missing_column_is_named(api: Api, caller: Headers) -> None:
    answer = upload(api, caller, csv_file(header=("content_id", "actual_label", "feature_vector")))
    assert [error["name"] for error in answer.json()["errors"]] == ["predicted_label", "tvshow"]


def test_a_header_alone_is_a_file_of_no_videos(api: Api, caller: Headers) -> None:
    answer = upload(api, caller, csv_file())
    assert (counts(answer), answer.json()["count_videos"], revision(api)) == ({}, 0, 0)


def test_the_first_good_row_of_an_id_wins(api: Api, caller: Headers) -> None:
    rows = [video(1, tvshow=""), video(1, tvshow="second"), video(1, tvshow="third")]
    answer = upload(api, caller, csv_file(*rows))
    assert errors(answer) == [(2, "tvshow", "missing-value"), (4, "content_id", "duplicate-in-file")]
    assert answer.json()["errors"][1]["detail"] == "the same content_id stands in line 3, which is taken"
    assert stored(api)[0].tvshow == "second"


@pytest.mark.parametrize(
    ("on_conflict", "expected", "show"),
    [("skip", {"skipped": 1}, "tv1"), ("update", {"updated": 1}, "new"), ("error", {"rejected": 1}, "tv1")],
)
def test_a_known_video(api: Api, caller: Headers, on_conflict: str, expected: dict[str, int], show: str) -> None:
    upload(api, caller, csv_file(video(1)))
    changed = csv_file(video(1, tvshow="new", feature_vector=vector_text(2)), video(2))
    answer = upload(api, caller, changed, on_conflict=on_conflict)
    assert counts(answer) == {"created": 1, **expected}
    assert stored(api)[0].tvshow == show
    assert stored(api)[0].feature_vector == pytest.approx(vector(2 if on_conflict == "update" else 1), rel=1e-6)
    assert errors(answer) == ([(2, "content_id", "exists")] if on_conflict == "error" else [])


def test_a_harvested_video_gets_its_labels_by_update(api: Api, caller: Headers) -> None:
    with api.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO videos (content_id, source) VALUES ('v1', 'youtube')"))
    assert counts(upload(api, caller, csv_file(video(1)))) == {"skipped": 1}
    assert counts(upload(api, caller, csv_file(video(1)), on_conflict="update")) == {"updated": 1}
    assert (stored(api)[0].source, stored(api)[0].tvshow) == ("youtube", "tv1")


def test_atomic_stores_nothing_where_a_row_is_rejected(api: Api, caller: Headers) -> None:
    answer = upload(api, caller, csv_file(video(1), video(2, tvshow="")), mode="atomic")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/batch-rejected")
    assert problem["errors"] == [{"name": "line 3, tvshow", "code": "missing-value", "detail": "a value is required"}]
    assert (problem["report"]["count_videos"], problem["report"]["created"], problem["report"]["rejected"]) == (2, 0, 1)
    assert (stored(api), revision(api)) == ([], 0)
    assert counts(upload(api, caller, csv_file(video(1)), mode="atomic")) == {"created": 1}


def test_a_dry_run_reports_and_stores_nothing(api: Api, caller: Headers) -> None:
    key = {"Idempotency-Key": "dry"}
    answer = upload(api, caller, csv_file(video(1), video(2, tvshow="")), key, dry_run="true")
    assert counts(answer) == {"created": 1, "rejected": 1}
    assert answer.json()["message"].startswith("Dry run")
    assert (stored(api), revision(api)) == ([], 0)
    assert counts(upload(api, caller, csv_file(video(1)), key)) == {"created": 1}


def test_a_key_repeats_the_answer_and_refuses_another_file(api: Api, caller: Headers) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (upload(api, caller, csv_file(video(1)), key) for _ in range(2))
    assert (first.json(), counts(again)) == (again.json(), {"created": 1})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert upload(api, caller, csv_file(video(2)), key).status_code == 422


def test_two_at_once_add_up(api: Api, caller: Headers) -> None:
    content = csv_file(*[video(number) for number in range(300)])
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: upload(api, caller, content), range(2)))
    assert sorted(map(str, map(counts, answers))) == ["{'created': 300}", "{'unchanged': 300}"]
    assert len(stored(api)) == 300


def test_errors_are_capped_and_counts_are_not(api: Api, caller: Headers) -> None:
    answer = upload(api, caller, csv_file(*["x"] * 1500, video(1)))
    assert counts(answer) == {"created": 1, "rejected": 1500}
    assert (len(answer.json()["errors"]), answer.json()["errors_truncated"]) == (1000, True)


def test_a_chunked_upload_beyond_the_limit_stores_nothing(running_api: Api, api: Api, caller: Headers) -> None:
    settings = running_api.settings.model_copy(update={"max_upload_bytes": 100_000})

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        yield csv_file(video(1))
        for _ in range(100):
            yield b"x" * 10_000

    headers = {**caller, "Content-Type": "multipart/form-data; boundary=b"}
    with Api(settings, running_api.url) as small:
        answer = small.post("/videos/batch/csv", headers=headers, content=body())
    assert (answer.status_code, stored(api)) == (413, [])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
        ("multipart/form-data; boundary=b", b"nothing of the kind"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n\r\n--b--'),
        ("multipart/form-data; boundary=b",
         b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + csv_file(video(1))),
        ("multipart/form-data; boundary=b",
         b'--b\r\nContent-Disposition: form-data; name="' + b"n" * 1_000_000 + b'"\r\n\r\nx\r\n--b--\r\n'),
        ("multipart/form-data; boundary=b",
         b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n' * 10_000 + b"--b--\r\n"),
        ("multipart/form-data; boundary=b",
         b'--b\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nx\r\n--b--\r\n'),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: \xff\r\n\r\nx\r\n--b--\r\n"),
    ],
)  # fmt: skip
def test_a_body_that_is_not_one_whole_file_is_refused(
    api: Api, caller: Headers, content_type: str, body: bytes
) -> None:
    answer = api.post("/videos/batch/csv", headers={**caller, "Content-Type": content_type}, content=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/invalid-request"), answer.text
    assert stored(api) == []
