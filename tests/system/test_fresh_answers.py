"""Several server processes that remember answers: whoever reads after a write sees it, whichever process is asked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sa

from tests.factories.imdb import movie, rating, write_imdb
from tests.fixtures.loading import Loading
from tests.fixtures.server import CREDENTIALS, Server, serving

PROCESSES = 3
CONNECTIONS = 12
WRITES = 40


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    with serving(database_url, tmp_path, WEB_CONCURRENCY=str(PROCESSES)) as server:
        yield server


@pytest.fixture
def clients(server: Server) -> Iterator[list[httpx.Client]]:
    """Clients, each on a connection that it keeps, spread over the processes."""
    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as at_once:
        for _ in range(20):
            stack.close()
            made = [
                stack.enter_context(httpx.Client(base_url=server.http.base_url, timeout=30, trust_env=False))
                for _ in range(CONNECTIONS)
            ]
            # A process that is busy leaves new connections to the others.
            list(at_once.map(lambda client: client.get("/movies?q=nothing"), made))
            if sum(has_one_of(worker, server.port) for worker in server.workers()) > 1:
                break
        else:
            raise AssertionError("all connections went to one process")
        yield made


def has_one_of(worker: psutil.Process, port: int) -> bool:
    """Whether the process serves a connection of somebody."""
    found = worker.net_connections("tcp")
    return any(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in found)


def titles(client: httpx.Client, path: str) -> list[str]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return [movie["title"] for movie in answer.json()["movies"]]


def remember(clients: list[httpx.Client], path: str) -> list[str]:
    """Have every process remember its answer, and return each connection's ETag."""
    for _ in range(3):
        for client in clients:
            client.get(path)
    return [client.get(path).headers["etag"] for client in clients]


def test_a_write_through_one_process_is_read_through_every_other(clients: list[httpx.Client]) -> None:
    path = "/movies?q=fresh&page_size=100"
    expected: list[str] = []
    ids: list[str] = []
    for number in range(WRITES):
        tags = remember(clients, path)
        assert len(set(tags)) == 1
        writer = clients[number % CONNECTIONS]
        if number % 4 == 3:
            assert writer.delete(f"/movies/{ids.pop(0)}", headers=CREDENTIALS).status_code == 204
            expected.pop(0)
        elif number % 4 == 2:
            assert writer.patch(
                f"/movies/{ids[-1]}", json={"title": f"Fresh {number:03}"}, headers=CREDENTIALS
            ).is_success
            expected[-1] = f"Fresh {number:03}"
        else:
            answer = writer.post("/movies", json={"title": f"Fresh {number:03}"}, headers=CREDENTIALS)
            ids.append(answer.json()["id"])
            expected.append(f"Fresh {number:03}")
        # Each asks at once and for the first time after the write.
        for client, tag in zip(clients, tags, strict=True):
            answer = client.get(path, headers={"if-none-match": tag})
            assert answer.status_code == 200, "told that nothing has changed"
            assert [movie["title"] for movie in answer.json()["movies"]] == expected


def test_a_load_by_another_process_is_read_at_once(
    clients: list[httpx.Client], database_url: str, tmp_path: Path
) -> None:
    loading = Loading(database_url, tmp_path / "state")
    path = "/movies?source=imdb&sort=votes&desc=true"
    try:
        for number in range(4):
            remember(clients, path)
            lines = [movie(n, f"Of load {number}") for n in range(1, 9)]
            loading.load(write_imdb(tmp_path / str(number), lines, [rating(n) for n in range(1, 9)]), force=True)
            for client in clients:
                assert set(titles(client, path)) == {f"Of load {number}"}
    finally:
        loading.engine.dispose()


def test_who_writes_all_the_time_reads_what_it_wrote_while_many_read(
    clients: list[httpx.Client], database_url: str
) -> None:
    path = "/movies?q=counter"
    [movie_id] = [clients[0].post("/movies", json={"title": "Counter", "votes": 0}, headers=CREDENTIALS).json()["id"]]
    engine = sa.create_engine(database_url)
    is_over = threading.Event()
    lowest: list[int] = []
    faults: list[str] = []
    written = [0]

    def read(client: httpx.Client) -> None:
        while not is_over.is_set():
            least = written[0]
            answer = client.get(path)
            votes = answer.json()["movies"][0]["votes"]
            if votes < least:
                faults.append(f"read {votes} after {least} was written")
            lowest.append(votes)

    readers = [threading.Thread(target=read, args=(client,)) for client in clients[1:]]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, 200):
            if number % 2:
                clients[0].patch(f"/movies/{movie_id}", json={"votes": number}, headers=CREDENTIALS).raise_for_status()
            else:
                with engine.begin() as connection:
                    statement = sa.text("UPDATE movies SET votes = :votes WHERE id = :id")
                    connection.execute(statement, {"votes": number, "id": movie_id})
            written[0] = number
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
        engine.dispose()
    assert faults == []
    assert len(lowest) > 200
