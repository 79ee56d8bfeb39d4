"""POST /classifier/predict-batch, answered as CSV."""

import csv
import io

import httpx
import pytest
from tests.factories.song_files import csv_file, song
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.songs import batch_answers
from shelflist.songs.features import FEATURE_COLUMNS

PATH = "/classifier/predict-batch"
CSV = {"Accept": "text/csv"}


def upload(api: Api, caller: Headers, content: bytes, headers: Headers | None = None, **query: str) -> httpx.Response:
    files = {"csv_file": ("songs.csv", content)}
    return api.post(PATH, params=query, headers={**caller, **(headers or {})}, files=files)


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_good_rows_come_back_as_they_were_with_genre_and_probability(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_answers, "_BATCH", 2)
    sent = [song(number, loudness="-8.8460", title=f"Élan, {number}") for number in range(5)]
    content = csv_file(*sent, song(9, tempo="asd"), song(0), header=[*reversed(FEATURE_COLUMNS)], separator=";")
    answer = upload(api, caller, content, CSV)
    rows = rows_of(answer)
    assert list(rows[0]) == [*FEATURE_COLUMNS, "genre", "probability"]
    assert [{name: row[name] for name in FEATURE_COLUMNS} for row in rows] == sent
    assert (answer.headers["X-Model-Version"], answer.headers["X-Rows-Rejected"]) == (version, "2")
    predictions = upload(api, caller, content).json()["predictions"]
    assert [(row["genre"], float(row["probability"])) for row in rows] == [
        (one["genre"], one["probability"]) for one in predictions
    ]


def test_the_answer_uploads_again_and_changes_nothing(
    api: Api, caller: Headers, version: str, real_file: bytes
) -> None:
    first = upload(api, caller, real_file, CSV)
    again = upload(api, caller, first.content, CSV)
    assert again.content == first.content
    assert upload(api, caller, again.content).json()["unchanged"] == 450


@pytest.mark.parametrize("title", ["=1+1", "+1", "-1", "@x", "'=1+1", "''+x", "'Till I Collapse", '="x",y', "1=1"])
def test_no_text_is_a_formula_and_every_text_comes_back(api: Api, caller: Headers, version: str, title: str) -> None:
    # A first file may hold the guard as well as its answer does: one apostrophe before a formula counts for nothing.
    sent = f"'{title}" if title.startswith("'") and title != "'Till I Collapse" else title
    answer = upload(api, caller, csv_file(song(1, title=sent, tags=title, trackID="-1")), CSV)
    [row] = rows_of(answer)
    assert all(row[name][0] not in "=+-@" for name in ("trackID", "title", "tags"))
    stored = api.get("/songs/-1", headers=caller).json()
    assert stored["title"] == title
    assert upload(api, caller, answer.content).json()["unchanged"] == 1
    assert rows_of(upload(api, caller, answer.content, CSV)) == [row]


def test_a_file_without_a_good_row_comes_back_as_its_header(api: Api, caller: Headers, version: str) -> None:
    answer = upload(api, caller, csv_file("x"), CSV)
    assert (rows_of(answer), answer.headers["X-Rows-Rejected"]) == ([], "1")
    assert answer.text.startswith("trackID,")


def test_a_key_repeats_the_answer(api: Api, caller: Headers, version: str) -> None:
    key = {"Idempotency-Key": "one", **CSV}
    first, again = (upload(api, caller, csv_file(song(1), song(2)), key) for _ in range(2))
    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_dry_run_answers_and_stores_nothing(api: Api, caller: Headers, version: str) -> None:
    assert len(rows_of(upload(api, caller, csv_file(song(1)), CSV, dry_run="true"))) == 1
    assert api.get("/songs", headers=caller).json()["songs"] == []


def test_what_is_no_such_file_is_a_problem_and_no_csv(api: Api, caller: Headers, version: str) -> None:
    problem(upload(api, caller, b"", CSV), 400, "invalid-file")


def test_many_answers_one_after_the_other_leave_no_upload_open(api: Api, caller: Headers, version: str) -> None:
    for _ in range(10):
        assert len(rows_of(upload(api, caller, csv_file(song(1)), CSV))) == 1
    assert list((api.settings.state_directory / "uploads").iterdir()) == []
