"""`shelflist serve`: how it starts, how it stops, what it does on one connection."""

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest
import sqlalchemy as sa

from shelflist.shared.database import create_engine
from tests.factories.movies import add_movies
from tests.fixtures.databases import create_database, drop_database
from tests.fixtures.problems import problem
from tests.fixtures.server import Server, free_port, read_answer, run_command, serving, wait_for

Finished = CompletedProcess[str]
BOUND = 20


def locked(engine: sa.Engine, stack: ExitStack) -> sa.Connection:
    """Keep readers of movies waiting until the connection rolls back."""
    connection = stack.enter_context(engine.connect())
    connection.execute(sa.text("LOCK TABLE movies IN ACCESS EXCLUSIVE MODE"))
    return connection


def is_waited_for(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        waits = "datname = current_database() AND wait_event_type = 'Lock'"
        return bool(connection.scalar(sa.text(f"SELECT count(*) FROM pg_stat_activity WHERE {waits}")))


def accepts(server: Server) -> bool:
    try:
        server.connect().close()
    except OSError:
        return False
    return True


def ask(server: Server, path: str) -> httpx.Response:
    return httpx.get(f"{server.http.base_url}{path}", timeout=30, trust_env=False, verify=False)


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    made = create_engine(database_url, "tests")
    yield made
    made.dispose()


def test_sigterm_turns_ready_first_and_lets_requests_finish(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with (
        ExitStack() as stack,
        serving(database_url, tmp_path, DRAIN_SECONDS="2", WEB_CONCURRENCY="2") as server,
        ThreadPoolExecutor(1) as pool,
    ):
        lock = locked(engine, stack)
        slow = pool.submit(ask, server, "/movies")
        wait_for(lambda: is_waited_for(engine), "the request waits for its rows")
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: ask(server, "/health/ready").status_code == 503, "ready turns false", 2)
        unready = {ask(server, "/health/ready").json()["reasons"][0] for _ in range(6)}
        assert unready == {"draining"}
        assert ask(server, "/ping").status_code == 200
        assert ask(server, "/health/live").status_code == 200
        wait_for(lambda: not accepts(server), "the port closes", BOUND)
        assert not slow.done()
        lock.rollback()
        assert slow.result().status_code == 200
        assert server.process.wait(BOUND) == 0
    assert "Traceback" not in server.text()


def test_without_a_drain_sigterm_still_lets_requests_finish(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with ExitStack() as stack, serving(database_url, tmp_path) as server, ThreadPoolExecutor(2) as pool:
        lock = locked(engine, stack)
        slow = [pool.submit(ask, server, path) for path in ("/movies", "/movies/tt0111161")]
        wait_for(lambda: is_waited_for(engine), "the requests wait for their rows")
        with server.connect() as idle:
            idle.sendall(server.head("GET /ping"))
            assert read_answer(idle).status == 200
            server.process.send_signal(signal.SIGTERM)
            assert idle.recv(1) == b""
        wait_for(lambda: not accepts(server), "the port closes", BOUND)
        lock.rollback()
        assert [answer.result().status_code for answer in slow] == [200, 404]
        assert server.process.wait(BOUND) == 0


def test_a_second_sigterm_cuts_the_drain_short(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, DRAIN_SECONDS="300") as server:
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: ask(server, "/health/ready").status_code == 503, "ready turns false", 2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(BOUND) == 0


def test_a_request_that_does_not_finish_is_cut_off_after_the_time_for_stopping(
    database_url: str, engine: sa.Engine, tmp_path: Path
) -> None:
    with (
        ExitStack() as stack,
        serving(database_url, tmp_path, SHUTDOWN_SECONDS="1") as server,
        ThreadPoolExecutor(1) as pool,
    ):
        lock = locked(engine, stack)
        slow = pool.submit(ask, server, "/movies")
        wait_for(lambda: is_waited_for(engine), "the request waits for its rows")
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(BOUND)
        lock.rollback()
        assert isinstance(slow.exception(), httpx.HTTPError) or slow.result().status_code == 503


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_ctrl_c_stops_at_once_and_cleanly(database_url: str, tmp_path: Path, number: signal.Signals) -> None:
    with serving(database_url, tmp_path, DRAIN_SECONDS="300") as server:
        workers = server.workers()
        server.process.send_signal(number)
        assert server.process.wait(BOUND) == 0
        wait_for(lambda: not any(worker.is_running() for worker in workers), "no worker stays")
    assert "Traceback" not in server.text()


def test_a_killed_worker_is_replaced_while_the_others_go_on(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, WEB_CONCURRENCY="2") as server:
        wait_for(lambda: len(server.workers()) == 2, "two workers")
        for _ in range(3):
            killed, other = server.workers()
            killed.kill()
            assert {ask(server, "/movies").status_code for _ in range(20)} == {200}
            assert other.is_running()
            wait_for(lambda gone=killed: gone not in server.workers() and len(server.workers()) == 2, "a new worker")
        assert server.stop() == 0


def test_a_server_that_is_killed_leaves_a_port_that_the_next_one_can_use(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, WEB_CONCURRENCY="2") as server:
        server.process.kill()
        server.process.wait()
        (tmp_path / "next").mkdir()
        with serving(database_url, tmp_path / "next", PORT=str(server.port)) as following:
            # Until then, processes of the first may answer.
            wait_for(lambda: "serving" in following.text(), "it has the port")
            assert ask(following, "/ping").status_code == 200


class Starts:
    """Servers that cannot start: all tried at once, each looked at by its own test."""

    def __init__(self, server_url: str, template: str, worker_name: str) -> None:
        self._pool = ThreadPoolExecutor(8)
        self._tries: dict[str, Future[Finished]] = {}
        self._names = {what: f"{what}_{worker_name}" for what in ("empty", "behind", "ahead", "migrated")}
        self._server_url = server_url
        for what, name in self._names.items():
            create_database(server_url, name, *([] if what == "empty" else [template]))
        self._set_revision("behind", "0001")
        self._set_revision("ahead", "9999")
        self.taken = socket.create_server(("127.0.0.1", 0))

    def url(self, what: str) -> str:
        return sa.make_url(self._server_url).set(database=self._names[what]).render_as_string(hide_password=False)

    def _set_revision(self, what: str, revision: str) -> None:
        engine = create_engine(self.url(what), "tests")
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        engine.dispose()

    def begin(self, name: str, variables: dict[str, str]) -> None:
        settings = {"DATABASE_URL": self.url("migrated"), "HOST": "127.0.0.1", "PORT": str(free_port()), **variables}
        self._tries[name] = self._pool.submit(run_command, "serve", **settings)

    def outcome(self, name: str) -> Finished:
        return self._tries[name].result()

    def end(self) -> None:
        self._pool.shutdown()
        self.taken.close()
        for name in self._names.values():
            drop_database(self._server_url, name)


CANNOT_START = {
    "the port is in use": ({"PORT": "{taken}"}, "port {taken} is in use"),
    "the host is unknown": ({"HOST": "nowhere.invalid"}, "cannot listen on nowhere.invalid"),
    "the host is another machine's": ({"HOST": "192.0.2.1"}, "cannot listen on 192.0.2.1"),
    "there is no schema": ({"DATABASE_URL": "{empty}"}, "the database is at revision none"),
    "the schema is behind": ({"DATABASE_URL": "{behind}"}, "the database is at revision 0001"),
    "the schema is ahead": ({"DATABASE_URL": "{ahead}"}, "the database is at revision 9999"),
    "no database listens": ({"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"}, "cannot reach the database"),
    "the database does not exist": ({"DATABASE_URL": "{migrated}x"}, "cannot reach the database"),
    "a setting is wrong": ({"PORT": "http"}, "PORT: "),
    "a setting is missing": ({"CLIENT_ID": "a"}, "CLIENT_ID and CLIENT_SECRET go together"),
}


@pytest.fixture(scope="module")
def starts(server_url: str, template: str, worker_name: str) -> Iterator[Starts]:
    made = Starts(server_url, template, worker_name)
    known = {what: made.url(what) for what in ("empty", "behind", "ahead", "migrated")}
    known["taken"] = str(made.taken.getsockname()[1])
    for name, (variables, _) in CANNOT_START.items():
        made.begin(name, {key: value.format(**known) for key, value in variables.items()})
    yield made
    made.end()


@pytest.mark.parametrize("name", list(reversed(CANNOT_START)))
def test_where_it_cannot_start_one_line_says_why(starts: Starts, name: str) -> None:
    done = starts.outcome(name)
    expected = CANNOT_START[name][1].format(taken=starts.taken.getsockname()[1])
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("shelflist: ")
    assert expected in line


@pytest.fixture(scope="module")
def server(
    server_url: str, template: str, worker_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    name = f"server_{worker_name}"
    create_database(server_url, name, template)
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    engine = create_engine(url, "tests")
    add_movies(engine, [{"title": f"movie {number}"} for number in range(200)])
    engine.dispose()
    with serving(url, tmp_path_factory.mktemp("server")) as started:
        yield started
    drop_database(server_url, name)


@pytest.fixture(scope="module", autouse=True)
def idle(server: Server, starts: Starts) -> Iterator[socket.socket]:
    """A connection that was of use once; opened before the other tests, because its time-out is the longest."""
    with server.connect() as connection:
        connection.sendall(server.head("GET /ping"))
        assert read_answer(connection).status == 200
        yield connection


@pytest.mark.parametrize(
    "garbage",
    [
        b"\r\n\r\n\x00\r\n\r\n",
        b"garbage\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1 and more\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"EHLO example.org\r\n",
        bytes(range(256)),
        b"\xff" * 1_000,
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_a_problem(server: Server, garbage: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(garbage)
        answer = read_answer(connection)
        document = problem(answer, 400, "invalid-request")
        assert connection.recv(1) == b""
    wait_for(lambda: document["instance"] in server.text(), "the log tells of it")


def test_many_requests_go_over_one_connection(server: Server) -> None:
    with server.connect() as connection:
        for _ in range(20):
            for path, status in (("/ping", 200), ("/movies", 200), ("/nowhere", 404), ("/movies?page_size=0", 400)):
                connection.sendall(server.head(f"GET {path}", accept_encoding="identity"))
                assert read_answer(connection).status == status


def test_requests_sent_ahead_are_answered_in_their_order(server: Server) -> None:
    body = b'{"title": "ahead"}'
    post = server.head("POST /movies", content_type="application/json", content_length=str(len(body))) + body
    requests = [(server.head("GET /ping"), 200), (post, 201), (server.head("GET /nowhere"), 404)] * 5
    with server.connect() as connection:
        connection.sendall(b"".join(request for request, _ in requests))
        received = b""
        while received.count(b"HTTP/1.1 ") < len(requests):
            received += connection.recv(65_536)
    statuses = [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [status for _, status in requests]


def test_garbage_behind_a_request_does_not_take_the_place_of_its_answer(server: Server) -> None:
    for path in ("/movies", "/ping", "/nowhere"):
        with server.connect() as connection:
            connection.sendall(server.head(f"GET {path}", accept_encoding="identity") + b"\x00garbage\r\n\r\n")
            assert read_answer(connection).status == (404 if path == "/nowhere" else 200)
            assert connection.recv(1) == b""


def test_garbage_behind_an_export_does_not_stand_inside_it(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(server.head("GET /movies", accept="text/csv", accept_encoding="identity") + b"\x00\r\n\r\n")
        received = bytearray()
        while part := connection.recv(65_536):
            received += part
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"problem" not in received
    assert received.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("line", ["GET /ping HTTP/1.0", "GET /ping HTTP/1.1"])
def test_a_connection_ends_where_the_caller_wants_it_to(server: Server, line: str) -> None:
    with server.connect() as connection:
        connection.sendall(f"{line}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert read_answer(connection).json() == {"message": "Pong!"}
        assert connection.recv(1) == b""


def test_a_request_that_arrives_byte_by_byte_is_like_any_other(server: Server) -> None:
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in server.head("GET /ping"):
            connection.sendall(bytes([byte]))
        assert read_answer(connection).json() == {"message": "Pong!"}


def test_who_goes_away_at_any_moment_disturbs_nobody(server: Server) -> None:
    body = b'{"title": "gone"}'
    whole = server.head("POST /movies", content_type="application/json", content_length=str(len(body))) + body
    for length in range(0, len(whole), 7):
        with server.connect() as connection:
            connection.sendall(whole[:length])
    time.sleep(0.1)
    assert ask(server, "/movies?q=gone").json()["movies"] == []
    assert [line for line in server.log() if line["level"] != "info"] == []


def test_a_hundred_callers_at_once_are_all_answered(server: Server) -> None:
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: ask(server, "/movies?page_size=5").status_code, range(200)))
    assert set(statuses) == {200}


def test_an_idle_connection_is_closed(idle: socket.socket) -> None:
    assert idle.recv(1) == b""
