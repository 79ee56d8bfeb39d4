"""Images through the real server: large ones in and out, in pieces, by slow readers, and past the limits."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from shelflist.images.people.tokens import issue_token
from shelflist.shared.database import create_engine
from tests.factories.people import add_person
from tests.factories.pictures import encoded, noise
from tests.fixtures.databases import create_database, drop_database
from tests.fixtures.problems import problem
from tests.fixtures.server import RawAnswer, Server, read_answer, serving, wait_for

LIMIT = 15_000_000
READERS = 30


@dataclass(frozen=True)
class Place:
    """A running server, a person who is logged in, and a picture of some 10 MB that is there."""

    server: Server
    person: dict[str, str]
    state: Path
    url: str
    length: int

    def head(self, line: str, **headers: str) -> bytes:
        return self.server.head(line, **self.person, **headers)


@pytest.fixture(scope="module")
def place(
    server_url: str, template: str, worker_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    name = f"images_{worker_name}"
    create_database(server_url, name, template)
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    engine = create_engine(url, "tests")
    with engine.begin() as connection:
        token = issue_token(connection, add_person(connection, "anna"), days=1).value
    engine.dispose()
    person, state = {"Authorization": f"Bearer {token}"}, tmp_path_factory.mktemp("state")
    variables = {"STATE_DIRECTORY": str(state), "BODY_SECONDS": "5", "LOG_FORMAT": "json"}
    with serving(url, tmp_path_factory.mktemp("images"), **variables) as server:
        files = {"file": ("noise.png", encoded(noise(2000, 1600), "PNG"))}
        answer = server.http.post("/images", headers=person, files=files)
        assert answer.status_code == 201, answer.text
        body = answer.json()
        yield Place(server, person, state, body["urls"]["original"], body["bytes"])
    drop_database(server_url, name)


def test_a_large_picture_comes_whole_and_in_pieces(place: Place) -> None:
    whole = place.server.get(place.url, headers=place.person)
    assert whole.headers["ETag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert int(whole.headers["Content-Length"]) == len(whole.content) == place.length > 5_000_000
    pieces, step = b"", 2_000_000
    for start in range(0, place.length, step):
        piece = place.server.get(place.url, headers={**place.person, "Range": f"bytes={start}-{start + step - 1}"})
        assert piece.status_code == 206
        pieces += piece.content
    assert pieces == whole.content
    again = place.server.get(place.url, headers={**place.person, "If-None-Match": whole.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_head_and_the_next_request_share_a_connection(place: Place) -> None:
    with place.server.connect() as connection:
        connection.sendall(place.head(f"HEAD {place.url}"))
        answer = read_answer(connection, has_no_body=True)
        assert (answer.status, answer.headers["content-length"]) == (200, str(place.length))
        connection.sendall(place.head(f"GET {place.url}", range="bytes=0-9"))
        assert len(read_answer(connection).body) == 10


def test_slow_readers_keep_no_thread_and_little_memory(place: Place) -> None:
    place.server.get(place.url, headers=place.person)
    before = place.server.memory()
    readers = [place.server.connect(receive_buffer=4_096) for _ in range(READERS)]
    try:
        for reader in readers:
            reader.sendall(place.head(f"GET {place.url}"))
        assert [reader.recv(12) for reader in readers] == [b"HTTP/1.1 200"] * READERS
        # Many more than the server has threads: others are served all the same.
        assert place.server.get("/movies").status_code == 200
        assert place.server.get("/images", headers=place.person).status_code == 200
        assert place.server.memory() - before < READERS * 2_000_000
    finally:
        for reader in readers:
            reader.close()


def test_a_reader_that_stops_reading_is_cut_off(place: Place) -> None:
    with place.server.connect(receive_buffer=4_096) as reader:
        reader.sendall(place.head(f"GET {place.url}"))
        assert reader.recv(12) == b"HTTP/1.1 200"
        count = answers(place)
        wait_for(lambda: answers(place) > count, "the answer is given up", 30)
        received = b""
        with suppress(ConnectionResetError):
            while chunk := reader.recv(65_536):
                received += chunk
        assert len(received) < place.length


def answers(place: Place) -> int:
    """Return how many answers about the picture are over."""
    path = place.url.partition("?")[0]
    return sum(line.get("path") == path for line in place.server.log())


def test_a_blob_that_is_cut_off_ends_the_connection(place: Place) -> None:
    answer = place.server.get(place.url, headers=place.person)
    [blob] = place.state.rglob(answer.headers["ETag"].strip('"'))
    blob.write_bytes(answer.content[:-1])
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            place.server.get(place.url, headers=place.person)
    finally:
        blob.write_bytes(answer.content)
    assert place.server.get(place.url, headers=place.person).content == answer.content


# In.


START = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
FORM = "multipart/form-data; boundary=x"


def test_more_than_the_limit_is_refused_however_it_is_sent_and_memory_stays_flat(place: Place) -> None:
    announced = place.head("POST /images", content_type=FORM, content_length=str(LIMIT * 2))
    chunked = place.head("POST /images", content_type=FORM, transfer_encoding="chunked")
    chunk = b"\xff" * 100_000
    place.server.get("/ping")
    before, highest, is_over = place.server.memory(), [0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            highest.append(place.server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        problem(place.server.send(announced), 413, "payload-too-large")
        framed = b"%x\r\n%s\r\n" % (len(chunk), chunk)
        first = b"%x\r\n%s\r\n" % (len(START), START)
        problem(sent(place.server, chunked + first, framed, 300), 413, "payload-too-large")
    finally:
        is_over.set()
        watcher.join()
    assert max(highest) - before < 20_000_000
    assert list((place.state / "uploads").rglob("*")) == []


def test_a_length_that_lies_leaves_nothing(place: Place) -> None:
    head = place.head("POST /images", content_type=FORM, content_length="100000")
    with place.server.connect() as connection:
        connection.sendall(head + START + b"\xff" * 1_000)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1_000)
    wait_for(lambda: not list((place.state / "uploads").rglob("*")), "the upload's files go")


def sent(server: Server, head: bytes, chunk: bytes, times: int) -> RawAnswer:
    with server.connect() as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head)
            for _ in range(times):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
        return read_answer(connection)


def test_the_logs_say_nothing_that_is_not_of_a_request(place: Place) -> None:
    loggers = {line.get("logger") for line in place.server.log()}
    assert not {name for name in loggers if name and name.startswith("connexion")}
