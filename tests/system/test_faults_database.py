"""A database that is busy, restarts, goes away and comes back: 503 in between, and nothing to restart afterwards."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest
import sqlalchemy as sa

from shelflist.embedded import running
from shelflist.migrations import migrate
from shelflist.shared.database import autocommitting, create_engine
from shelflist.shared.settings import normalise_database_url
from tests.factories.movies import add_movies
from tests.fixtures.problems import problem
from tests.fixtures.server import CREDENTIALS, Server, serving, wait_for

OURS = "application_name LIKE 'shelflist-%' AND application_name <> 'shelflist-tests'"

CONNECTIONS = 2 * 2
"""For searches: of two workers' pools."""


class Database:
    """An embedded PostgreSQL of these tests alone, which they may stop and start."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self._directory = directory

    @contextmanager
    def down(self) -> Iterator[None]:
        """Kill the server, keep its supervisor from starting it again inside, and wait until it is up again after."""
        postmaster = psutil.Process(int((self._directory / "postgres/postmaster.pid").read_text().split()[0]))
        supervisor = postmaster.parent()
        assert supervisor is not None
        supervisor.suspend()
        try:
            # Its backends notice, and end themselves.
            postmaster.kill()
            wait_for(lambda: not self.is_up(), "the database is down")
            yield
        finally:
            supervisor.resume()
        wait_for(self.is_up, "the database is up again", 60)

    def is_up(self) -> bool:
        try:
            psycopg2.connect(sa.make_url(self.url).set(drivername="postgresql").render_as_string(False)).close()
        except psycopg2.OperationalError:
            return False
        return True


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    directory = tmp_path_factory.mktemp("own")
    with running(directory) as given:
        url = normalise_database_url(given)
        engine = create_engine(url, "tests")
        migrate(engine)
        engine.dispose()
        yield Database(directory, url)


@pytest.fixture(scope="module")
def engine(database: Database) -> Iterator[sa.Engine]:
    made = create_engine(database.url, "tests")
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def server(database: Database, engine: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, each with two connections and little patience."""
    add_movies(engine, [{"title": f"movie {number}"} for number in range(20)])
    settings = {"WEB_CONCURRENCY": "2", "DATABASE_POOL_SIZE": "2", "DATABASE_POOL_SECONDS": "0.5"}
    with serving(database.url, tmp_path_factory.mktemp("database"), **settings) as started:
        yield started


def ask(server: Server, path: str = "/movies", **arguments: object) -> httpx.Response:
    """Ask on a connection of its own."""
    return httpx.get(f"{server.http.base_url}{path}", timeout=30, trust_env=False, verify=False, **arguments)  # type: ignore[arg-type]


def readiness(server: Server) -> set[tuple[int, str]]:
    """Return what the workers say; each has its own look at the database."""
    answers = [ask(server, "/health/ready") for _ in range(8)]
    return {(answer.status_code, ",".join(answer.json()["reasons"])) for answer in answers}


def add(server: Server, title: str, **headers: str) -> httpx.Response:
    url, sent = f"{server.http.base_url}/movies", {**CREDENTIALS, **headers}
    return httpx.post(url, json={"title": title}, headers=sent, timeout=30, trust_env=False, verify=False)


def count(engine: sa.Engine, what: str, **parameters: object) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(sa.text(f"SELECT count(*) FROM {what}"), parameters) or 0)


def terminate(engine: sa.Engine) -> int:
    """End every connection of the server to the database, and return how many there were."""
    with engine.connect() as connection:
        ended = connection.execute(sa.text(f"SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}"))
        pids = [pid for pid, _ in ended]
    # Those that the server opens meanwhile are new ones.
    wait_for(lambda: not count(engine, "pg_stat_activity WHERE pid = ANY(:pids)", pids=pids), "they are gone")
    return len(pids)


def warm_up(server: Server) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ask(server).status_code, range(24))) <= {200, 503}


@contextmanager
def locked(engine: sa.Engine, *tables: str) -> Iterator[None]:
    with engine.connect() as connection:
        connection.execute(sa.text(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE"))
        yield
        connection.rollback()


def waiting(engine: sa.Engine) -> int:
    return count(engine, "pg_locks WHERE NOT granted")


def test_where_all_connections_are_in_use_the_next_is_told_to_come_back_and_all_recovers(
    server: Server, engine: sa.Engine
) -> None:
    warm_up(server)
    with ThreadPoolExecutor(24) as pool:
        with locked(engine, "movies"):
            # None that was asked before, which is remembered, and none that are read together on the event loop.
            answers = [pool.submit(ask, server, f"/movies?year_gte={year}&rating_gte=1") for year in range(1950, 1974)]
            told = 24 - CONNECTIONS
            wait_for(lambda: sum(answer.done() for answer in answers) >= told, "those without a connection are told")
            assert ask(server, "/ping").status_code == 200
            assert ask(server, "/health/ready").status_code == 200
            # Those of each worker that any of them came to; some may be on their way to the lock yet.
            served = waiting(engine)
            assert 1 <= served <= CONNECTIONS
        finished = [answer.result() for answer in answers]
    refused = [answer for answer in finished if answer.status_code != 200]
    assert served <= len(finished) - len(refused) <= CONNECTIONS
    for answer in refused:
        problem(answer, 503, "service-unavailable")
        assert answer.headers["retry-after"].isdigit()
    assert [ask(server).status_code for _ in range(8)] == [200] * 8


def test_callers_with_credentials_are_told_the_same_where_the_look_up_finds_no_connection(
    server: Server, engine: sa.Engine
) -> None:
    with ThreadPoolExecutor(12) as pool:
        with locked(engine, "client_secrets"):
            answers = [pool.submit(add, server, "crowd") for _ in range(12)]
            wait_for(lambda: sum(answer.done() for answer in answers) >= 8, "those without a connection are told")
        finished = [answer.result() for answer in answers]
    for answer in finished:
        if answer.status_code != 201:
            problem(answer, 503, "service-unavailable")
    assert 1 <= sum(answer.status_code == 201 for answer in finished) <= 4
    assert add(server, "after the crowd").status_code == 201


def test_the_first_reads_after_every_connection_was_ended_are_served(server: Server, engine: sa.Engine) -> None:
    for _ in range(3):
        warm_up(server)
        assert terminate(engine) >= 2
        assert [ask(server, path).status_code for path in ("/movies", "/genres", "/movies", "/datasets")] == [200] * 4
        assert add(server, "after the end").status_code == 201


def test_a_read_and_a_write_whose_connection_is_ended_are_told_503_and_leave_nothing(
    server: Server, engine: sa.Engine
) -> None:
    before = count(engine, "movies")
    with ThreadPoolExecutor(2) as pool, locked(engine, "movies"):
        read, write = pool.submit(ask, server), pool.submit(add, server, "cut off")
        wait_for(lambda: waiting(engine) == 2, "both wait")
        count(engine, f"(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}) ended")
        answers = [read.result(), write.result()]
    for answer in answers:
        problem(answer, 503, "service-unavailable")
        assert answer.headers["retry-after"].isdigit()
    assert count(engine, "movies") == before


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_connection_that_dies_in_a_readers_hands_costs_the_pool_no_place(
    database: Database, engine: sa.Engine, is_asked: bool
) -> None:
    small = sa.create_engine(database.url, pool_size=2, max_overflow=0, pool_timeout=2, pool_pre_ping=True)
    number = sa.text("SELECT pg_backend_pid()")
    for _ in range(5):
        # psycopg2 speaks to the server about changes of a connection that has been changed before.
        for _ in range(2):
            with autocommitting(small) as connection:
                connection.scalar(number)
        with suppress(sa.exc.DBAPIError, psycopg2.Error), autocommitting(small) as connection:
            backend = connection.scalar(number)
            count(engine, "pg_terminate_backend(:pid)", pid=backend)
            wait_for(lambda pid=backend: not count(engine, "pg_stat_activity WHERE pid = :pid", pid=pid), "it is gone")
            if is_asked:
                connection.scalar(number)
    with autocommitting(small) as one, autocommitting(small) as other:
        assert one.scalar(number) != other.scalar(number)
    with small.begin() as connection:
        assert not connection.connection.dbapi_connection.autocommit
    small.dispose()


def test_a_statement_that_an_operator_cancels_is_told_503(server: Server, engine: sa.Engine) -> None:
    with ThreadPoolExecutor(1) as pool, locked(engine, "movies"):
        read = pool.submit(ask, server)
        wait_for(lambda: waiting(engine) == 1, "it waits")
        count(engine, f"(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE {OURS}) cancelled")
        problem(read.result(), 503, "query-timeout")


def test_a_lock_that_is_not_given_back_is_told_503(server: Server, engine: sa.Engine) -> None:
    with locked(engine, "movies"):
        problem(ask(server), 503, "service-unavailable")


def test_a_database_that_takes_no_writes_is_told_503_for_writes_alone(server: Server, engine: sa.Engine) -> None:
    def set_read_only(value: str) -> None:
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sa.text(f"ALTER DATABASE shelflist SET default_transaction_read_only = {value}"))
        terminate(engine)

    set_read_only("on")
    try:
        problem(add(server, "never"), 503, "service-unavailable")
        assert ask(server).status_code == 200
        assert ask(server, "/health/ready").status_code == 200
    finally:
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(sa.text("SET default_transaction_read_only = off"))
            connection.execute(sa.text("ALTER DATABASE shelflist RESET default_transaction_read_only"))
        terminate(engine)
        engine.dispose()
    assert add(server, "writes again").status_code == 201


def test_while_the_database_is_down_everything_is_told_503_and_afterwards_all_is_as_it_was(
    server: Server, database: Database, engine: sa.Engine
) -> None:
    warm_up(server)
    assert ask(server, "/health/ready").json() == {"status": "ok", "reasons": []}
    before = count(engine, "movies")
    engine.dispose()
    with database.down():
        wait_for(lambda: readiness(server) == {(503, "database")}, "/health/ready turns", 10)
        for _ in range(4):
            for answer in (
                ask(server),
                ask(server, "/movies/tt0111161"),
                ask(server, "/genres"),
                ask(server, headers=CREDENTIALS),
                ask(server, headers={"accept": "text/csv"}),
                ask(server, headers={"accept": "application/x-ndjson"}),
                add(server, "never"),
            ):
                problem(answer, 503, "service-unavailable")
                assert answer.headers["retry-after"].isdigit()
        assert ask(server, "/ping").status_code == 200
        assert ask(server, "/health/live").status_code == 200
        assert ask(server, "/openapi.json").status_code == 200
        assert ask(server, "/healthcheck").json()["status"] == "degraded"
        assert "shelflist_database_up 0.0\n" in ask(server, "/metrics").text
    assert ask(server).status_code == 200
    assert ask(server, "/genres").status_code == 200
    wait_for(lambda: readiness(server) == {(200, "")}, "/health/ready turns back", 10)
    wait_for(lambda: "shelflist_database_up 1.0\n" in ask(server, "/metrics").text, "/metrics turns back", 10)
    assert add(server, "after the restart").status_code == 201
    assert count(engine, "movies") == before + 1


def test_writes_through_a_restart_are_done_once_or_told_503_and_none_is_lost(
    server: Server, database: Database, engine: sa.Engine
) -> None:
    outcomes: dict[str, list[int]] = {}
    is_over = threading.Event()

    def write(writer: int) -> None:
        number = 0
        while not is_over.is_set():
            key, number = f"restart-{writer}-{number}", number + 1
            # A write whose outcome the restart has hidden is repeated under its key.
            outcomes[key] = []
            while 201 not in outcomes[key] and not (is_over.is_set() and outcomes[key]):
                outcomes[key].append(add(server, key, **{"idempotency-key": key}).status_code)

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, writer) for writer in range(4)]
        try:
            wait_for(lambda: len(outcomes) > 20, "writes are under way")
            engine.dispose()
            with database.down():
                time.sleep(0.3)
            reached = len(outcomes)
            wait_for(lambda: len(outcomes) > reached + 20, "writes are under way again")
        finally:
            is_over.set()
        for writer in writers:
            writer.result()
    assert {status for statuses in outcomes.values() for status in statuses} <= {201, 409, 503}
    with engine.connect() as connection:
        stored = list(connection.execute(sa.text("SELECT title FROM movies WHERE title LIKE 'restart-%'")).scalars())
    assert len(stored) == len(set(stored))
    assert {key for key, statuses in outcomes.items() if 201 in statuses} <= set(stored)


def test_a_worker_that_is_killed_in_the_middle_of_a_write_leaves_nothing_and_the_repetition_creates_once(
    server: Server, engine: sa.Engine
) -> None:
    headers = {"idempotency-key": "killed"}
    wait_for(lambda: len(server.workers()) == 2, "two workers")
    # The movie is inserted when the answer is stored beside it.
    with ThreadPoolExecutor(1) as pool, locked(engine, "idempotency_keys"):
        write = pool.submit(add, server, "killed", **headers)
        wait_for(lambda: waiting(engine), "the write waits")
        for worker in server.workers():
            worker.kill()
        with pytest.raises(httpx.HTTPError):
            write.result()
    wait_for(lambda: not count(engine, f"pg_stat_activity WHERE {OURS} AND state <> 'idle'"), "its statement ends")
    wait_for(server.is_ready, "new workers")
    assert count(engine, "movies WHERE title = 'killed'") == 0
    answers = [add(server, "killed", **headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert "idempotency-replayed" not in answers[0].headers
    assert count(engine, "movies WHERE title = 'killed'") == 1


def test_in_all_of_this_nothing_was_answered_500(server: Server) -> None:
    statuses = {line["status"] for line in server.log() if line["event"] == "request"}
    assert 500 not in statuses
