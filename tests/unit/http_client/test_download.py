"""Downloads that go on where they broke off, within one call, and never name a half file."""

import os
import shutil
import ssl
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from tests.fixtures.certificates import self_signed
from tests.fixtures.downloads import HASTY, LIMITS, NEW, OLD, leave_half, left, part, sidecar
from tests.fixtures.file_server import LONG_AGO, Act, FileServer, answers, file_server, in_chunks, serves, stalls

from shelflist_http import HttpError, download, resuming

pytestmark = pytest.mark.usefixtures("waits")

BROKE_OFF = "the connection broke off or did not speak HTTP"


def test_a_download_that_breaks_off_goes_on_from_there(files: FileServer, target: Path) -> None:
    files.script = [serves(break_after=30_000), serves(break_after=25_000)]
    stored = download(files.url, target, LIMITS)
    assert target.read_bytes() == OLD
    assert files.ranges == [(200, None), (206, "bytes=30000-"), (206, "bytes=55000-")]
    assert [request.if_range for request in files.requests] == [None, '"v1"', '"v1"']
    assert stored is not None
    assert (stored.etag, stored.total) == ('"v1"', 100_000)
    assert left(target) == {"file.gz", "file.gz.json"}


def test_a_download_over_tls_that_breaks_off_goes_on_from_there(
    target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path, "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with file_server(OLD, context) as files:
        files.script = [serves(break_after=30_000)]
        download(files.url, target, LIMITS)
        assert files.ranges == [(200, None), (206, "bytes=30000-")]
    assert target.read_bytes() == OLD


def test_as_long_as_something_comes_it_goes_on(files: FileServer, target: Path) -> None:
    files.script = [serves(break_after=5_000) for _ in range(19)]
    download(files.url, target, LIMITS)
    assert target.read_bytes() == OLD
    assert len(files.requests) == 20


def test_where_nothing_new_comes_it_gives_up_and_waits_longer_each_time(
    files: FileServer, target: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming.random, "uniform", lambda _, most: most)
    files.script = [serves(break_after=10)] + [answers(503)] * 99
    with pytest.raises(HttpError) as raised:
        download(files.url, target, LIMITS)
    assert str(raised.value) == f"{files.url} answered 503 Service Unavailable"
    assert raised.value.__context__ is None
    assert [status for status, _ in files.ranges] == [200] + [503] * resuming.ATTEMPTS
    assert waits == [1, 1, 2, 4, 8]
    assert left(target) == {"file.gz.part", "file.gz.json"}


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(files: FileServer, target: Path) -> None:
    files.headers = {}
    files.script = [serves(break_after=10_000)] * 99
    with pytest.raises(HttpError, match=BROKE_OFF):
        download(files.url, target, LIMITS)
    assert files.ranges == [(200, None)] * (1 + resuming.ATTEMPTS)


def test_a_server_without_ranges_starts_over(files: FileServer, target: Path) -> None:
    files.script = [serves(break_after=30_000), serves(ignores_ranges=True)]
    download(files.url, target, LIMITS)
    assert files.ranges == [(200, None), (200, "bytes=30000-")]
    assert target.read_bytes() == OLD


def test_a_file_that_changes_between_two_attempts_is_the_new_one(files: FileServer, target: Path) -> None:
    def changes(server: FileServer, handler: object) -> None:
        server.content, server.headers = NEW, {"ETag": '"v2"'}
        serves(break_after=20_000)(server, handler)  # type: ignore[arg-type]

    files.script = [serves(break_after=30_000), changes]
    stored = download(files.url, target, LIMITS)
    assert [(request.range, request.if_range) for request in files.requests] == [
        (None, None),
        ("bytes=30000-", '"v1"'),
        ("bytes=20000-", '"v2"'),
    ]
    assert target.read_bytes() == NEW
    assert stored is not None
    assert (stored.etag, stored.total) == ('"v2"', 90_000)


REST = OLD[30_000:]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers(416, Content_Range="bytes */20000"), id="not satisfiable"),
        pytest.param(answers(206, REST, Content_Range="bytes 29999-99998/100000"), id="from another byte"),
        pytest.param(answers(206, REST, Content_Range="bytes 0-69999/100000"), id="from the start"),
        pytest.param(answers(206, REST, Content_Range="bytes 30000-99999/100001"), id="another total"),
        pytest.param(answers(206, REST, Content_Range="bytes 30000-100000/*"), id="past the end"),
        pytest.param(answers(206, REST, Content_Range="bytes 30000-20000/100000"), id="backwards"),
        pytest.param(answers(206, REST, Content_Range="items 30000-99999/100000"), id="another unit"),
        pytest.param(answers(206, REST, Content_Range="bytes " + "9" * 5000 + "-1/2"), id="endless number"),
        pytest.param(answers(206, REST), id="no range"),
        pytest.param(answers(206, b"--x", Content_Type="multipart/byteranges; boundary=x"), id="several parts"),
        pytest.param(answers(206, REST, Content_Range="bytes 30000-99999/100000", ETag='"v2"'), id="another ETag"),
        pytest.param(answers(206, REST, Content_Range="bytes 30000-99999/100000", ETag='W/"v1"'), id="a weak ETag"),
        pytest.param(
            answers(206, REST, Content_Range="bytes 30000-99999/100000", Last_Modified=LONG_AGO), id="another date"
        ),
        pytest.param(in_chunks(206, REST + b"x", Content_Range="bytes 30000-99999/100000"), id="more than the rest"),
        pytest.param(answers(206, REST + b"x", Content_Range="bytes 30000-99999/100000"), id="one byte more"),
    ],
)
def test_a_part_that_is_not_the_rest_is_not_taken(files: FileServer, target: Path, answer: Act) -> None:
    files.script = [serves(break_after=30_000), answer]
    download(files.url, target, LIMITS)
    assert target.read_bytes() == OLD
    assert [asked for _, asked in files.ranges] == [None, "bytes=30000-", None]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answers(206, OLD[30_000:50_000], Content_Range="bytes 30000-49999/100000"), id="a shorter range"),
        pytest.param(in_chunks(206, OLD[30_000:50_000], Content_Range="bytes 30000-99999/100000"), id="a shorter body"),
        pytest.param(answers(206, OLD[30_000:50_000], Content_Range="bytes 30000-49999/*"), id="of no total"),
    ],
)
def test_less_than_the_rest_is_taken_and_the_rest_of_that_asked_for(
    files: FileServer, target: Path, answer: Act
) -> None:
    files.script = [serves(break_after=30_000), answer]
    download(files.url, target, LIMITS)
    assert target.read_bytes() == OLD
    assert [asked for _, asked in files.ranges] == [None, "bytes=30000-", "bytes=50000-"]


# Told when the test runs: it is collected long before.
JUST_NOW = "just now"


def now(**before: float) -> str:
    return format_datetime(datetime.now(UTC) - timedelta(**before), usegmt=True)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"ETag": 'W/"v1"'}, id="a weak ETag"),
        pytest.param({"ETag": 'W/"v1"', "Last-Modified": LONG_AGO}, id="a weak ETag with a date"),
        pytest.param({"ETag": "v1"}, id="an ETag without quotes"),
        pytest.param({"ETag": '"v\xe9"'}, id="an ETag that cannot be sent"),
        pytest.param({"Last-Modified": JUST_NOW}, id="a date of just now"),
        pytest.param({"Last-Modified": LONG_AGO, "Date": ""}, id="a date by no clock"),
        pytest.param({"Last-Modified": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"}, id="no date"),
        pytest.param({}, id="nothing"),
    ],
)
def test_without_a_strong_validator_nothing_is_put_together(
    files: FileServer, target: Path, headers: dict[str, str]
) -> None:
    files.headers = {name: now(seconds=2) if value == JUST_NOW else value for name, value in headers.items()}
    files.script = [serves(break_after=30_000)]
    download(files.url, target, LIMITS)
    assert files.ranges == [(200, None), (200, None)]
    assert target.read_bytes() == OLD
    target.unlink()
    files.script = [serves(break_after=30_000), answers(404)]
    with pytest.raises(HttpError):
        download(files.url, target, LIMITS)
    assert left(target) == set()


def test_a_date_that_is_long_past_is_a_strong_validator(files: FileServer, target: Path) -> None:
    files.headers = {"Last-Modified": LONG_AGO}
    files.script = [serves(break_after=30_000)]
    download(files.url, target, LIMITS)
    assert files.ranges == [(200, None), (206, "bytes=30000-")]
    assert files.requests[1].if_range == LONG_AGO
    assert target.read_bytes() == OLD


def test_a_server_that_stalls_is_left_and_asked_for_the_rest(files: FileServer, target: Path) -> None:
    files.script = [stalls(30_000)]
    download(files.url, target, HASTY)
    assert files.ranges == [(200, None), (206, "bytes=30000-")]
    assert target.read_bytes() == OLD


def test_all_attempts_together_end_with_the_time(
    files: FileServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A wait that would outlast the time is not begun.
    monkeypatch.setattr(resuming, "BASE_SECONDS", 0.0)

    def drips(server: FileServer, handler: object) -> None:
        serves(break_after=10)(server, handler)  # type: ignore[arg-type]
        while not server.stop.wait(0.02):
            handler.wfile.write(b"x")  # type: ignore[attr-defined]

    files.script = [serves(break_after=30_000), drips]
    with pytest.raises(HttpError) as raised:
        download(files.url, target, replace(LIMITS, total_seconds=0.5))
    assert str(raised.value) == f"{files.url} took more than 0.5 seconds"
    assert raised.value.reason == "timeout"
    assert len(files.requests) == 2
    assert left(target) == {"file.gz.part", "file.gz.json"}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(files: FileServer, target: Path, status: int) -> None:
    files.script = [serves(break_after=30_000), answers(status)]
    download(files.url, target, LIMITS)
    assert files.ranges == [(200, None), (status, "bytes=30000-"), (206, "bytes=30000-")]
    assert target.read_bytes() == OLD


@pytest.mark.parametrize(("retry_after", "least"), [("7", 7), ("0", 0), ("soon", 0), ("²", 0), ("", 0)])
def test_a_server_that_names_a_time_is_given_it(
    files: FileServer, target: Path, waits: list[float], retry_after: str, least: float
) -> None:
    files.script = [answers(503, Retry_After=retry_after)]
    download(files.url, target, LIMITS)
    [wait] = waits
    assert least <= wait <= least + resuming.BASE_SECONDS


def test_a_server_may_name_a_moment(files: FileServer, target: Path, waits: list[float]) -> None:
    files.script = [answers(503, Retry_After=now(hours=1))]
    download(files.url, target, LIMITS)
    [wait] = waits
    assert 0 <= wait <= resuming.BASE_SECONDS
    files.script = [answers(503, Retry_After=now(hours=-20))]
    target.unlink()
    with pytest.raises(HttpError, match="503"):
        download(files.url, target, LIMITS)
    assert len(waits) == 1


@pytest.mark.parametrize(("retry_after", "seconds"), [("3000", 6000.0), ("100", 60.0)])
def test_a_server_that_names_too_long_a_time_is_left_for_another_run(
    files: FileServer, target: Path, waits: list[float], retry_after: str, seconds: float
) -> None:
    files.script = [serves(break_after=30_000), answers(429, Retry_After=retry_after)]
    with pytest.raises(HttpError, match="429"):
        download(files.url, target, replace(LIMITS, total_seconds=seconds))
    assert len(files.requests) == 2
    assert part(target).stat().st_size == 30_000


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (answers(404), "answered 404 Not Found"),
        (answers(304), "answered 304 Not Modified"),
        (answers(206, OLD, Content_Range="bytes 0-99999/100000"), "answered 206 Partial Content"),
        (answers(200, b"<html>", Content_Type="text/html"), "answered with a web page instead of a file"),
        (answers(200, b"x" * 1_000_001), "holds more than 1,000,000 bytes"),
        (in_chunks(200, b"x" * 1_000_001), "holds more than 1,000,000 bytes"),
        (in_chunks(200, b"x" * 1_000_001, ETag='"v1"'), "holds more than 1,000,000 bytes"),
    ],
)
def test_what_will_not_pass_is_not_asked_again(files: FileServer, target: Path, answer: Act, text: str) -> None:
    files.script = [answer]
    with pytest.raises(HttpError) as raised:
        download(files.url, target, LIMITS)
    assert str(raised.value) == f"{files.url} {text}"
    assert len(files.requests) == 1
    assert left(target) == set()


@pytest.mark.parametrize(
    "answer", [answers(403), answers(200, b"<html>", Content_Type="text/html"), answers(200, b"x" * 1_000_001)]
)
def test_a_bad_answer_costs_nothing_of_what_is_here(files: FileServer, target: Path, answer: Act) -> None:
    leave_half(files, target)
    files.script = [answer]
    with pytest.raises(HttpError):
        download(files.url, target, LIMITS)
    download(files.url, target, LIMITS)
    assert files.ranges[-1] == (206, "bytes=40000-")
    assert target.read_bytes() == OLD


def test_a_part_of_too_large_a_file_is_not_taken(files: FileServer, target: Path) -> None:
    files.content = OLD * 11
    files.script = [in_chunks(200, OLD, is_whole=False, ETag='"v1"')]
    with pytest.raises(HttpError, match="holds more than 1,000,000 bytes"):
        download(files.url, target, LIMITS)
    assert not target.exists()


def test_a_body_in_chunks_ends_with_the_last_of_them(files: FileServer, target: Path) -> None:
    files.script = [in_chunks(200, OLD[:1_000], is_whole=False), in_chunks(200, OLD)]
    stored = download(files.url, target, LIMITS)
    assert files.ranges == [(200, None), (200, None)]
    assert target.read_bytes() == OLD
    assert stored is not None
    assert stored.total == 100_000


def test_a_body_in_chunks_that_breaks_off_goes_on_as_well(files: FileServer, target: Path) -> None:
    files.script = [in_chunks(200, OLD[:30_000], is_whole=False, ETag='"v1"')]
    download(files.url, target, LIMITS)
    assert files.ranges == [(200, None), (206, "bytes=30000-")]
    assert target.read_bytes() == OLD


def test_a_rest_of_no_length_after_a_beginning_of_none_is_not_taken(files: FileServer, target: Path) -> None:
    files.script = [
        in_chunks(200, OLD[:30_000], is_whole=False, ETag='"v1"'),
        answers(206, REST[:10], Content_Range="bytes 30000-30009/*"),
    ]
    download(files.url, target, LIMITS)
    assert [asked for _, asked in files.ranges] == [None, "bytes=30000-", None]
    assert target.read_bytes() == OLD


def test_a_redirect_is_asked_for_the_rest_too(files: FileServer, target: Path) -> None:
    moved = answers(302, Location="/moved")
    files.script = [moved, serves(break_after=30_000), moved]
    download(files.url, target, LIMITS)
    assert [(request.path, request.range) for request in files.requests] == [
        ("/file", None),
        ("/moved", None),
        ("/file", "bytes=30000-"),
        ("/moved", "bytes=30000-"),
    ]
    assert target.read_bytes() == OLD


def test_progress_is_told_with_what_was_here_before(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    told: list[tuple[int, int, int | None]] = []
    files.script = [serves(break_after=10_000)]
    download(files.url, target, LIMITS, progress=lambda *figures: told.append(figures))
    assert told[0] == (40_000, 40_000, 100_000)
    assert (50_000, 40_000, 100_000) in told
    assert told[-1] == (100_000, 40_000, 100_000)
    assert [size for size, _, _ in told] == sorted(size for size, _, _ in told)
    told.clear()
    download(files.url, target, LIMITS, progress=lambda *figures: told.append(figures))
    assert told == [(100_000, 100_000, 100_000)]


def test_progress_goes_back_where_it_starts_over(files: FileServer, target: Path) -> None:
    leave_half(files, target)
    files.content, files.headers = NEW, {"ETag": '"v2"'}
    told: list[tuple[int, int, int | None]] = []
    download(files.url, target, LIMITS, progress=lambda *figures: told.append(figures))
    assert (told[0], told[-1]) == ((0, 0, 90_000), (90_000, 0, 90_000))


def test_no_secret_is_written_logged_or_told(
    files: FileServer, target: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    url = files.url.replace("//", "//me:pass%40word@") + "?token=hidden"
    files.script = [
        serves(break_after=40_000),
        answers(503),
        answers(302, Location="/file?token=hidden"),
        answers(404),
    ]
    with pytest.raises(HttpError) as raised:
        download(url, target, LIMITS)
    assert {request.authorization for request in files.requests} == {"Basic bWU6cGFzc0B3b3Jk"}
    shown = str(raised.value) + caplog.text + "".join(capfd.readouterr()) + sidecar(target).read_text()
    assert "trying again in" in shown
    assert f'"url": "{files.url}"' in shown
    for secret in ("pass@", "pass%", "hidden", "me:", "bWU6"):
        assert secret not in shown
    files.requests.clear()
    download(url.replace("hidden", "another"), target, LIMITS)
    assert files.ranges == [(206, "bytes=40000-")]


FULL = """
import errno, os, pathlib, resource, sys
from shelflist_http import Limits, download
if sys.argv[3] == "limited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    download(sys.argv[1], pathlib.Path(sys.argv[2]), Limits(5, 5, 60, 1_000_000))
except OSError as error:
    print(errno.errorcode[error.errno], os.listdir(pathlib.Path(sys.argv[2]).parent))
"""


def test_a_limit_on_the_size_of_files_leaves_nothing(files: FileServer, target: Path) -> None:
    command = [sys.executable, "-c", FULL, files.url, str(target), "limited"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=source_path())
    assert done.stdout == "EFBIG []\n"
    assert len(files.requests) == 1


def test_a_full_disk_gets_its_space_back(files: FileServer, target: Path) -> None:
    """On a file system of 64 kB of its own, seen by that process alone."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system of their own")
    mounted = 'mount -t tmpfs -o size=64k none "$1" && shift && exec "$@"'
    command = [sys.executable, "-c", FULL, files.url, str(target), "full"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted, "sh", str(target.parent), *command],
        capture_output=True,
        text=True,
        check=True,
        env=source_path(),
    )
    assert done.stdout == "ENOSPC []\n"
    assert len(files.requests) == 1


def source_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(resuming.__file__).parents[1])}
