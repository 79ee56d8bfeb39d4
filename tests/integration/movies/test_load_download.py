"""Loads from an address: conditional, resumed, bounded in time and bytes, and never half a file taken for the whole."""

import gzip
import io
import json
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.factories.imdb import movie, rating, write_imdb
from tests.fixtures.loading import Loading, wait_until
from tests.fixtures.upstream import (
    BASICS,
    NO_HTTP,
    RATINGS,
    Answer,
    Upstream,
    endless,
    half,
    page,
    redirect,
    send,
    status,
)

from shelflist.ingest import reporter as reporter_module
from shelflist.ingest.errors import LoadError
from shelflist.ingest.reporter import JsonReporter
from shelflist.movies.imdb import load_imdb
from shelflist_http import resuming


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    upstream = Upstream(write_imdb(tmp_path / "served", [movie(1, "Old"), movie(2)], [rating(1)]))
    upstream.server.upstream_log = upstream.requests  # type: ignore[attr-defined]
    thread = threading.Thread(target=upstream.run)
    thread.start()
    yield upstream
    upstream.stop.set()
    upstream.server.shutdown()
    upstream.server.server_close()
    thread.join()


@pytest.fixture
def loading(database_url: str, tmp_path: Path) -> Iterator[Loading]:
    loading = Loading(database_url, tmp_path / "state")
    yield loading
    outcomes = [row["outcome"] for row in loading.ledger()]
    assert left(loading) == set() or outcomes[-1:] == ["failed"], "a load that ended well has left a download"
    loading.engine.dispose()


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "BASE_SECONDS", 0.01)


def left(loading: Loading) -> set[str]:
    """The names of all downloads that are there, whole or in part."""
    return {path.name for path in loading.state_directory.rglob("title.*")}


def test_files_are_downloaded_and_their_validators_recorded(loading: Loading, upstream: Upstream) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    assert loading.load(f"{upstream.url}/imdb/").outcome == "loaded"
    assert loading.titles() == ["Old", "A movie"]
    [row] = loading.ledger()
    assert (row["source"], row["etag"]) == (f"{upstream.url}/imdb/{BASICS}", '"b1"')
    assert row["sha256"] is not None


def test_what_the_server_calls_unchanged_is_not_downloaded(loading: Loading, upstream: Upstream) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    loading.load(upstream.url)
    before = loading.catalogue()
    upstream.requests.clear()
    assert loading.load(upstream.url).outcome == "unchanged"
    assert upstream.requests == [(BASICS, 304), (RATINGS, 304)]
    assert loading.catalogue() == before
    loaded, unchanged = loading.ledger()
    assert (unchanged["outcome"], unchanged["etag"], unchanged["is_current"]) == ("unchanged", '"b1"', False)
    assert unchanged["sha256"] == loaded["sha256"]
    upstream.requests.clear()
    assert loading.load(upstream.url, force=True).outcome == "loaded"
    assert [status for _, status in upstream.requests] == [200, 200]


@pytest.mark.parametrize(("changed", "kept"), [(BASICS, RATINGS), (RATINGS, BASICS)])
def test_where_one_file_has_changed_both_are_loaded(
    loading: Loading, upstream: Upstream, changed: str, kept: str
) -> None:
    upstream.etags = {BASICS: '"1"', RATINGS: '"1"'}
    loading.load(upstream.url)
    if changed == BASICS:
        write_imdb(upstream.directory, [movie(1, "New"), movie(2)], [rating(1)])
    else:
        write_imdb(upstream.directory, [movie(1, "Old"), movie(2)], [rating(1, "1.0"), rating(2)])
    upstream.etags[changed] = '"2"'
    upstream.requests.clear()
    assert loading.load(upstream.url).outcome == "loaded"
    assert sorted(upstream.requests) == sorted([(changed, 200), (kept, 304), (kept, 200)])
    first, _ = loading.movies()
    assert (first["title"], str(first["rating"])) == (("New", "7.5") if changed == BASICS else ("Old", "1.0"))
    assert loading.ledger()[-1]["etag"] == upstream.etags[BASICS]
    assert loading.load(upstream.url).outcome == "unchanged"


def test_the_same_bytes_under_another_etag_are_unchanged_and_the_new_one_is_asked_for_next(
    loading: Loading, upstream: Upstream
) -> None:
    upstream.etags = {BASICS: '"1"', RATINGS: '"1"'}
    loading.load(upstream.url)
    upstream.etags = {BASICS: '"2"', RATINGS: '"2"'}
    assert loading.load(upstream.url).outcome == "unchanged"
    upstream.requests.clear()
    assert loading.load(upstream.url).outcome == "unchanged"
    assert upstream.requests == [(BASICS, 304), (RATINGS, 304)]


def test_another_source_s_validators_are_not_used(loading: Loading, upstream: Upstream, tmp_path: Path) -> None:
    upstream.etags = {BASICS: '"1"', RATINGS: '"1"'}
    loading.load(upstream.url)
    loading.load(write_imdb(tmp_path / "local", [movie(8), movie(9, "Local")], [rating(8)]))
    assert loading.load(upstream.url).outcome == "loaded"
    assert loading.titles() == ["Old", "A movie"]


def test_credentials_are_used_and_told_nobody(
    loading: Loading, upstream: Upstream, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    source = upstream.url.replace("http://", "http://me:pass%40word@") + "/?token=hidden"
    loading.load(source)
    assert {headers["Authorization"] for headers in upstream.headers} == {"Basic bWU6cGFzc0B3b3Jk"}
    upstream.answers[BASICS] = lambda handler: send(handler, 403, {})
    with pytest.raises(LoadError) as raised:
        loading.load(source, force=True)
    told = "".join((str(raised.value), str(loading.rows("SELECT * FROM dataset_loads")), *capfd.readouterr()))
    told += "".join(record.getMessage() for record in caplog.records if not record.name.startswith("httpcore"))
    assert "403" in told
    for secret in ("pass", "word", "hidden", "me:"):
        assert secret not in told.replace("password", "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "answered 404 Not Found"),
        (status(500), "answered 500 Internal Server Error"),
        (status(304), "answered 304 Not Modified"),
        (page, "answered with a web page instead of a file"),
        (half, NO_HTTP),
        (lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), NO_HTTP),
        (endless, "holds more than 1,000,000 bytes"),
        (lambda handler: send(handler, 200, {"Content-Length": "2000000"}), "holds more than 1,000,000 bytes"),
        (redirect("ftp://127.0.0.1/x"), "redirects from http to ftp, which is not followed"),
        (redirect("file:///etc/passwd"), "redirects from http to file, which is not followed"),
        (redirect(None), "redirects more than 5 times"),
    ],
)
def test_a_bad_answer_changes_nothing_and_is_told_in_one_line(
    loading: Loading, upstream: Upstream, answer: Answer, reason: str
) -> None:
    loading.load(upstream.url)
    before = loading.catalogue()
    upstream.answers[RATINGS] = answer
    with pytest.raises(LoadError) as raised:
        loading.load(upstream.url, imdb_max_bytes=1_000_000)
    assert str(raised.value).endswith(reason)
    assert "\n" not in str(raised.value)
    assert loading.catalogue() == before
    assert loading.ledger()[-1]["outcome"] == "failed"
    assert loading.ledger()[-1]["reason"] == str(raised.value)


def test_a_redirect_is_followed(loading: Loading, upstream: Upstream) -> None:
    upstream.answers[BASICS] = lambda handler: send(
        handler, 302, {"Location": f"{upstream.url}/moved/{RATINGS.replace('ratings', 'elsewhere')}"}
    )
    (upstream.directory / "title.elsewhere.tsv.gz").write_bytes((upstream.directory / BASICS).read_bytes())
    assert loading.load(upstream.url).basics.rows_kept == 2


def test_an_upstream_that_stalls_or_drips_is_given_up(loading: Loading, upstream: Upstream) -> None:
    def stall(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, {"Content-Length": "1000"}, b"\x1f\x8b")
        upstream.stop.wait(60)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, {"Content-Length": "1000000"}, b"\x1f\x8b")
        while not upstream.stop.wait(0.02):
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    upstream.answers[BASICS] = stall
    with pytest.raises(LoadError, match="nothing came for too long"):
        loading.load(upstream.url, download_idle_seconds=0.2)
    upstream.answers[BASICS] = drip
    with pytest.raises(LoadError, match=r"took more than 0\.3 seconds"):
        loading.load(upstream.url, download_idle_seconds=5, download_total_seconds=0.3)
    assert [row["outcome"] for row in loading.ledger()] == ["failed", "failed"]


def test_an_address_that_nobody_answers_is_told(loading: Loading) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(LoadError, match=f"http://127.0.0.1:{port}/{BASICS}: cannot connect"):
            loading.load(f"http://me:secret@127.0.0.1:{port}")
    for source in ("http://", "http://[", "http://127.0.0.1:99999/"):
        with pytest.raises(LoadError):
            loading.load(source)
    assert all(row["outcome"] == "failed" for row in loading.ledger())


def test_a_download_that_breaks_off_goes_on_within_the_load(loading: Loading, upstream: Upstream) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    upstream.first = {BASICS: [upstream.breaks_off(BASICS), status(503)], RATINGS: [status(429)]}
    assert loading.load(upstream.url).outcome == "loaded"
    rest = f"bytes={upstream.half(BASICS)}-"
    assert upstream.ranges() == [
        (BASICS, 200, None),
        (BASICS, 503, rest),
        (BASICS, 206, rest),
        (RATINGS, 429, None),
        (RATINGS, 200, None),
    ]
    assert loading.titles() == ["Old", "A movie"]
    assert loading.ledger()[-1]["etag"] == '"b1"'


def test_a_download_that_failed_goes_on_in_the_next_load(loading: Loading, upstream: Upstream) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    upstream.first = {RATINGS: [upstream.breaks_off(RATINGS), status(403)]}
    with pytest.raises(LoadError, match="403"):
        loading.load(upstream.url)
    assert left(loading) == {BASICS, f"{BASICS}.json", f"{RATINGS}.part", f"{RATINGS}.json"}
    upstream.forget()
    assert loading.load(upstream.url).outcome == "loaded"
    assert upstream.ranges() == [(BASICS, 304, None), (RATINGS, 206, f"bytes={upstream.half(RATINGS)}-")]
    assert loading.titles() == ["Old", "A movie"]


def killed_midway(loading: Loading, upstream: Upstream) -> None:
    """Kill a loader that has half of the first file."""
    upstream.first = {BASICS: [upstream.stalls(BASICS)]}
    part = loading.state_directory / "downloads" / f"{BASICS}.part"
    with loading.process(upstream.url) as process:
        wait_until(lambda: part.exists() and part.stat().st_size == upstream.half(BASICS))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert left(loading) == {f"{BASICS}.part", f"{BASICS}.json"}
    upstream.forget()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code of a loader, and what it said."""
    said = "".join(process.communicate())
    return process.returncode, said


def test_after_a_kill_another_process_goes_on(loading: Loading, upstream: Upstream) -> None:
    # Random titles do not pack: the first half is more than any buffer on the way to the disk.
    movies = [movie(number, f"{number * 0x9E3779B97F4A7C15 % 2**64:x}") for number in range(1, 5_000)]
    write_imdb(upstream.directory, movies, [rating(1)])
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    killed_midway(loading, upstream)
    with loading.process(upstream.url) as process:
        code, said = finish(process)
    assert code == 0, said
    assert upstream.ranges() == [(BASICS, 206, f"bytes={upstream.half(BASICS)}-"), (RATINGS, 200, None)]
    assert len(loading.titles()) == len(movies)
    assert [row["outcome"] for row in loading.ledger()] == ["interrupted", "loaded"]
    assert left(loading) == set()


def test_after_a_kill_a_file_that_has_changed_is_downloaded_anew(loading: Loading, upstream: Upstream) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    killed_midway(loading, upstream)
    write_imdb(upstream.directory, [movie(1, "New")], [])
    upstream.etags[BASICS] = '"b2"'
    assert loading.load(upstream.url).outcome == "loaded"
    assert [status for _, status in upstream.requests] == [200, 200]
    assert loading.titles() == ["New"]


def test_files_that_were_refused_are_not_downloaded_again(loading: Loading, upstream: Upstream) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    loading.load(upstream.url)
    write_imdb(upstream.directory, [movie(1, "New")], [rating(1)])
    upstream.etags = {BASICS: '"b2"', RATINGS: '"r2"'}
    with pytest.raises(LoadError):
        loading.load(upstream.url)
    assert left(loading) == {BASICS, f"{BASICS}.json", RATINGS, f"{RATINGS}.json"}
    upstream.forget()
    assert loading.load(upstream.url, force=True).outcome == "loaded"
    assert upstream.requests == [(BASICS, 304), (RATINGS, 304)]
    assert loading.titles() == ["New"]
    assert loading.ledger()[-1]["etag"] == '"b2"'
    upstream.forget()
    assert loading.load(upstream.url).outcome == "unchanged"
    assert upstream.requests == [(BASICS, 304), (RATINGS, 304)]


def test_without_validators_they_are(loading: Loading, upstream: Upstream) -> None:
    loading.load(upstream.url)
    write_imdb(upstream.directory, [movie(1, "New")], [rating(1)])
    with pytest.raises(LoadError):
        loading.load(upstream.url)
    upstream.forget()
    assert loading.load(upstream.url, force=True).outcome == "loaded"
    assert upstream.requests == [(BASICS, 200), (RATINGS, 200)]


def test_a_damaged_file_is_downloaded_again_whatever_its_etag(loading: Loading, upstream: Upstream) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    whole = (upstream.directory / BASICS).read_bytes()
    (upstream.directory / BASICS).write_bytes(whole[:-8] + bytes(8))
    with pytest.raises(LoadError):
        loading.load(upstream.url)
    assert left(loading) == {RATINGS, f"{RATINGS}.json"}
    (upstream.directory / BASICS).write_bytes(whole)
    upstream.forget()
    assert loading.load(upstream.url).outcome == "loaded"
    assert upstream.requests == [(BASICS, 200), (RATINGS, 304)]


def test_what_another_source_has_left_is_removed(loading: Loading, upstream: Upstream, tmp_path: Path) -> None:
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    killed_midway(loading, upstream)
    (loading.state_directory / "downloads" / "title.akas.tsv.gz.part").write_text("x")
    assert loading.load(f"{upstream.url}/elsewhere/").outcome == "loaded"
    assert upstream.ranges() == [(BASICS, 200, None), (RATINGS, 200, None)]
    killed_midway(loading, upstream)
    assert loading.load(write_imdb(tmp_path / "local", [movie(1), movie(2)], [rating(1)])).outcome == "loaded"


def test_a_disk_that_is_full_fails_the_load_and_gets_its_space_back(loading: Loading, upstream: Upstream) -> None:
    limited = threading.Event()

    def large(handler: BaseHTTPRequestHandler) -> None:
        limited.wait()
        with suppress(OSError):
            send(handler, 200, {"ETag": '"b1"'}, gzip.compress(bytes(50_000_000)))

    upstream.first = {BASICS: [large]}
    with loading.process(upstream.url) as process:
        wait_until(lambda: upstream.headers)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (10_000, 10_000))
        limited.set()
        code, said = finish(process)
    assert code == 1
    assert "cannot store the download: File too large" in said
    assert loading.ledger()[-1]["reason"] == "cannot store the download: File too large"
    assert left(loading) == set()
    assert loading.load(upstream.url).outcome == "loaded"


def test_the_bytes_that_have_come_are_told_with_those_announced(
    loading: Loading, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter_module, "LINE_SECONDS", 0.0)
    upstream.etags = {BASICS: '"b1"', RATINGS: '"r1"'}
    killed_midway(loading, upstream)
    stream = io.StringIO()
    settings = loading.settings()
    load_imdb(loading.engine, settings, source=upstream.url, reporter=JsonReporter(stream))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [line for line in lines if line.get("phase") == "downloading" and "bytes" in line]
    basics, ratings = ((upstream.directory / name).stat().st_size for name in (BASICS, RATINGS))
    assert (told[0]["bytes"], told[0]["share"]) == (upstream.half(BASICS), round(upstream.half(BASICS) / basics, 4))
    assert (told[-1]["event"], told[-1]["bytes"]) == ("load phase ended", basics + ratings)
    assert told[-1]["share"] == 1.0
