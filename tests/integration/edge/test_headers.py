"""Headers that forge, overflow or lie, and the headers of every answer."""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.server import Server, read_answer, wait_for

from shelflist.shared.settings import load_settings

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}
ID = re.compile(r"[0-9a-f]{32}")


@contextmanager
def another(running: Api, **settings: Any) -> Iterator[Api]:
    """The application over the same database with other settings."""
    chosen = load_settings(_env_file=None, database_url=None, db_host=None, log_format="json", **settings)
    with Api(chosen, running.url) as started:
        yield started


def logged(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines of the access log since this was last asked."""
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "shelflist.access"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: a\n b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX\x00: a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\nX-Evil: b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nX-Request-ID: a\r\n b\r\n\r\n",
        b"GET /ping\rX HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: a@b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: \xff\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nabcde",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
        b"POST /ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n",
    ],
)
def test_a_head_or_framing_that_two_readers_could_take_differently_is_refused(server: Server, head: bytes) -> None:
    answer = server.send(head)
    problem(answer, 400, "invalid-request")
    assert answer.headers["connection"] == "close"
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("size", [33_000, 64_000, 70_000, 300_000])
def test_headers_beyond_their_limit_are_refused(server: Server, size: int) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("GET /ping")[:-2] + b"X: ")
        try:
            connection.sendall(b"a" * size + b"\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            assert size > 200_000
        answer = read_answer(connection)
    # Beyond what is read at all, a reset may overtake the answer.
    assert answer.status in ((431,) if size < 200_000 else (431, None))
    if answer.status == 431:
        problem(answer, 431, "headers-too-large")


def test_headers_without_end_are_refused_before_they_fill_the_memory(server: Server) -> None:
    before = server.memory()
    with server.connect() as connection:
        connection.sendall(server.head("GET /ping")[:-2])
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for number in range(300):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"a" * 1_000_000))
    assert server.memory() - before < 20_000_000


@pytest.mark.parametrize("size", [33_000, 70_000, 150_000])
def test_an_address_beyond_the_limit_is_refused(server: Server, size: int) -> None:
    for line in (f"GET /{'a' * size}", f"GET /movies?q={'a' * size}"):
        problem(server.send(server.head(line)), 431, "headers-too-large")


def test_thousands_of_small_headers_are_refused(api: Api) -> None:
    problem(api.get("/ping", headers=[(f"x-{number}", "a") for number in range(10_000)]), 431, "headers-too-large")


@pytest.mark.parametrize("given", ["a", "A.b_c-9", "x" * 128, "0f8fad5b-d9cb-469f-a165-70867728950e"])
def test_a_valid_request_id_comes_back_in_header_body_and_log(
    api: Api, capfd: pytest.CaptureFixture[str], given: str
) -> None:
    answer = api.get("/movies/tt0000001", headers={"x-request-id": given})
    assert answer.headers.get_list("x-request-id") == [given]
    assert problem(answer, 404)["instance"] == given
    [line] = logged(capfd)
    assert line["request_id"] == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "a b",
        "x" * 129,
        "x" * 10_000,
        'a"b',
        "a,b",
        "a;b",
        "a/b",
        "<script>",
        "é",
        "\x1b[31m",
        '", "level": "critical"',
    ],
)
def test_an_invalid_request_id_is_replaced_everywhere(api: Api, capfd: pytest.CaptureFixture[str], given: str) -> None:
    answer = api.get("/movies/tt0000001", headers={"x-request-id": given.encode("latin-1")})
    [replaced] = answer.headers.get_list("x-request-id")
    assert ID.fullmatch(replaced)
    assert problem(answer, 404)["instance"] == replaced
    assert {line["request_id"] for line in logged(capfd)} == {replaced}


def test_each_request_on_a_connection_gets_an_id_of_its_own(server: Server) -> None:
    with server.connect() as connection:
        ids = []
        for _ in range(3):
            connection.sendall(server.head("GET /ping"))
            ids.append(read_answer(connection).headers["x-request-id"])
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    "target",
    [
        '/a%0A{"event":"forged"}',
        "/a%0D%0A%7B%22event%22%3A%22forged%22%7D",
        "/a%1B%5B2J",
        "/a%E2%80%A8%7B%22event%22%3A%22forged%22%7D",
        '/movies?q=%0A{"event":"forged"}',
        "/movies?x%0D%0Aforged=1",
    ],
)
def test_no_path_or_query_forges_a_line_of_the_log(server: Server, target: str) -> None:
    request_id = uuid.uuid4().hex
    agent = 'x", "event": "forged'
    answer = server.send(server.head(f"GET {target}", x_request_id=request_id, user_agent=agent))
    assert answer.status in (200, 400, 404)
    wait_for(lambda: request_id in server.text(), "the access log's line")
    # The first line is for the person who starts it.
    lines = server.text().splitlines()[1:]
    assert {json.loads(line)["event"] for line in lines} <= {"serving", "request"}
    assert sum(request_id in line for line in lines) == 1
    assert "\x1b" not in server.text()


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip"])
def test_nobody_is_believed_about_the_sender_by_default(api: Api, capfd: pytest.CaptureFixture[str], name: str) -> None:
    add_movies(api.engine, [{"title": "a"}, {"title": "b"}])
    values = {"x-forwarded-proto": "https", "forwarded": "for=203.0.113.9;host=evil.example"}
    answer = api.get("/movies?page_size=1", headers={name: values.get(name, "203.0.113.9")})
    assert [line["peer"] for line in logged(capfd)] == ["testclient"]
    assert answer.headers["link"].startswith("</movies?")


@pytest.mark.parametrize(
    ("trusted", "forwarded", "peer"),
    [
        ("testclient", "203.0.113.9", "203.0.113.9"),
        ("testclient,10.0.0.0/8", "203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("testclient,10.0.0.0/8", "198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9", "testclient"),
        ("*", "203.0.113.9", "203.0.113.9"),
        ("testclient", "", "testclient"),
    ],
)
def test_a_listed_proxy_is_believed_about_who_spoke_to_it_and_no_further(
    api: Api, capfd: pytest.CaptureFixture[str], trusted: str, forwarded: str, peer: str
) -> None:
    with another(api, trusted_proxies=trusted) as behind_a_proxy:
        behind_a_proxy.get("/ping", headers={"x-forwarded-for": forwarded})
    assert [line["peer"] for line in logged(capfd)] == [peer]


@pytest.mark.parametrize("value", ["evil.example", "evil.example:99999", "[::1]:80", "", "127.0.0.1", "xn--e1afmkfd"])
def test_no_answer_repeats_the_host_that_the_caller_names(api: Api, value: str) -> None:
    add_movies(api.engine, [{"title": "a"}, {"title": "b"}])
    for path in ("/", "/movies?page_size=1", "/movies/", "/docs/", "/openapi.json", "/nowhere"):
        answer = api.get(path, headers={"host": value, "x-forwarded-host": "evil.example"})
        assert answer.status_code in (200, 302, 404)
        assert "evil.example" not in answer.text + str(answer.headers)
    created = api.post("/movies", json={"title": "c"}, headers={**api.credentials(), "host": value})
    assert created.headers["location"].startswith("/movies/")


@pytest.mark.parametrize(
    "value",
    ["a" * 10_000, "a..b", ".", "*", "%00", "a:80:80", "-", "a b", "a/b", "a\\b", '"', "user@evil.example", "é"],
)
def test_a_host_that_no_host_can_have_is_refused_or_ignored(api: Api, value: str) -> None:
    for path in ("/movies", "/ping", "/nowhere"):
        answer = api.get(path, headers={"host": value.encode("latin-1")})
        assert answer.status_code in (200, 400, 404)


@pytest.mark.parametrize("target", ["http://evil.example/ping", "http://127.0.0.1:1/ping", "HTTP://evil.example/ping"])
def test_an_absolute_target_is_served_from_here(server: Server, target: str) -> None:
    answer = server.send(server.head(f"GET {target}"))
    assert answer.json() == {"message": "Pong!"}


@pytest.mark.parametrize(
    "target", ["//evil.example/", "/\\evil.example/", "/%2F%2Fevil.example", "*", "/.", "/ping/.."]
)
def test_a_target_that_browsers_take_for_another_host_is_404(server: Server, target: str) -> None:
    answer = server.send(server.head(f"GET {target}"))
    problem(answer, 404, "not-found")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/ping", 200),
        ("GET", "/movies", 200),
        ("GET", "/", 302),
        ("GET", "/health/live", 200),
        ("GET", "/health/ready", 200),
        ("GET", "/healthcheck", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.yaml", 200),
        ("GET", "/problems/not-found", 200),
        ("OPTIONS", "/movies", 204),
        ("GET", "/movies?page_size=0", 400),
        ("GET", "/%FF", 400),
        ("POST", "/movies", 401),
        ("GET", "/nowhere", 404),
        ("PUT", "/movies", 405),
    ],
)
def test_security_headers_stand_once_on_every_answer(api: Api, method: str, path: str, status: int) -> None:
    answer = api.request(method, path)
    assert answer.status_code == status
    for name, value in SECURITY.items():
        assert answer.headers.get_list(name) == [value]
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(answer.headers)


def test_security_headers_stand_on_a_crash_and_the_crash_stays_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail from line 42 of /work")

    monkeypatch.setattr("shelflist.movies.queries.list_movies", crash)
    for media_type in ("application/json", "text/csv", "application/x-ndjson"):
        answer = api.get("/movies", headers={"accept": media_type})
        problem(answer, 500, "internal-error")
        assert {name: answer.headers[name] for name in SECURITY} == SECURITY
        assert "secret detail" not in answer.text
        assert "RuntimeError" not in answer.text


def test_the_documentation_may_run_our_scripts_and_nobody_elses(api: Api) -> None:
    policy = api.get("/docs/").headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy


def test_other_sites_may_read_only_where_the_operator_lists_them(api: Api) -> None:
    origin = {"origin": "https://app.example"}
    asking = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "client-id"}
    assert "access-control-allow-origin" not in api.get("/ping", headers=origin).headers
    with another(api, cors_origins="https://app.example") as shared:
        assert shared.get("/ping", headers=origin).headers["access-control-allow-origin"] == "https://app.example"
        assert shared.request("OPTIONS", "/movies", headers=asking).status_code == 200
        refused = shared.get("/nowhere", headers=origin)
        assert refused.headers["access-control-allow-origin"] == "https://app.example"
        assert {name: refused.headers[name] for name in SECURITY} == SECURITY
        other = shared.get("/ping", headers={"origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_an_upgrade_is_ignored_and_the_connection_goes_on(server: Server) -> None:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec_websocket_key": "dGhlIHNhbXBsZQ=="}
    for _ in range(2):
        answer = server.send(server.head("GET /ping", **upgrade))
        assert answer.json() == {"message": "Pong!"}


@pytest.mark.parametrize("name", ["idempotency-key", "client-id", "client-secret", "content-type", "authorization"])
def test_a_header_that_must_stand_once_is_refused_twice(api: Api, name: str) -> None:
    headers = [*api.credentials().items(), ("content-type", "application/json"), (name, "a"), (name, "b")]
    problem(api.post("/movies", content=b'{"title": "x"}', headers=headers), 400, "invalid-request")


@pytest.mark.parametrize("name", ["Idempotency_Key", "idempotency_key"])
def test_a_header_spelt_with_an_underscore_does_not_count_as_another(api: Api, name: str) -> None:
    headers = {**api.credentials(), name: "x" * 5_000}
    first = api.post("/movies", json={"title": "x"}, headers=headers)
    second = api.post("/movies", json={"title": "x"}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


def test_credentials_spelt_with_underscores_are_none(api: Api) -> None:
    underscored = {name.replace("-", "_"): value for name, value in api.credentials().items()}
    problem(api.post("/movies", json={"title": "x"}, headers=underscored), 401, "unauthorized")
