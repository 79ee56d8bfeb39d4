"""Loads from an address: conditional, bounded in time and bytes, and never a half file taken for a whole one."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.factories.imdb import movie, rating, write_imdb
from tests.fixtures.loading import Loading

from shelflist.ingest.errors import LoadError

Answer = Callable[[BaseHTTPRequestHandler], Any]
BASICS, RATINGS = "title.basics.tsv.gz", "title.ratings.tsv.gz"


class Upstream:
    """A file server on a real socket that behaves as told, and remembers what it was asked."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.etags: dict[str, str] = {}
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, int]] = []
        self.headers: list[dict[str, str]] = []
        self.stop = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.partition("?")[0].rpartition("/")[2]
        self.headers.append(dict(handler.headers))
        special = self.answers.get(name)
        if special is not None:
            special(handler)
            return
        etag = self.etags.get(name)
        if etag and handler.headers.get("If-None-Match") == etag:
            send(handler, 304, {"ETag": etag})
        else:
            send(handler, 200, {"ETag": etag} if etag else {}, (self.directory / name).read_bytes())

    def run(self) -> None:
        self.server.serve_forever(poll_interval=0.01)


def send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    handler.server.upstream_log.append((handler.path.rpartition("/")[2], status))  # type: ignore[attr-defined]
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


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
    assert not list(loading.state_directory.rglob("title.*")), "a download was left"
    loading.engine.dispose()


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
    loading.load(write_imdb(tmp_path / "local", [movie(9, "Local")]))
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


def page(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Sign in to this network</html>")


def half(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 200, {"Content-Length": "1000"}, b"\x1f\x8b" + b"x" * 98)
    handler.connection.shutdown(socket.SHUT_RDWR)


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass


def status(code: int) -> Answer:
    return lambda handler: send(handler, code, {})


def redirect(location: str | None) -> Answer:
    return lambda handler: send(handler, 302, {"Location": location or handler.path})


NO_HTTP = "the connection broke off or did not speak HTTP"


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
