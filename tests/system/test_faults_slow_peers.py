"""Peers that are slow, stop in the middle, or go away: each costs a bounded time, and the others are served."""

import json
import socket
import struct
import time
from collections.abc import Iterator, Sequence

import httpx
import psutil
import pytest
import sqlalchemy as sa

from shelflist.shared.database import create_engine
from tests.fixtures.databases import create_database, drop_database
from tests.fixtures.problems import problem
from tests.fixtures.server import Server, read_answer, serving, wait_for

SECONDS = 1
"""The time-outs of the server here."""
BOUND = 20
"""Seconds after which a time-out counts as missing."""
ROWS = 20_000
ROW_BYTES = 800


@pytest.fixture(scope="module")
def server(
    server_url: str, template: str, worker_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with short time-outs and two connections to a database of movies with the longest texts."""
    name = f"slow_{worker_name}"
    create_database(server_url, name, template)
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    engine = create_engine(url, "tests")
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO movies (id, title, title_key, original_title, source) "
                "SELECT gen_random_uuid(), 'movie', 'movie', repeat('x', 500), 'user' FROM generate_series(1, :rows)"
            ),
            {"rows": ROWS},
        )
    engine.dispose()
    short = {"HEADER_SECONDS": str(SECONDS), "BODY_SECONDS": str(SECONDS)}
    with serving(url, tmp_path_factory.mktemp("slow"), DATABASE_POOL_SIZE="2", **short) as started:
        yield started
    drop_database(server_url, name)


def ends(connection: socket.socket) -> bool:
    """Read to the end of a connection; whether the server ended it within the bound."""
    connection.settimeout(BOUND)
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def connections(server: Server) -> int:
    """Return how many connections to its port the server holds."""
    return sum(
        each.laddr.port == server.port and each.status != psutil.CONN_LISTEN
        for worker in server.workers()
        for each in worker.net_connections("tcp")
    )


def serves_others(server: Server) -> bool:
    return all(
        httpx.get(f"{server.http.base_url}{path}", timeout=10, trust_env=False, verify=False).status_code == 200
        for path in ("/movies?page_size=3", "/ping", "/health/ready")
        for _ in range(3)
    )


def test_a_head_that_does_not_end_is_ended(server: Server) -> None:
    beginnings = [b"", b"G", b"GET /ping", b"GET /ping HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"\r\n"]
    opened = [server.connect() for _ in beginnings]
    for connection, beginning in zip(opened, beginnings, strict=True):
        connection.sendall(beginning)
    assert serves_others(server)
    for connection, beginning in zip(opened, beginnings, strict=True):
        answer = read_answer(connection)
        if beginning:
            problem(answer, 408, "request-timeout")
        assert connection.recv(1) == b""
        connection.close()


def test_a_head_that_drips_is_ended_however_often_a_byte_comes(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n")
        deadline = time.monotonic() + BOUND
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while time.monotonic() < deadline:
                connection.sendall(b"X: y\r\n")
                time.sleep(0.1)


def test_the_second_head_on_a_connection_has_the_same_time(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("GET /ping"))
        assert read_answer(connection).status == 200
        connection.sendall(b"GET /ping HTTP/1.1\r\n")
        problem(read_answer(connection), 408)
        assert connection.recv(1) == b""


def test_a_body_that_does_not_end_is_ended(server: Server) -> None:
    heads = [
        server.head("POST /movies", content_type=kind, **framing)
        for kind in ("application/json", "text/plain", "multipart/form-data; boundary=x")
        for framing in ({"content_length": "1000"}, {"transfer_encoding": "chunked"})
    ]
    opened = [server.connect() for _ in heads]
    for connection, head in zip(opened, heads, strict=True):
        connection.sendall(head + b"1\r\n{\r\n")
    assert serves_others(server)
    for connection in opened:
        problem(read_answer(connection), 408, "request-timeout")
        assert ends(connection)
        connection.close()


def test_a_body_that_drips_is_ended_however_often_a_byte_comes(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("POST /movies", content_type="application/json", content_length="100000"))
        connection.settimeout(0.1)
        deadline, received = time.monotonic() + BOUND, b""
        while not received and time.monotonic() < deadline:
            connection.sendall(b" ")
            try:
                received = connection.recv(65_536)
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_nobody_reads_does_not_keep_its_connection_for_ever(server: Server) -> None:
    heads = [
        *(server.head(f"{method} /movies/tt0111161", content_length="1000000") for method in ("GET", "DELETE")),
        server.head("POST /movies", content_type="text/plain", content_length="2000000"),
    ]
    opened = [server.connect() for _ in heads]
    for connection, head in zip(opened, heads, strict=True):
        connection.sendall(head)
        assert read_answer(connection).status in (404, 413)
        connection.sendall(b"x")
    for connection in opened:
        assert ends(connection)
        connection.close()


def export(server: Server, *, media_type: str = "application/x-ndjson", more: bytes = b"") -> socket.socket:
    """Ask for everything on a connection that takes little, and read none of it."""
    [connection] = exports(server, [media_type], more=more)
    return connection


def exports(server: Server, media_types: Sequence[str], more: bytes = b"") -> list[socket.socket]:
    """Ask for several at once, so that all run before the first is cut off, however slow the machine is."""
    connections = [server.connect(receive_buffer=4_096) for _ in media_types]
    for connection, media_type in zip(connections, media_types, strict=True):
        connection.sendall(server.head("GET /movies", accept=media_type, accept_encoding="identity") + more)
    assert [connection.recv(12) for connection in connections] == [b"HTTP/1.1 200"] * len(connections)
    return connections


def exported(server: Server) -> int:
    """Return how many rows an export gives."""
    headers = {"accept": "application/x-ndjson", "connection": "close"}
    with server.http.stream("GET", "/movies", headers=headers) as answer:
        assert answer.status_code == 200
        return sum(1 for line in answer.iter_lines() if json.loads(line))


def can_export(server: Server) -> bool:
    with server.connect() as connection:
        connection.sendall(server.head("GET /movies", accept="text/csv"))
        return connection.recv(12) == b"HTTP/1.1 200"


def test_an_export_gives_every_row(server: Server) -> None:
    assert exported(server) == ROWS


def test_readers_that_stop_reading_are_cut_off_while_others_are_served(server: Server) -> None:
    wait_for(lambda: connections(server) == 0, "earlier connections end")
    before = server.memory()
    readers = exports(server, ("text/csv", "application/x-ndjson") * 2)
    try:
        refused = server.send(server.head("GET /movies", accept="text/csv"))
        problem(refused, 503, "service-unavailable")
        assert refused.headers["retry-after"].isdigit()
        assert serves_others(server)
        assert server.memory() - before < 60_000_000
        wait_for(lambda: connections(server) == 0, "the connections of readers that do not read end", BOUND)
    finally:
        for reader in readers:
            reader.close()
    assert exported(server) == ROWS


def test_a_reader_that_stops_reading_small_answers_is_cut_off_too(server: Server) -> None:
    wait_for(lambda: connections(server) == 0, "earlier connections end")
    with server.connect(receive_buffer=4_096) as connection:
        connection.settimeout(5)
        request = server.head("GET /openapi.yaml", accept_encoding="identity")
        connection.sendall(request * 400)
        assert serves_others(server)
        wait_for(lambda: connections(server) == 0, "a connection that is not read ends", 60)


@pytest.mark.parametrize("more", [b"", b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /pi"])
@pytest.mark.parametrize("is_reset", [True, False])
def test_an_export_ends_when_its_reader_goes_away(server: Server, more: bytes, is_reset: bool) -> None:
    wait_for(lambda: connections(server) == 0, "earlier connections end")
    for _ in range(5):
        reader = export(server, more=more)
        if is_reset:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reader.close()
    wait_for(lambda: can_export(server), "places for exports are free again", BOUND)
    wait_for(lambda: connections(server) == 0, "no connection stays", BOUND)
    ended = [line for line in server.log() if line["event"] == "request" and line.get("query") == ""]
    assert all(line["bytes"] < ROWS * ROW_BYTES * 0.8 for line in ended[-5:] if line["path"] == "/movies")


def test_slow_peers_in_numbers_do_not_keep_others_from_being_served(server: Server) -> None:
    slow = [server.connect() for _ in range(150)]
    try:
        for number, connection in enumerate(slow):
            head = server.head("POST /movies", content_type="application/json", content_length="9")
            connection.sendall(head if number % 2 else b"GET /movies HTTP/1.1\r\nHost: ")
        assert serves_others(server)
        assert all(ends(connection) for connection in slow)
    finally:
        for connection in slow:
            connection.close()


def test_no_slow_peer_was_told_of_as_a_crash(server: Server) -> None:
    # That its pool is smaller than its threads, as it is here to be drained, is told at start.
    lines = [line for line in server.log() if line["logger"] != "shelflist.shared.capacity"]
    told = [line for line in lines if line["level"] in ("warning", "error", "critical")]
    assert {line.get("status") for line in told} <= {503}
