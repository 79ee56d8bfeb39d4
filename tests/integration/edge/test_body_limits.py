"""Bodies beyond their limit, of the wrong kind, or announced with a lie."""

import gzip
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain, repeat

import pytest
from tests.fixtures.problems import problem
from tests.fixtures.server import CREDENTIALS, RawAnswer, Server, read_answer

CHUNK = b"x" * 1_000_000
JSON = {"content-type": "application/json"}


@contextmanager
def flat_memory(server: Server) -> Iterator[None]:
    """Fail where the server's memory grows by 20 MB at any moment inside."""
    server.get("/ping")
    before = server.memory()
    highest, is_over = [before], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            highest.append(server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
    assert max(highest) - before < 20_000_000


def send_all(connection: socket.socket, parts: Iterable[bytes]) -> None:
    """Send until the end, or until the other side has had enough."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for part in parts:
            connection.sendall(part)


def chunked(part: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(part), part)


def send(server: Server, head: bytes, parts: Iterable[bytes]) -> RawAnswer:
    with server.connect() as connection:
        send_all(connection, chain([head], parts))
        return read_answer(connection)


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_an_announced_body_over_the_limit_is_refused_before_it_is_sent(server: Server, content_type: str) -> None:
    head = server.head("POST /movies", content_type=content_type, content_length="300000000")
    problem(server.send(head), 413, "payload-too-large")


def test_300_megabytes_in_chunks_are_refused_with_flat_memory(server: Server) -> None:
    head = server.head("POST /movies", content_type="application/json", transfer_encoding="chunked")
    with flat_memory(server):
        problem(send(server, head, repeat(chunked(CHUNK), 300)), 413, "payload-too-large")


def test_300_announced_megabytes_that_do_come_are_refused_with_flat_memory(server: Server) -> None:
    head = server.head("POST /movies", content_type="application/json", content_length="300000000")
    with flat_memory(server):
        problem(send(server, head, repeat(CHUNK, 300)), 413, "payload-too-large")


@pytest.mark.parametrize("path", ["/movies", "/ping"])
def test_300_megabytes_of_multipart_where_none_is_read_are_refused_with_flat_memory(server: Server, path: str) -> None:
    head = server.head(f"POST {path}", content_type="multipart/form-data; boundary=x", transfer_encoding="chunked")
    with flat_memory(server):
        problem(send(server, head, repeat(chunked(CHUNK), 300)), 413, "payload-too-large")


def test_300_megabytes_behind_a_small_content_length_are_not_read_as_its_body(server: Server) -> None:
    body = b'{"title": "lie"}'
    head = server.head("POST /ping", content_type="application/json", content_length=str(len(body)))
    with flat_memory(server), server.connect() as connection:
        connection.sendall(head + body)
        assert read_answer(connection).status == 200
        send_all(connection, repeat(CHUNK, 300))
        # A reset may overtake the answer: the sender goes on to send.
        assert read_answer(connection).status in (None, 400)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_300_megabytes_with_a_method_that_has_no_body_keep_memory_flat(server: Server, method: str) -> None:
    head = server.head(f"{method} /movies/tt0111161", transfer_encoding="chunked")
    with flat_memory(server), server.connect() as connection:
        connection.sendall(head)
        send_all(connection, repeat(chunked(CHUNK), 300))
        answer = read_answer(connection, has_no_body=method in ("HEAD", "OPTIONS"))
        assert answer.status in (204, 404)


def test_what_is_sent_after_a_refusal_does_not_hide_it_and_the_connection_stays_of_use(server: Server) -> None:
    head = server.head("POST /movies", content_type="application/json", content_length="5000000")
    with server.connect() as connection:
        connection.sendall(head)
        for part in repeat(CHUNK, 5):
            connection.sendall(part)
        problem(read_answer(connection), 413)
        connection.sendall(server.head("GET /ping"))
        assert read_answer(connection).status == 200


def test_a_small_body_in_chunks_is_accepted_like_any_other(server: Server) -> None:
    body = json.dumps({"title": "in pieces"}).encode()
    head = server.head("POST /movies", content_type="application/json", transfer_encoding="chunked")
    pieces = [chunked(bytes([byte])) for byte in body]
    answer = send(server, head, [*pieces, b"0\r\nTrailer: ignored\r\n\r\n"])
    assert answer.status == 201
    assert answer.json()["title"] == "in pieces"


def test_a_body_of_exactly_the_limit_is_read_and_one_more_byte_is_not(server: Server) -> None:
    limit = server.get("/limits").json()["max_json_bytes"]
    body = b'{"title": "x"}'.ljust(limit)
    assert server.http.post("/movies", content=body, headers={**JSON, **CREDENTIALS}).status_code == 201
    answer = server.http.post("/movies", content=body + b" ", headers={**JSON, **CREDENTIALS})
    problem(answer, 413, "payload-too-large")
    in_chunks = server.http.post("/movies", content=iter([body, b" "]), headers={**JSON, **CREDENTIALS})
    problem(in_chunks, 413, "payload-too-large")


def test_who_asks_whether_to_go_on_is_told_no_without_a_continue(server: Server) -> None:
    expect = {"content_type": "application/json", "expect": "100-continue"}
    refused = server.send(server.head("POST /movies", content_length="300000000", **expect))
    problem(refused, 413)
    assert refused.headers["connection"] == "close"


def test_who_asks_whether_to_go_on_is_told_yes(server: Server) -> None:
    body = b'{"title": "expected"}'
    expect = {"content_type": "application/json", "expect": "100-continue"}
    with server.connect() as connection:
        connection.sendall(server.head("POST /movies", content_length=str(len(body)), **expect))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read_answer(connection).status == 201


@cache
def bomb() -> bytes:
    return gzip.compress(b'{"title": "x"}'.ljust(100_000_000))


@pytest.mark.parametrize("path", ["/movies", "/ping"])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, gzip", "x", ""])
def test_a_compressed_body_is_refused_and_not_inflated(server: Server, path: str, coding: str) -> None:
    headers = {**JSON, **CREDENTIALS, "content-encoding": coding}
    with flat_memory(server):
        problem(server.http.post(path, content=bomb(), headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("coding", ["gzip, chunked", "chunked, chunked", "identity, chunked"])
def test_another_transfer_coding_than_chunks_is_refused(server: Server, coding: str) -> None:
    head = server.head("POST /movies", content_type="application/json", transfer_encoding=coding)
    answer = server.send(head + chunked(b'{"title": "x"}') + b"0\r\n\r\n")
    assert answer.status in (400, 415)
    problem(answer, answer.status)


def test_a_second_content_encoding_cannot_hide_behind_a_harmless_one(server: Server) -> None:
    headers = [*JSON.items(), *CREDENTIALS.items(), ("content-encoding", "identity"), ("content-encoding", "gzip")]
    problem(server.http.post("/movies", content=b"{}", headers=headers), 415, "unsupported-media-type")


MULTIPART = {
    "no boundary": ("multipart/form-data", b"--x\r\n\r\n--x--\r\n"),
    "an empty boundary": ("multipart/form-data; boundary=", b"----\r\n"),
    "a 10 kB boundary": (f"multipart/form-data; boundary={'x' * 10_000}", b"--x\r\n"),
    "a body that is none": ("multipart/form-data; boundary=x", b"\x00\xff" * 1_000),
    "a part that never ends": ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"'),
    "10,000 parts": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 10_000 + b"--x--\r\n",
    ),
    "a field name of 1 MB": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="' + b"a" * 1_000_000 + b'"\r\n\r\n1\r\n--x--\r\n',
    ),
    "a part's header of 1 MB": (
        "multipart/form-data; boundary=x",
        b"--x\r\n" + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n1\r\n--x--\r\n",
    ),
}


@pytest.mark.parametrize(("content_type", "body"), MULTIPART.values(), ids=MULTIPART.keys())
def test_multipart_of_any_kind_is_refused_where_json_is_read(server: Server, content_type: str, body: bytes) -> None:
    answer = server.http.post("/movies", content=body, headers={**CREDENTIALS, "content-type": content_type})
    assert answer.status_code in (413, 415)
    problem(answer, answer.status_code)
    assert server.http.post("/ping", content=body, headers={"content-type": content_type}).status_code in (200, 413)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/problem+json",
        "application/json, text/plain",
        "application/json text/plain",
        "application/*",
        "*/*",
        "nonsense",
        "/",
        ";",
        "",
        "application/json\x0b",
    ],
)
def test_a_body_of_another_type_is_refused(server: Server, content_type: str) -> None:
    head = server.head("POST /movies", content_type=content_type, content_length="14")
    answer = server.send(head + b'{"title": "x"}')
    assert answer.status in (400, 415)
    problem(answer, answer.status)


def test_a_body_without_a_type_is_refused(server: Server) -> None:
    answer = server.http.post("/movies", content=b'{"title": "x"}', headers=CREDENTIALS)
    assert "Content-Type" in problem(answer, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "APPLICATION/JSON; CHARSET=UTF-8",
        "application/json;charset=utf-8",
        'application/json; charset="utf-8"; q=1',
        "application/json; charset=utf-16",
        "application/json; charset=nonsense",
        "application/json; charset",
        "application/json;",
    ],
)
def test_json_is_checked_and_read_as_utf8_however_its_type_is_written(server: Server, content_type: str) -> None:
    headers = {**CREDENTIALS, "content-type": content_type}
    refused = server.http.post("/movies", content=b'{"title": "x", "source": "imdb"}', headers=headers)
    assert [error["name"] for error in problem(refused, 400)["errors"]] == ["source"]
    created = server.http.post("/movies", content='{"title": "é"}'.encode(), headers=headers)
    assert created.status_code == 201
    assert created.json()["title"] == "é"
    problem(server.http.post("/movies", content='{"title": "é"}'.encode("utf-16"), headers=headers), 400)
