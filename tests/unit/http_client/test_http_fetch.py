"""One GET over a real socket: what is sent, what comes back, every way to fail, and never a secret in a text."""

import logging
import socket
import ssl
import time
import traceback
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.certificates import self_signed
from tests.fixtures.scripted_server import ScriptedServer, scripted_server

from shelflist_http import HttpError, Limits, download, fetch

LIMITS = Limits(connect_seconds=0.5, idle_seconds=0.3, total_seconds=0.6, max_bytes=1000)
PATIENT = replace(LIMITS, idle_seconds=5, total_seconds=0.3)
KEY = "AIzaSyA-constructed/key+of=the_tests"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


@pytest.fixture
def tls_server(certificate: Path) -> Iterator[ScriptedServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with scripted_server(context) as running:
        yield running


def failure(url: str, limits: Limits = LIMITS) -> HttpError:
    """Return how a call with a key fails; fails itself where anything shows the key, or hides it in a chain."""
    with pytest.raises(HttpError) as raised:
        fetch(url, {"key": KEY}, limits)
    error = raised.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert "\n" not in str(error)
    shown = "".join(traceback.format_exception(error))
    assert KEY not in shown
    assert "AIza" not in shown
    return error


def test_parameters_join_those_of_the_address(server: ScriptedServer) -> None:
    server.answers(b"{}")
    fetch(f"{server.url}/a?token=t%2F1&page=1&empty=#top", {"page": "2", "q": "a b&c=ä"}, LIMITS)
    assert server.asked[0].path == "/a"
    assert server.asked[0].params == {"token": "t/1", "empty": "", "page": "2", "q": "a b&c=ä"}


def test_the_answer_comes_as_it_is(server: ScriptedServer) -> None:
    server.answers(b"\x00\xff", status=418, headers={"Retry-After": "7"})
    answered = fetch(server.url, {}, LIMITS)
    assert (answered.status, answered.body, answered.headers["retry-after"]) == (418, b"\x00\xff", "7")
    assert server.asked[0].headers["Accept-Encoding"] == "identity"
    assert server.asked[0].headers["User-Agent"] == "shelflist"


def test_a_body_that_is_coded_nevertheless_stays_coded(server: ScriptedServer) -> None:
    server.answers(b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert fetch(server.url, {}, LIMITS).body == b"\x1f\x8b"


def test_credentials_leave_the_address_for_the_header(server: ScriptedServer) -> None:
    server.answers(b"")
    fetch(server.url.replace("//", "//me:p%40ss@"), {}, LIMITS)
    assert server.asked[0].headers["Authorization"] == f"Basic {b64encode(b'me:p@ss').decode()}"
    assert "@" not in server.asked[0].headers["Host"]


def test_a_redirect_is_an_answer(server: ScriptedServer) -> None:
    server.answers(b"", status=302, headers={"Location": "/elsewhere"})
    assert fetch(server.url, {}, LIMITS).status == 302
    assert len(server.asked) == 1


def test_nothing_that_is_logged_or_printed_holds_the_key(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    address = server.url.replace("//", f"//me:{KEY.replace('/', '%2F')}@")
    # A redirect that repeats the query is where the key would show among the headers of an answer.
    server.answers(b"", status=302, headers={"Location": f"/?key={KEY}"})
    fetch(address, {"key": KEY}, LIMITS)
    server.stalls()
    shown = str(failure(address))
    shown += caplog.text + "".join(capfd.readouterr())
    assert KEY not in shown
    assert "AIza" not in shown
    assert "me:" not in shown


def test_a_server_that_stalls_is_given_up(server: ScriptedServer) -> None:
    server.stalls()
    error = failure(f"{server.url}/search?token=secret")
    assert (str(error), error.reason) == (f"{server.url}/search: nothing came for too long", "timeout")


def test_a_body_that_drips_is_given_up(server: ScriptedServer) -> None:
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", every=0.05, forever=b"x")
    error = failure(server.url)
    assert (str(error), error.reason) == (f"{server.url} took more than 0.6 seconds", "timeout")


def test_a_body_of_no_stated_length_that_is_cut_off_is_not_taken_for_whole(server: ScriptedServer) -> None:
    server.sends(b"HTTP/1.1 200 OK\r\n\r\nx", every=5)
    assert str(failure(server.url, PATIENT)) == f"{server.url} took more than 0.3 seconds"


def test_headers_that_drip_are_given_up(server: ScriptedServer) -> None:
    server.sends(b"HTTP/1.1 200 OK\r\n", every=0.05, forever=b"X-A: b\r\n")
    started = time.monotonic()
    error = failure(server.url)
    assert (str(error), error.reason) == (f"{server.url} took more than 0.6 seconds", "timeout")
    assert time.monotonic() - started < 2


def test_headers_of_a_file_that_drip_are_given_up(server: ScriptedServer, tmp_path: Path) -> None:
    server.sends(b"HTTP/1.1 200 OK\r\n", every=0.05, forever=b"X-A: b\r\n")
    with pytest.raises(HttpError, match=r"took more than 0\.6 seconds"):
        download(server.url, tmp_path / "file", LIMITS)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_no_stated_length_that_is_cut_off_is_not_taken_for_whole(
    server: ScriptedServer, tmp_path: Path
) -> None:
    server.sends(b"HTTP/1.1 200 OK\r\n\r\nx", every=5)
    with pytest.raises(HttpError, match=r"took more than 0\.3 seconds"):
        download(server.url, tmp_path / "file", PATIENT)
    assert list(tmp_path.iterdir()) == []


def test_headers_that_drip_over_tls_are_given_up(
    tls_server: ScriptedServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_server.sends(b"HTTP/1.1 200 OK\r\n", every=0.05, forever=b"X-A: b\r\n")
    assert failure(tls_server.url).reason == "timeout"


def test_a_body_that_says_it_is_too_large_is_not_read(server: ScriptedServer) -> None:
    server.answers(b"x", headers={"Content-Length": "1001"})
    error = failure(server.url)
    assert (str(error), error.reason) == (f"{server.url} holds more than 1,000 bytes", "too-large")


def test_a_body_that_turns_out_too_large_is_left(server: ScriptedServer) -> None:
    server.sends(b"HTTP/1.1 200 OK\r\n\r\n", forever=b"x" * 400)
    assert failure(server.url).reason == "too-large"
    server.sends(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)
    assert len(fetch(server.url, {}, LIMITS).body) == 1000


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"short"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",),
        (b"SSH-2.0-OpenSSH_9.9\r\n",),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"b" * 200_000,),
        (),
    ],
    ids=["short body", "broken chunks", "no number", "another protocol", "endless headers", "nothing"],
)
def test_an_answer_that_breaks_off_is_no_answer(server: ScriptedServer, pieces: tuple[bytes, ...]) -> None:
    server.sends(*pieces)
    error = failure(server.url)
    assert (str(error), error.reason) == (f"{server.url}: the connection broke off or did not speak HTTP", "protocol")


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_server: ScriptedServer) -> None:
    error = failure(f"{tls_server.url}/search")
    assert error.reason == "tls"
    assert str(error).startswith(f"{tls_server.url}/search: no TLS connection (self")
    assert tls_server.asked == []


def test_a_server_without_tls_is_refused_over_https(server: ScriptedServer) -> None:
    assert failure(server.url.replace("http:", "https:")).reason == "tls"


def test_a_certificate_that_is_trusted_is_accepted(
    tls_server: ScriptedServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls_server.answers(b"{}")
    assert fetch(tls_server.url, {}, LIMITS).body == b"{}"


def test_certificates_that_cannot_be_read_are_a_failure_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at-all.pem")
    with pytest.raises(HttpError, match="the certificates to trust cannot be read") as raised:
        fetch("https://127.0.0.1:1", {}, LIMITS)
    assert raised.value.reason == "tls"


def test_a_host_that_there_is_not_is_told() -> None:
    error = failure(f"https://user:{KEY.replace('/', '')}@youtube.invalid/v3", replace(LIMITS, total_seconds=30))
    assert error.reason in ("dns", "connect")
    assert str(error).startswith("https://youtube.invalid/v3: ")


def test_a_name_that_cannot_be_resolved_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unresolved(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unresolved)
    error = failure("https://youtube.invalid/v3")
    assert (str(error), error.reason) == (
        "https://youtube.invalid/v3: the name of the host cannot be resolved",
        "dns",
    )


def test_a_refused_connection_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/search")
    assert (str(error), error.reason) == (f"http://127.0.0.1:{port}/search: cannot connect", "connect")


def test_a_blackhole_is_given_up() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        time.sleep(0.05)
        error = failure(f"http://127.0.0.1:{address[1]}")
        for filler in fillers:
            filler.close()
    assert error.reason == "timeout"


def test_the_proxy_of_the_environment_is_asked(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    server.answers(b"{}")
    assert fetch("http://youtube.invalid/v3", {"key": KEY}, LIMITS).body == b"{}"
    assert (server.asked[0].path, server.asked[0].headers["Host"]) == ("/v3", "youtube.invalid")


def test_a_proxy_that_refuses_is_told(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", server.url.replace("//", "//me:AIzaProxy@"))
    monkeypatch.setenv("no_proxy", "")
    error = failure("https://youtube.invalid/v3")
    assert (str(error), error.reason) == ("https://youtube.invalid/v3: cannot connect", "connect")


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://127.0.0.1:port/",
        "ftp://127.0.0.1/",
        "youtube",
        "",
        "http:///search",
        f"http://{'a' * 70}.invalid/",
        "http://127.0.0.1/\n",
    ],
)
def test_what_is_no_address_is_told(url: str) -> None:
    assert failure(url).reason in ("url", "dns", "connect")


def test_parameters_that_cannot_be_sent_are_told() -> None:
    with pytest.raises(HttpError) as raised:
        fetch("http://127.0.0.1:1/", {"q": "\ud800", "key": KEY}, LIMITS)
    assert raised.value.reason == "url"
