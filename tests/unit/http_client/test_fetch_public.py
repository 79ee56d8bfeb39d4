"""What a stranger names is fetched over real sockets: from permitted addresses alone, whatever is tried."""

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.certificates import self_signed
from tests.fixtures.scripted_server import ScriptedServer, scripted_server

from shelflist_http import HttpError, Limits
from shelflist_http.public import LONGEST_URL, fetch_public

LIMITS = Limits(connect_seconds=0.5, idle_seconds=0.3, total_seconds=0.6, max_bytes=1000)
UNHURRIED = replace(LIMITS, connect_seconds=5, idle_seconds=5, total_seconds=20)
HERE = ("127.0.0.1/32",)
_resolve = socket.getaddrinfo


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


@pytest.fixture
def private() -> Iterator[ScriptedServer]:
    """A second server, whose address no test permits."""
    with scripted_server(host="127.0.0.2") as running:
        running.answers(b"secret")
        yield running


class Names:
    """A resolver whose answers a test writes; addresses stay what they are."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Sequence[str]]] = {}
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, port: int, *rest: Any, **named: Any) -> Any:
        if host not in self.answers:
            return _resolve(host, port, *rest, **named)
        self.asked.append(host)
        coming = self.answers[host]
        addresses = coming.pop(0) if len(coming) > 1 else coming[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [entry for address in addresses for entry in _resolve(address, port, *rest, **named)]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    return made


def failure(url: str, limits: Limits = UNHURRIED, networks: Sequence[str] = HERE) -> HttpError:
    """Return how a call fails; fails itself where the text shows more than it should."""
    with pytest.raises(HttpError) as raised:
        fetch_public(url, limits, networks=networks)
    error = raised.value
    assert "\n" not in str(error)
    assert len(str(error)) < 400
    assert error.__cause__ is None
    return error


def test_an_address_in_the_permitted_networks_is_fetched(server: ScriptedServer) -> None:
    server.answers(b"\xff\xd8", headers={"Content-Type": "image/jpeg"})
    fetched = fetch_public(f"{server.url}/a%20b/c?size=1#top", UNHURRIED, networks=HERE)
    assert (fetched.status, fetched.body, fetched.headers["content-type"]) == (200, b"\xff\xd8", "image/jpeg")
    asked = server.asked[0]
    assert (asked.path, asked.params) == ("/a%20b/c", {"size": "1"})
    assert asked.headers == {
        "Host": f"127.0.0.1:{server.port}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": "shelflist",
    }


def test_without_permitted_networks_this_machine_is_refused(server: ScriptedServer) -> None:
    error = failure(server.url, networks=())
    assert (str(error), error.reason) == ("127.0.0.1 is not on the public Internet", "refused")
    assert server.asked == []


def test_a_name_of_this_machine_is_refused_and_its_address_not_told(server: ScriptedServer, names: Names) -> None:
    names.answers["cat.example"] = [["127.0.0.1"]]
    error = failure(f"http://cat.example:{server.port}/", networks=())
    assert (str(error), error.reason) == ("cat.example is not on the public Internet", "refused")
    assert server.asked == []


def test_a_name_is_resolved_once_so_that_rebinding_changes_nothing(server: ScriptedServer, names: Names) -> None:
    server.answers(b"permitted")
    names.answers["cat.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    # Nothing listens at the second address: only who connects to the one that was judged gets an answer.
    fetched = fetch_public(f"http://cat.example:{server.port}/", UNHURRIED, networks=HERE)
    assert (fetched.body, names.asked) == (b"permitted", ["cat.example"])
    assert server.asked[0].headers["Host"] == f"cat.example:{server.port}"


def test_a_redirect_back_to_a_rebound_name_is_judged_anew(
    server: ScriptedServer, private: ScriptedServer, names: Names
) -> None:
    names.answers["cat.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    server.answers(b"", status=302, headers={"Location": f"http://cat.example:{private.port}/"})
    assert failure(f"http://cat.example:{server.port}/").reason == "refused"
    assert (len(server.asked), private.asked) == (1, [])


def test_only_the_permitted_addresses_of_a_name_are_tried(
    server: ScriptedServer, private: ScriptedServer, names: Names
) -> None:
    names.answers["cat.example"] = [["127.0.0.2", "169.254.169.254", "127.0.0.1", "::1"]]
    server.answers(b"permitted")
    assert fetch_public(f"http://cat.example:{server.port}/", UNHURRIED, networks=HERE).body == b"permitted"
    error = failure(f"http://cat.example:{private.port}/")
    assert (str(error), error.reason) == (f"http://cat.example:{private.port}/: cannot connect", "connect")
    assert private.asked == []


def test_the_next_address_is_tried_where_one_does_not_answer(server: ScriptedServer, names: Names) -> None:
    names.answers["cat.example"] = [["127.0.0.3", "127.0.0.1"]]
    server.answers(b"permitted")
    url = f"http://cat.example:{server.port}/"
    assert fetch_public(url, UNHURRIED, networks=["127.0.0.3/32", *HERE]).body == b"permitted"


def test_a_permitted_address_may_be_written_as_one_of_ipv6(server: ScriptedServer) -> None:
    server.answers(b"permitted")
    url = f"http://[::ffff:127.0.0.1]:{server.port}/"
    assert fetch_public(url, UNHURRIED, networks=HERE).body == b"permitted"
    assert failure(url, networks=()).reason == "refused"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://[::ffff:127.0.0.2]:{port}/",
        "http://2130706434:{port}/",
        "http://127.2:{port}/",
        "http://user@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/",
        "http://localhost.:{port}/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_a_redirect_to_what_is_not_public_is_refused(
    server: ScriptedServer, private: ScriptedServer, location: str
) -> None:
    server.answers(b"", status=302, headers={"Location": location.format(port=private.port)})
    assert failure(server.url).reason == "refused"
    assert (len(server.asked), private.asked) == (1, [])


def test_five_redirects_are_followed_and_no_cookie_is_kept(server: ScriptedServer) -> None:
    def act(handler: Any) -> None:
        step = int(handler.path.rpartition("/")[2])
        handler.send_response_only(302 if step < 5 else 200)
        handler.send_header("Location", f"../next/{step + 1}")
        handler.send_header("Set-Cookie", "who=you")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.act = act
    assert fetch_public(f"{server.url}/a/0", UNHURRIED, networks=HERE).status == 200
    assert [asked.path for asked in server.asked] == ["/a/0", *(f"/next/{step}" for step in range(1, 6))]
    assert not any("Cookie" in asked.headers for asked in server.asked)


def test_a_redirect_loop_is_left(server: ScriptedServer) -> None:
    server.answers(b"", status=301, headers={"Location": "/"})
    error = failure(server.url)
    assert (str(error), error.reason) == (f"{server.url} redirects more than 5 times", "protocol")
    assert len(server.asked) == 6


def test_a_redirect_to_what_is_no_url_is_told(server: ScriptedServer) -> None:
    server.answers(b"", status=302, headers={"Location": "http://a:b/"})
    assert failure(server.url).reason == "protocol"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/cat.jpg",
        "gopher://127.0.0.1:6379/_INFO",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "http://user:password@example.org/",
        "http://example.org@127.0.0.1/",
        "http://example.org\\@127.0.0.1/",
        "http://:@127.0.0.1/",
        "http://127.0.0.2#@example.org/",
        "http://127.0.0.2?@example.org/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0x7f000001/",
        "http://0177.1/",
        "http://127.1/",
        "http://0/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.2]/",
        "http://[::ffff:7f00:2]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://localhost./",
        "http://127.0.0.2./",
        "http://127。0。0。2/",
        "http://%31%32%37.0.0.2/",
        "http://a b/",
        f"http://{'a' * 7_000}/",
    ],
)
def test_what_may_not_be_asked_is_refused(url: str) -> None:
    assert failure(url).reason == "refused"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_this_machine_is_refused_under_every_usual_name(server: ScriptedServer, host: str) -> None:
    assert failure(f"http://{host}:{server.port}/", networks=()).reason == "refused"
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cat.jpg",
        "//example.org/",
        "http://",
        "http:///cat.jpg",
        "http:cat.jpg",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://example.org:80:80/",
        "http://0177.0.0.1/",
        "http://[zz]/",
        "http://１２７.0.0.1/",
        "http://example.org/\n",
        "http://example.org/\x00",
        "http://\ud800/",
        f"http://127.0.0.1/{'a' * 1_000_000}",
        f"http://127.0.0.1/{'a' * LONGEST_URL}",
    ],
    ids=lambda url: ascii(url)[:30],
)
def test_what_is_no_url_is_told(url: str) -> None:
    assert failure(url).reason == "url"


def test_a_name_without_an_address_is_told(names: Names) -> None:
    names.answers["cat.example"] = [[]]
    error = failure("http://cat.example/a?token=secret")
    assert (str(error), error.reason) == ("cat.example: the name of the host cannot be resolved", "dns")


def test_a_resolver_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()

    def stalls(*_: Any, **__: Any) -> Any:
        answered.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", stalls)
    error = failure("http://cat.example/", LIMITS)
    answered.set()
    assert (str(error), error.reason) == ("http://cat.example/: no connection in time", "timeout")


@pytest.mark.parametrize("status", [204, 206, 302, 304, 404, 500])
def test_another_answer_than_200_is_told(server: ScriptedServer, status: int) -> None:
    server.answers(b"", status=status)
    error = failure(f"{server.url}/a?token=secret")
    assert (str(error), error.reason) == (f"{server.url}/a answered {status}", "status")


def test_what_is_too_large_is_left(server: ScriptedServer) -> None:
    server.answers(b"x", headers={"Content-Length": "1001"})
    assert failure(server.url).reason == "too-large"
    server.sends(b"HTTP/1.1 200 OK\r\n\r\n", forever=b"x" * 400)
    assert failure(server.url).reason == "too-large"


def test_what_drips_is_given_up(server: ScriptedServer) -> None:
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", every=0.05, forever=b"x")
    assert str(failure(server.url, LIMITS)) == f"{server.url} took more than 0.6 seconds"
    server.sends(b"HTTP/1.1 200 OK\r\n", every=0.05, forever=b"X-A: b\r\n")
    assert str(failure(server.url, LIMITS)) == f"{server.url} took more than 0.6 seconds"


def test_a_server_that_says_nothing_is_given_up(server: ScriptedServer) -> None:
    server.stalls()
    error = failure(server.url, LIMITS)
    assert (str(error), error.reason) == (f"{server.url}: nothing came for too long", "timeout")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"ab"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"b" * 200_000,),
        (b"+PONG\r\n",),
        (),
    ],
    ids=["short body", "no number", "two lengths", "broken chunks", "endless headers", "another protocol", "nothing"],
)
def test_what_is_no_whole_answer_is_told(server: ScriptedServer, pieces: tuple[bytes, ...]) -> None:
    server.sends(*pieces)
    error = failure(server.url)
    assert (str(error), error.reason) == (f"{server.url}: the connection broke off or did not speak HTTP", "protocol")


def test_neither_proxies_nor_netrc_of_the_environment_are_asked(
    server: ScriptedServer, private: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, private.url)
    monkeypatch.setenv("no_proxy", "")
    server.answers(b"direct")
    assert fetch_public(server.url, UNHURRIED, networks=HERE).body == b"direct"
    assert private.asked == []
    assert "Authorization" not in server.asked[0].headers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), "DNS:cat.example")


def test_tls_vouches_for_the_name_that_was_asked_for(
    certificate: Path, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    names.answers |= {"cat.example": [["127.0.0.1"]], "dog.example": [["127.0.0.1"]]}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with scripted_server(context) as server:
        server.answers(b"over TLS")
        fetched = fetch_public(f"https://cat.example:{server.port}/", UNHURRIED, networks=HERE)
        assert fetched.body == b"over TLS"
        assert failure(f"https://dog.example:{server.port}/").reason == "tls"
        assert failure(f"https://127.0.0.1:{server.port}/").reason == "tls"
        assert len(server.asked) == 1
        server.answers(b"", status=302, headers={"Location": "http://cat.example/"})
        error = failure(f"https://cat.example:{server.port}/")
        assert error.reason == "refused"
        assert str(error).endswith("redirects from https to http")


def test_what_is_no_network_is_told_to_whoever_configures_it() -> None:
    with pytest.raises(ValueError, match=r"192\.168\.0\.1/8"):
        fetch_public("http://127.0.0.1/", LIMITS, networks=["192.168.0.1/8"])
