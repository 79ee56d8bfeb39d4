"""POST /classifier/predict-batch against hostile files, killed processes and callers beside each other."""

import csv
import hashlib
import io
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sa
from tests.factories.song_files import body, csv_file, song
from tests.factories.song_models import add_model, small_model
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.server import CREDENTIALS, Server, serving, wait_for

from shelflist.shared.database import create_engine
from shelflist.songs import batch
from shelflist.songs.features import FEATURE_COLUMNS
from shelflist.songs.judge import Judge, ModelFile
from shelflist.songs.model_files import to_bytes
from shelflist.songs.rows import song_of_body

PATH = "/classifier/predict-batch"
CSV = {"Accept": "text/csv"}
START = b'--b\r\nContent-Disposition: form-data; name="csv_file"; filename="a"\r\n\r\n'
MEGABYTE = 1_000_000


def upload(api: Api, caller: Headers, content: bytes, headers: Headers | None = None) -> httpx.Response:
    return api.post(PATH, headers={**caller, **(headers or {})}, files={"csv_file": ("songs.csv", content)})


def counts(answer: httpx.Response) -> tuple[int, int, int, int]:
    """Return how many rows are created, updated, unchanged and rejected."""
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["created"], found["updated"], found["unchanged"], found["total_rows_rejected"]


def errors(answer: httpx.Response) -> list[tuple[int, str | None, str]]:
    assert answer.status_code == 200, answer.text
    return [(error["line"], error["column"], error["code"]) for error in answer.json()["rejected"]]


def titles(api: Api, caller: Headers) -> list[str]:
    answer = api.get("/songs", params={"page_size": 100}, headers=caller)
    return [row["title"] for row in answer.json()["songs"]]


@pytest.mark.parametrize("name", ["trackID", "title", "tags", "loudness", "key", "vect_1", "vect_148"])
def test_a_missing_column_is_named(api: Api, caller: Headers, version: str, name: str) -> None:
    header = [column for column in FEATURE_COLUMNS if column != name]
    found = problem(upload(api, caller, csv_file(song(1), header=header)), 400, "invalid-file")
    assert [(error["name"], error["code"]) for error in found["errors"]] == [(name, "missing")]
    assert titles(api, caller) == []


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("   ", "missing-value"),
        ("-nan", "missing-value"),
        ("None", "missing-value"),
        ("<NA>", "missing-value"),
        ("inf", "not-finite"),
        ("+Infinity", "not-finite"),
        ("-1e999", "out-of-range"),
        ("1e999999999", "out-of-range"),
        ("9" * 900, "out-of-range"),
        ("9" * 900_000, "not-a-number"),
        ("1,5", "not-a-number"),
        ("=1+1", "not-a-number"),
        ("'5", "not-a-number"),
        ("--5", "not-a-number"),
        ("１２", "not-a-number"),
        ("1e", "not-a-number"),
        ("true", "not-a-number"),
        ("5\n6", "not-a-number"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_number_costs_its_row_alone(
    api: Api, caller: Headers, version: str, cell: str, code: str
) -> None:
    answer = upload(api, caller, csv_file(song(1), song(2, vect_77=cell), song(3)))
    assert errors(answer) == [(3, "vect_77", code)]
    assert counts(answer) == (2, 0, 0, 1)
    assert answer.json()["total_rows_w_na"] == (code == "missing-value")


def test_numbers_that_vanish_are_zero(api: Api, caller: Headers, version: str) -> None:
    answer = upload(api, caller, csv_file(song(1, vect_1="1e-999", vect_2="-0", vect_3=f"0.{'0' * 500}1")))
    assert counts(answer) == (1, 0, 0, 0)


@pytest.mark.parametrize("end", ["\r\n", "\n\n", "\r\n \r\n"])
def test_line_ends_of_other_systems_and_blank_lines(api: Api, caller: Headers, version: str, end: str) -> None:
    text = csv_file(song(1), song(2, tempo="asd"), song(3)).decode()
    answer = upload(api, caller, text.replace("\n", end).encode())
    assert counts(answer) == (2, 0, 0, 1)
    assert errors(answer) == [(1 + 2 * end.count("\n"), "tempo", "not-a-number")]


@pytest.mark.parametrize(
    "encoded",
    [
        lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
        lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
        lambda text: text.encode("utf-8-sig"),
    ],
    ids=["utf-16-be", "utf-16-le", "utf-8-bom"],
)
def test_all_in_quotes_behind_a_byte_order_mark(
    api: Api, caller: Headers, version: str, encoded: Callable[[str], bytes]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    rows = [song(1, title='Die "Ärzte" 🎸, live'), song(2)]
    writer.writerows([FEATURE_COLUMNS, *[list(row.values()) for row in rows]])
    assert counts(upload(api, caller, encoded(text.getvalue()))) == (2, 0, 0, 0)
    assert titles(api, caller) == ['Die "Ärzte" 🎸, live', "Song 2"]


def test_utf_16_that_ends_in_half_a_character_costs_its_last_row(api: Api, caller: Headers, version: str) -> None:
    content = csv_file(song(1), song(2)).decode().rstrip("\n").encode("utf-16")
    assert counts(upload(api, caller, content[:-1])) == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"\xff\xfe", "the file is empty"),
        (b"\xfe\xff", "the file is empty"),
        (b"\n" + csv_file(song(1)), "the column trackID is not in the header"),
        (csv_file(song(1)).decode().encode("utf-16-le"), "the file is binary, not text: it holds NUL bytes"),
        (b"\0" * 100_000, "the file is binary, not text: it holds NUL bytes"),
        (b'"' * 2_000_000, "the first line is no header: it has more than 1000 columns"),
        (b'"' + csv_file(song(1)), "the column trackID is not in the header"),
    ],
)  # fmt: skip
def test_what_only_looks_like_a_file_of_songs_is_refused(
    api: Api, caller: Headers, version: str, content: bytes, detail: str
) -> None:
    assert problem(upload(api, caller, content), 400, "invalid-file")["detail"] == detail


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_titles_may_hold_every_separator(api: Api, caller: Headers, version: str, separator: str) -> None:
    title = "one, two; three"
    assert counts(upload(api, caller, csv_file(song(1, title=title), separator=separator))) == (1, 0, 0, 0)
    assert titles(api, caller) == [title]


def test_decimal_commas_are_refused_and_not_misread(api: Api, caller: Headers, version: str) -> None:
    row = {name: cell.replace(".", ",") for name, cell in song(1).items()}
    answer = upload(api, caller, csv_file(row, song(2), separator=";"))
    assert {code for _, _, code in errors(answer)} == {"not-a-number"}
    assert counts(answer) == (1, 0, 0, 1)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_inside_quotes_belong_to_their_cell(api: Api, caller: Headers, version: str, end: str) -> None:
    rows = [song(1, title="One\ntwo"), song(2, title="\nThree\n"), song(3, tempo="asd"), song(4, tags="a,\nb")]
    answer = upload(api, caller, csv_file(*rows).decode().replace("\n", end).encode())
    controls = [(2, "title", "control-character"), (8, "tags", "control-character")]
    assert errors(answer) == [controls[0], (7, "tempo", "not-a-number"), controls[1]]
    assert titles(api, caller) == ["Three"]


def test_quotes_that_never_close_cost_their_own_rows(api: Api, caller: Headers, version: str) -> None:
    rows: list[dict[str, str] | str] = [song(number) for number in range(200)]
    for place in range(0, 200, 10):
        rows[place] = 'x,"never closed'
    answer = upload(api, caller, csv_file(*rows))
    assert counts(answer) == (180, 0, 0, 20)
    assert {code for _, _, code in errors(answer)} == {"unbalanced-quote"}


def test_an_id_is_a_duplicate_across_blocks_but_not_in_another_case(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "BLOCK", 2)
    rows = [*[song(number) for number in range(9)], song(20, trackID="S1"), song(21, trackID=" s1 ")]
    answer = upload(api, caller, csv_file(*rows))
    assert errors(answer) == [(12, "trackID", "duplicate-in-file")]
    assert counts(answer) == (10, 0, 0, 1)


NASTY = (
    "=cmd|' /C calc'!A0",
    "+49 30",
    "-1",
    "@SUM(1)",
    "'=1",
    "''''@",
    "'",
    '"',
    '""',
    '"quoted"',
    "a;b,c",
    "\\N",
    "NULL",
    "nan",
    "Ünï 🎸",
    "\u200b=1",
    "\u202egnirts",
    "\x80\x19",
    "﷽" * 500,
    "<script>",
    "' OR 1=1; --",
    "%s {0} ${x}",
)


def test_the_answer_survives_a_spreadsheet_that_saves_it_in_its_own_way(
    api: Api, caller: Headers, version: str
) -> None:
    # A guard before a formula is taken off the first file, too: it holds one more.
    sent = [f"'{title}" if title.startswith(("'=", "''''@")) else title for title in NASTY]
    first = upload(api, caller, csv_file(*[song(n, title=title) for n, title in enumerate(sent)]), CSV)
    rows = list(csv.reader(io.StringIO(first.text, newline="")))
    assert not [row[1] for row in rows if row[1].startswith(("=", "+", "-", "@"))]
    for delimiter, encoding, quoting in ((";", "utf-8-sig", csv.QUOTE_ALL), ("\t", "utf-16", csv.QUOTE_MINIMAL)):
        saved = io.StringIO()
        csv.writer(saved, delimiter=delimiter, quoting=quoting).writerows(rows)
        assert counts(upload(api, caller, saved.getvalue().encode(encoding))) == (0, 0, len(NASTY), 0)
    assert sorted(titles(api, caller)) == sorted(NASTY)
    assert upload(api, caller, first.content, CSV).content == first.content


def test_the_real_file_is_judged_alike_row_by_row_and_backwards(
    api: Api, caller: Headers, version: str, real_file: bytes
) -> None:
    together = {one["trackid"]: one for one in upload(api, caller, real_file).json()["predictions"]}
    rows = list(csv.DictReader(io.StringIO(real_file.decode(), newline="")))
    assert len(together) == len(rows) == 450
    backwards = upload(api, caller, csv_file(*reversed(rows)))
    assert counts(backwards) == (0, 0, 450, 0)
    assert {one["trackid"]: one for one in backwards.json()["predictions"]} == together
    for row in random.Random(1).sample(rows, 10):
        answer = upload(api, caller, csv_file(row))
        assert (counts(answer), answer.json()["predictions"]) == ((0, 0, 1, 0), [together[row["trackID"]]])


def test_who_asks_two_models_at_once_hears_from_both(tmp_path: Path) -> None:
    artefacts = [to_bytes(small_model(seed)) for seed in (1, 2)]
    judge, songs = Judge(), [song_of_body(body(1))]

    def ask(data: bytes) -> int:
        name = hashlib.sha256(data).hexdigest()
        file = ModelFile(name, tmp_path / "models" / f"{name}.zip", lambda: data)
        return sum(len(judge.judge(file, songs).probabilities) for _ in range(100))

    try:
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(ask, artefacts)) == [100, 100]
    finally:
        judge.close()


# Over a real server


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    made = create_engine(database_url, "tests")
    yield made
    made.dispose()


@pytest.fixture
def judging(engine: sa.Engine) -> str:
    """The version of the model that judges in the server's database."""
    return add_model(engine)


@pytest.fixture
def server(database_url: str, judging: str, tmp_path: Path) -> Iterator[Server]:
    """Two processes, as most have."""
    settings = {"STATE_DIRECTORY": str(tmp_path / "state"), "WEB_CONCURRENCY": "2"}
    with serving(database_url, tmp_path, MAX_UPLOAD_BYTES="2000000000", **settings) as started:
        yield started


def post(server: Server, content: bytes | Iterator[bytes], headers: Headers | None = None) -> httpx.Response:
    """Send a file on a connection of its own; of an iterator, the body as it is."""
    url, given = f"http://127.0.0.1:{server.port}{PATH}", {**CREDENTIALS, **(headers or {})}
    with httpx.Client(timeout=250, trust_env=False) as http:
        if isinstance(content, bytes):
            return http.post(url, headers=given, files={"csv_file": ("songs.csv", content)})
        return http.post(url, headers={**given, "Content-Type": "multipart/form-data; boundary=b"}, content=content)


def predict(server: Server, number: int) -> httpx.Response:
    url = f"http://127.0.0.1:{server.port}/classifier/predict"
    return httpx.post(url, headers=CREDENTIALS, json=body(number), timeout=60, trust_env=False)


def judges(server: Server) -> list[psutil.Process]:
    """Return the children that judge."""
    found = []
    for worker in server.workers():
        try:
            found += worker.children()
        except psutil.NoSuchProcess:
            continue
    return found


def kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def stored(engine: sa.Engine) -> dict[str, str]:
    """Return the model that has judged each song."""
    with engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT trackid, model_version FROM songs"))
        return {row.trackid: row.model_version for row in rows}


def many(count: int) -> list[dict[str, str]]:
    """Return as many rows that differ in their ids and titles, made in a moment."""
    some = [song(number) for number in range(50)]
    return [{**some[n % 50], "trackID": f"s{n}", "title": f"Song {n}"} for n in range(count)]


@pytest.mark.parametrize("before", [b'x,"', b"x" * 10, b'"'], ids=["in quotes", "plain", "all quoted"])
def test_a_line_of_300_megabytes_costs_no_memory_and_no_other_row(
    server: Server, engine: sa.Engine, before: bytes
) -> None:
    def sent() -> Iterator[bytes]:
        yield START + csv_file(song(1)) + before
        for _ in range(300):
            yield b"x" * MEGABYTE
        yield b"\n" + csv_file(song(2)).partition(b"\n")[2] + b"\r\n--b--\r\n"

    assert counts(post(server, csv_file(song(3)))) == (1, 0, 0, 0)
    held = server.memory()
    answer = post(server, sent())
    assert errors(answer) == [(3, None, "line-too-long")]
    assert counts(answer) == (2, 0, 0, 1)
    assert server.memory() - held < 30 * MEGABYTE
    assert set(stored(engine)) == {"s1", "s2", "s3"}


@pytest.mark.timeout(300)
def test_a_gigabyte_in_one_line_costs_no_memory(server: Server, engine: sa.Engine) -> None:
    peak = [0]

    def sent() -> Iterator[bytes]:
        yield START + csv_file(song(1))
        for number in range(1000):
            if number % 50 == 0:
                peak.append(server.memory())
            yield b"x" * MEGABYTE
        yield b"\r\n--b--\r\n"

    assert counts(post(server, csv_file(song(3)))) == (1, 0, 0, 0)
    held = server.memory()
    assert counts(post(server, sent())) == (1, 0, 0, 1)
    assert max(*peak, server.memory()) - held < 30 * MEGABYTE


def test_two_at_once_over_two_processes_store_each_song_once(server: Server, engine: sa.Engine, judging: str) -> None:
    rows = many(3_000)
    contents = [csv_file(*rows), csv_file(*reversed(rows)), csv_file(*rows[1_000:])]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda content: post(server, content), contents))
    found = [counts(answer) for answer in answers]
    assert sum(created for created, _, _, _ in found) == 3_000
    assert [updated + rejected for _, updated, _, rejected in found] == [0, 0, 0]
    assert stored(engine) == {row["trackID"]: judging for row in rows}


def test_one_key_for_two_at_once_takes_the_file_once(server: Server, engine: sa.Engine) -> None:
    content, key = csv_file(*many(2_000)), {"Idempotency-Key": "one"}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: post(server, content, key), range(2)))
    taken = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert [counts(answer) for answer in taken] == [(2_000, 0, 0, 0)] * len(taken)
    assert post(server, content, key).json() == taken[0].json()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(5) as made:
        yield made


def test_a_judge_that_is_killed_once_is_started_again(server: Server, pool: ThreadPoolExecutor) -> None:
    assert counts(post(server, csv_file(*many(10)))) == (10, 0, 0, 0)
    answer = pool.submit(post, server, csv_file(*many(6_000)))
    before = judges(server)
    for child in before:
        kill(child)
    assert counts(answer.result()) == (5_990, 0, 10, 0)


def test_a_judge_that_is_killed_whenever_it_starts_is_a_503_and_the_next_file_is_taken(
    server: Server, engine: sa.Engine, pool: ThreadPoolExecutor
) -> None:
    content = csv_file(*many(6_000))
    assert counts(post(server, csv_file(song(-1)))) == (1, 0, 0, 0)
    answer: Future[httpx.Response] = pool.submit(post, server, content)
    killed: set[int] = set()
    while not answer.done():
        for child in judges(server):
            kill(child)
            killed.add(child.pid)
        threading.Event().wait(0.01)
    found = answer.result()
    problem(found, 503, "service-unavailable")
    assert int(found.headers["Retry-After"]) > 0
    assert len(killed) >= 2
    assert set(stored(engine)) == {"s-1"}
    assert counts(post(server, content)) == (6_000, 0, 0, 0)


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_not_even_its_judge(
    server: Server, engine: sa.Engine, pool: ThreadPoolExecutor
) -> None:
    content = csv_file(*many(8_000))
    answer = pool.submit(post, server, content)
    wait_for(lambda: judges(server), "a judge starts")
    [judge] = judges(server)
    worker = judge.parent()
    assert worker is not None
    kill(worker)
    with pytest.raises(httpx.TransportError):
        answer.result()
    wait_for(lambda: not judge.is_running() or judge.status() == psutil.STATUS_ZOMBIE, "its judge ends")
    assert stored(engine) == {}
    wait_for(server.is_ready, "another process takes its place")
    assert counts(post(server, content)) == (8_000, 0, 0, 0)


def test_a_file_is_judged_by_the_model_that_it_names_while_others_ask_the_next_one(
    server: Server, engine: sa.Engine, judging: str, pool: ThreadPoolExecutor
) -> None:
    rows = many(8_000)
    content = csv_file(*rows)
    alone = {one["trackid"]: one for one in post(server, content).json()["predictions"]}
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE songs"))
    answer = pool.submit(post, server, content)
    threading.Event().wait(0.5)
    following = add_model(engine, seed=2)
    asked: list[httpx.Response] = []

    def ask() -> None:
        while not answer.done():
            asked.append(predict(server, len(asked)))

    for asking in [pool.submit(ask) for _ in range(4)]:
        asking.result()
    found = answer.result()
    assert found.status_code == 200, found.text
    assert found.json()["model_version"] == judging
    assert {one["trackid"]: one for one in found.json()["predictions"]} == alone
    assert stored(engine) == dict.fromkeys(alone, judging)
    assert {one.status_code for one in asked} == {200}
    assert asked[-1].json()["model_version"] == following
    assert counts(post(server, content)) == (0, 8_000, 0, 0)
