"""POST /classifier/predict-batch, answered as JSON."""

import csv
import io
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.factories.song_files import csv_file, song
from tests.factories.song_models import add_model, add_songs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.shared.textfile import MAX_LINE_BYTES
from shelflist.songs import batch, batch_handlers, models
from shelflist.songs.features import FEATURE_COLUMNS
from shelflist.songs.judge import Judge
from shelflist.songs.rows import song_rows
from shelflist.songs.tables import song_models, song_uploads, songs

PATH = "/classifier/predict-batch"


def upload(api: Api, caller: Headers, content: bytes, headers: Headers | None = None, **query: str) -> httpx.Response:
    files = {"csv_file": ("songs.csv", content)}
    return api.post(PATH, params=query, headers={**caller, **(headers or {})}, files=files)


def report(answer: httpx.Response) -> dict[str, Any]:
    """Return the report, after checking that its counts add up."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["total_rows_added_to_db"] == body["created"] + body["updated"]
    judged = body["total_rows_added_to_db"] + body["unchanged"]
    assert body["total_rows_uploaded"] == judged + body["total_rows_rejected"]
    assert len(body["predictions"]) == judged
    assert answer.headers["X-Model-Version"] == body["model_version"]
    assert answer.headers["X-Rows-Rejected"] == str(body["total_rows_rejected"])
    return body


def counts(answer: httpx.Response) -> dict[str, int]:
    """Return the counts that are not 0."""
    names = ("created", "updated", "unchanged", "total_rows_rejected")
    found = report(answer)
    return {name.removeprefix("total_rows_"): found[name] for name in names if found[name]}


def errors(answer: httpx.Response) -> list[tuple[int, str | None, str]]:
    return [(error["line"], error["column"], error["code"]) for error in report(answer)["rejected"]]


def stored(api: Api) -> list[Any]:
    with api.engine.connect() as connection:
        return list(connection.execute(sa.select(songs).order_by(songs.c.trackid)))


def shuffled(content: bytes) -> bytes:
    """Return the file with its columns in another order."""
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    names = list(rows[0])
    random.Random(3).shuffle(names)
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def test_the_whole_answer(api: Api, caller: Headers, version: str) -> None:
    answer = upload(api, caller, csv_file(song(1), song(2, tempo="asd"), song(3)))
    body = report(answer)
    predictions = body.pop("predictions")
    assert body == {
        "model_version": version,
        "dry_run": False,
        "total_rows_uploaded": 3,
        "total_rows_w_na": 0,
        "total_rows_added_to_db": 2,
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "total_rows_rejected": 1,
        "rejected": [
            {"line": 3, "column": "tempo", "code": "not-a-number", "value": "asd", "detail": "is 'asd', not a number"}
        ],
        "rejected_truncated": False,
    }
    listed = api.get("/songs", headers=caller).json()["songs"]
    names = ("trackid", "title", "genre", "probability")
    assert predictions == [{name: row[name] for name in names} for row in listed]


def test_a_song_is_stored_to_the_last_digit(api: Api, caller: Headers, version: str) -> None:
    cells = song(1, title="Élan", tags="a, b", loudness="-8.846", vect_148="1e-300", tempo="+121.009")
    assert counts(upload(api, caller, csv_file(cells))) == {"created": 1}
    [row] = stored(api)
    assert (row.trackid, row.title, row.title_key, row.tags) == ("s1", "Élan", "elan", "a, b")
    assert row.audio == [float(cells[name]) for name in FEATURE_COLUMNS[3:]]
    assert row.probability == max(row.probabilities)
    assert sum(row.probabilities) == pytest.approx(1)
    assert (row.model_version, row.corrected_genre) == (version, None)


def test_the_real_file_uploads_as_it_is_and_shuffled_and_again_changes_nothing(
    api: Api, caller: Headers, version: str, real_file: bytes
) -> None:
    first = report(upload(api, caller, real_file))
    assert (first["created"], first["total_rows_rejected"]) == (450, 0)
    before = stored(api)
    again = report(upload(api, caller, shuffled(real_file)))
    assert again["unchanged"] == 450
    assert again["predictions"] == first["predictions"]
    assert stored(api) == before


def test_one_row_is_enough_without_a_line_feed_at_its_end_too(api: Api, caller: Headers, version: str) -> None:
    assert counts(upload(api, caller, csv_file(song(1)).rstrip(b"\n"))) == {"created": 1}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings(api: Api, caller: Headers, version: str, separator: str, encoding: str) -> None:
    content = csv_file(song(1, title="Ärger"), separator=separator).decode().encode(encoding)
    assert counts(upload(api, caller, content)) == {"created": 1}
    assert stored(api)[0].title == "Ärger"


def test_headers_in_another_case_and_with_spaces_and_columns_that_nobody_asked_for(
    api: Api, caller: Headers, version: str
) -> None:
    rows = [{**song(1), "comment": "x"}]
    header = [*reversed(FEATURE_COLUMNS), "comment"]
    content = csv_file(*rows, header=header)
    first, _, rest = content.partition(b"\n")
    spelled = first.upper().replace(b",", b" , ")
    assert counts(upload(api, caller, spelled + b"\n" + rest)) == {"created": 1}
    assert stored(api)[0].trackid == "s1"


BREAKAGES: list[tuple[Any, str | None, str]] = [
    (lambda row: {**row, "trackID": ""}, "trackID", "missing-value"),
    (lambda row: {**row, "trackID": "a b"}, "trackID", "wrong-form"),
    (lambda row: {**row, "trackID": "x" * 65}, "trackID", "too-long"),
    (lambda row: {**row, "title": " "}, "title", "missing-value"),
    (lambda row: {**row, "title": "x" * 501}, "title", "too-long"),
    (lambda row: {**row, "tags": "x" * 20_001}, "tags", "too-long"),
    (lambda row: {**row, "title": "a\x00b"}, "title", "control-character"),
    (lambda row: {**row, "tempo": "asd"}, "tempo", "not-a-number"),
    (lambda row: {**row, "tempo": "1_0"}, "tempo", "not-a-number"),
    (lambda row: {**row, "tempo": ""}, "tempo", "missing-value"),
    (lambda row: {**row, "vect_9": "NaN"}, "vect_9", "missing-value"),
    (lambda row: {**row, "vect_9": "NULL"}, "vect_9", "missing-value"),
    (lambda row: {**row, "vect_9": "-inf"}, "vect_9", "not-finite"),
    (lambda row: {**row, "vect_9": "1e999"}, "vect_9", "out-of-range"),
    (lambda row: {**row, "tempo": "1000.5"}, "tempo", "out-of-range"),
    (lambda row: {**row, "mode": "2"}, "mode", "out-of-range"),
    (lambda row: {**row, "key": "0.5"}, "key", "not-whole"),
    (lambda row: "1,2,3", None, "wrong-field-count"),
    (lambda row: '"never closed,', None, "unbalanced-quote"),
    (lambda row: '"a"b,c', None, "malformed"),
]


def test_every_fifth_row_broken_in_another_way_is_reported_by_line_and_column(
    api: Api, caller: Headers, version: str
) -> None:
    rows: list[dict[str, str] | str] = [song(number) for number in range(100)]
    expected = []
    for place, (broken, column, code) in enumerate(BREAKAGES):
        index = place * 5 + 4
        rows[index] = broken(song(index))
        expected.append((index + 2, column, code))
    # The bytes U+0000 would make the file binary were they in its beginning.
    answer = upload(api, caller, csv_file(*rows))
    assert errors(answer) == expected
    assert counts(answer) == {"created": 80, "rejected": 20}
    assert report(answer)["total_rows_w_na"] == 5


def test_latin_1_is_reported_by_row_and_the_others_are_stored(api: Api, caller: Headers, version: str) -> None:
    content = csv_file(song(1), song(2, title="Ärger"), song(3)).decode().encode("latin-1")
    answer = upload(api, caller, content)
    assert errors(answer) == [(3, "title", "not-utf-8")]
    assert counts(answer) == {"created": 2, "rejected": 1}


def test_the_first_good_row_of_an_id_wins(api: Api, caller: Headers, version: str) -> None:
    rows = [song(1, tempo=""), song(1, title="second"), song(1, title="third")]
    answer = upload(api, caller, csv_file(*rows))
    assert errors(answer) == [(2, "tempo", "missing-value"), (4, "trackID", "duplicate-in-file")]
    assert report(answer)["rejected"][1]["detail"] == "the same trackID stands in line 3, which is taken"
    assert [row.title for row in stored(api)] == ["second"]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "the file is empty"),
        (csv_file(), "the file has a header and no rows"),
        (csv_file() + b"\n \n", "the file has a header and no rows"),
        (b"PK\x03\x04\x14\0", "the file is a ZIP archive or an Excel workbook (.xlsx), not text"),
        (b"a,b\0c\n", "the file is binary, not text: it holds NUL bytes"),
        (csv_file(header=FEATURE_COLUMNS[:-1]), "the column vect_148 is not in the header"),
        (csv_file(song(1), header=[*FEATURE_COLUMNS, "tempo"]), "the column tempo stands in the header twice"),
        (csv_file(song(1), header=[*FEATURE_COLUMNS, "Tempo"]), "the column Tempo stands in the header twice"),
        (b",".join([b"c"] * 100_000), "the first line is no header: it has more than 1000 columns"),
        (b"x" * 3_000_000, "the first line is no header: it has more than 1000 columns"),
        (csv_file(song(1)).replace(b"\n", b"\r"), "the first line is no header: lines end in CR"),
        (csv_file(song(1)).replace(b"tempo", b"t\xffmpo", 1), "the first line is no header: it is not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_refused(api: Api, caller: Headers, version: str, content: bytes, detail: str) -> None:
    assert problem(upload(api, caller, content), 400, "invalid-file")["detail"] == detail
    assert stored(api) == []


def test_every_missing_column_is_named(api: Api, caller: Headers, version: str) -> None:
    header = [name for name in FEATURE_COLUMNS if name not in ("title", "vect_7")]
    found = problem(upload(api, caller, csv_file(song(1), header=header)), 400, "invalid-file")
    assert [error["name"] for error in found["errors"]] == ["title", "vect_7"]


def test_a_line_that_is_too_long_costs_no_other(api: Api, caller: Headers, version: str) -> None:
    answer = upload(api, caller, csv_file(song(1), "x" * (30 * MAX_LINE_BYTES), song(2)))
    assert errors(answer) == [(3, None, "line-too-long")]
    assert counts(answer) == {"created": 2, "rejected": 1}


def test_a_known_song_is_replaced_and_its_correction_stays(api: Api, caller: Headers, version: str) -> None:
    upload(api, caller, csv_file(song(1), song(2)))
    api.patch("/songs/s1", json={"genre": "folk"}, headers=caller)
    before = stored(api)
    answer = upload(api, caller, csv_file(song(1, title="New", loudness="-20"), song(2), song(3)))
    assert counts(answer) == {"created": 1, "updated": 1, "unchanged": 1}
    after = stored(api)
    assert (after[0].title, after[0].audio[0], after[0].genre) == ("New", -20, "folk")
    assert after[0].corrected_at == before[0].corrected_at
    assert after[0].predicted_at > before[0].predicted_at
    assert after[0].created_at == before[0].created_at
    assert after[1] == before[1]


def test_a_dry_run_reports_the_same_and_stores_nothing(api: Api, caller: Headers, version: str) -> None:
    upload(api, caller, csv_file(song(1)))
    content, key = csv_file(song(1, title="New"), song(2), song(3, tempo="asd")), {"Idempotency-Key": "dry"}
    before = stored(api)
    dry = report(upload(api, caller, content, key, dry_run="true"))
    assert (dry.pop("dry_run"), stored(api)) == (True, before)
    real = report(upload(api, caller, content, key))
    assert (real.pop("dry_run"), real) == (False, dry)


def test_a_key_repeats_the_answer_and_refuses_another_file(api: Api, caller: Headers, version: str) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (upload(api, caller, csv_file(song(1)), key) for _ in range(2))
    assert (first.json(), counts(again)) == (again.json(), {"created": 1})
    assert again.headers["Idempotency-Replayed"] == "true"
    problem(upload(api, caller, csv_file(song(2)), key), 422, "idempotency-key-reused")


def test_errors_are_capped_and_counts_are_not(api: Api, caller: Headers, version: str) -> None:
    everything_missing = dict.fromkeys(FEATURE_COLUMNS, "")
    body = report(upload(api, caller, csv_file(everything_missing, *["x"] * 1500, song(1))))
    assert (body["total_rows_rejected"], body["total_rows_w_na"], body["created"]) == (1501, 1, 1)
    assert (len(body["rejected"]), body["rejected_truncated"]) == (1000, True)
    assert [error["line"] for error in body["rejected"][:11]] == [2] * 10 + [3]


def test_two_at_once_add_up(api: Api, caller: Headers, version: str) -> None:
    rows = [song(number) for number in range(300)]
    contents = [csv_file(*rows), csv_file(*reversed(rows))]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda content: upload(api, caller, content), contents))
    assert sorted(map(str, map(counts, answers))) == ["{'created': 300}", "{'unchanged': 300}"]
    assert len(stored(api)) == 300


def test_corrections_beside_an_upload_are_kept(api: Api, caller: Headers, version: str) -> None:
    rows = [song(number) for number in range(300)]
    upload(api, caller, csv_file(*rows))
    changed = csv_file(*[{**row, "title": "New"} for row in rows])

    def correct(number: int) -> int:
        return api.patch(f"/songs/s{number}", json={"genre": "folk"}, headers=caller).status_code

    with ThreadPoolExecutor(4) as pool:
        uploads = [pool.submit(upload, api, caller, changed) for _ in range(2)]
        corrected = list(pool.map(correct, range(299, -1, -10)))
    assert sorted(str(counts(answer.result())) for answer in uploads) == ["{'unchanged': 300}", "{'updated': 300}"]
    assert set(corrected) == {200}
    assert {row.title for row in stored(api)} == {"New"}
    assert sum(row.corrected_genre == "folk" for row in stored(api)) == 30


def test_a_model_that_takes_over_in_the_middle_judges_from_the_next_file_on(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BLOCK", 10)
    switched: list[str] = []

    def switch() -> None:
        if not switched:
            switched.append(add_model(api.engine, seed=2))

    source: Any = io.BufferedReader(io.BytesIO(csv_file(*[song(number) for number in range(40)])))  # type: ignore[arg-type]
    options = batch.Options(api.settings.state_directory, told=switch)
    with api.engine.begin() as connection:
        found = batch.store_rows(connection, song_rows(source), batch_handlers.JUDGE, options)
    assert found.model_version == version
    assert {row.model_version for row in stored(api)} == {version}
    assert report(upload(api, caller, csv_file(song(1))))["model_version"] == switched[0]


@pytest.mark.parametrize("code", ["raise SystemExit(1)", "print('noise', flush=True); input(); raise SystemExit(1)"])
def test_a_judge_that_fails_is_a_503_and_nothing_is_stored(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    monkeypatch.setattr(batch_handlers, "JUDGE", Judge((sys.executable, "-c", code)))
    answer = upload(api, caller, csv_file(song(1)))
    problem(answer, 503, "service-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert stored(api) == []


def test_a_judge_that_dies_in_the_middle_leaves_nothing(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BLOCK", 10)
    judge = Judge()
    monkeypatch.setattr(batch_handlers, "JUDGE", judge)
    copy = batch._copy

    def die(connection: sa.Connection, block: bytes) -> None:
        copy(connection, block)
        judge._command = (sys.executable, "-c", "raise SystemExit(1)")
        assert judge._child is not None
        judge._child.kill()

    monkeypatch.setattr(batch, "_copy", die)
    problem(upload(api, caller, csv_file(*[song(number) for number in range(30)])), 503, "service-unavailable")
    assert stored(api) == []


def test_without_a_model_nothing_is_stored(api: Api, caller: Headers, version: str) -> None:
    with api.engine.begin() as connection:
        connection.execute(song_models.update().values(is_active=sa.false()))
    for content in (csv_file(song(1)), csv_file(*["x"] * (batch_handlers.MAX_ROWS_AT_ONCE + 1))):
        problem(upload(api, caller, content), 503, "no-model")
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(song_uploads)) == 0


def test_songs_of_other_models_are_judged_anew(api: Api, caller: Headers, version: str) -> None:
    upload(api, caller, csv_file(song(1)))
    other = add_model(api.engine, seed=2)
    assert counts(upload(api, caller, csv_file(song(1)))) == {"updated": 1}
    assert [row.model_version for row in stored(api)] == [other]
    with api.engine.begin() as connection:
        models.activate(connection, version)


def test_a_body_that_is_no_such_form_is_refused(api: Api, caller: Headers, version: str) -> None:
    found = problem(api.post(PATH, headers=caller, files={"file": ("a", csv_file(song(1)))}), 400, "invalid-request")
    assert [(error["name"], error["code"]) for error in found["errors"]] == [("file", "unknown")]
    answer = api.post(PATH, headers={**caller, "Content-Type": "text/csv"}, content=csv_file(song(1)))
    problem(answer, 415, "unsupported-media-type")
    problem(upload(api, caller, csv_file(song(1)), dry_run="perhaps"), 400, "invalid-request")


def test_a_chunked_upload_beyond_the_limit_stores_nothing(running_api: Api, api: Api, caller: Headers) -> None:
    settings = running_api.settings.model_copy(update={"max_upload_bytes": 100_000})
    add_model(api.engine)

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="csv_file"; filename="a"\r\n\r\n'
        yield csv_file(song(1))
        for _ in range(100):
            yield b"x" * 10_000

    headers = {**caller, "Content-Type": "multipart/form-data; boundary=b"}
    with Api(settings, running_api.url) as small:
        answer = small.post(PATH, headers=headers, content=body())
    assert (answer.status_code, stored(api)) == (413, [])


def test_an_upload_needs_a_client_that_may_write(api: Api, version: str) -> None:
    problem(upload(api, {}, csv_file(song(1))), 401, "unauthorized")
    problem(upload(api, api.credentials("reader", ("read",)), csv_file(song(1))), 403, "missing-scope")


def test_a_list_of_the_unsure_leads_to_corrections(api: Api, caller: Headers, version: str) -> None:
    upload(api, caller, csv_file(*[song(number) for number in range(50)]))
    add_songs(api.engine, [{"trackid": "sure", "probability": 1}])
    query = {"probability_lt": 0.99, "corrected": "false", "sort": "probability"}
    [unsure, *_] = api.get("/songs", params=query, headers=caller).json()["songs"]
    api.patch(f"/songs/{unsure['trackid']}", json={"genre": "punk"}, headers=caller)
    assert unsure not in api.get("/songs", params=query, headers=caller).json()["songs"]
    corrected = api.get("/songs", params={"corrected": "true"}, headers=caller).json()["songs"]
    assert [(song["trackid"], song["genre"]) for song in corrected] == [(unsure["trackid"], "punk")]
