"""The newest page of GET /videos, kept in Redis: the same answers, and no page from before a caller's own write."""

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import sqlalchemy as sa
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.factories.labelled_videos import csv_file, ndjson_file
from tests.factories.labelled_videos import video as labelled
from tests.factories.videos import add_rows, harvested, new_video
from tests.fixtures.api import Api
from tests.fixtures.databases import create_database, drop_database
from tests.fixtures.harvesting import NOON, Harvesting
from tests.fixtures.problems import problem
from tests.fixtures.server import CREDENTIALS, Server, free_port, run_command, wait_for

from shelflist.shared.clients import ensure_client
from shelflist.shared.clock import now
from shelflist.shared.database import create_engine
from shelflist.shared.jobs import JobContext
from shelflist.shared.settings import Settings
from shelflist.videos import newest
from shelflist.videos.harvest import retention

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PASSWORD = "hunter2-of-redis"


class RedisServer:
    """A redis-server of these tests that can be killed, stopped in its tracks, and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.client = redis.Redis("127.0.0.1", self.port)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers, "redis-server answers")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def pages(self) -> list[bytes]:
        """Return the keys of the pages that are kept."""
        return sorted(self.client.keys("*:newest:*"))

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False


@pytest.fixture(scope="module")
def redis_process() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server on this machine")
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(redis_process: RedisServer) -> Iterator[RedisServer]:
    """A Redis that is empty, and whose processes have not spoken to it yet."""
    if redis_process.process is None:
        redis_process.start()
    redis_process.client.flushall()
    newest._MADE.clear()
    yield redis_process
    if redis_process.process is not None:
        redis_process.thaw()


@pytest.fixture(scope="module")
def module_url(server_url: str, template: str, worker_name: str) -> Iterator[str]:
    name = f"newest_{worker_name}"
    create_database(server_url, name, template)
    yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    drop_database(server_url, name)


def with_redis(settings: Settings, url: str, **changed: Any) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(url), **changed})


@pytest.fixture(scope="module")
def applications(redis_process: RedisServer, module_url: str, api_settings: Settings) -> Iterator[tuple[Api, Api, Api]]:
    """Three over one database: two that share a Redis as two processes would, knowing nothing of each other, and one
    without.
    """
    elsewhere = redis_process.url.replace("127.0.0.1", "localhost")
    with (
        Api(with_redis(api_settings, redis_process.url), module_url) as one,
        Api(with_redis(api_settings, elsewhere), module_url) as other,
        Api(api_settings, module_url) as plain,
    ):
        yield one, other, plain


@pytest.fixture
def pair(applications: tuple[Api, Api, Api], redis_server: RedisServer) -> Iterator[tuple[Api, Api]]:
    yield applications[:2]
    applications[0].empty()


@pytest.fixture
def plain(applications: tuple[Api, Api, Api]) -> Api:
    return applications[2]


class Statements:
    """Counts the statements that applications of this process send while the block runs."""

    def __enter__(self) -> "Statements":
        self.sent: list[str] = []
        sa.event.listen(sa.Engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sa.event.remove(sa.Engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.sent.append(statement)


def shown(api: Api | Server) -> dict[str, Any]:
    """Return the newest page as content_id -> video."""
    answer = api.get("/videos", params={"page_size": 20})
    assert answer.status_code == 200, answer.text
    return {video["content_id"]: video for video in answer.json()["videos"]}


def warm(*apis: Api) -> None:
    """See that the page is found by all of them without the database."""
    for api in apis:
        shown(api)
    with Statements() as statements:
        for api in apis:
            shown(api)
    assert statements.sent == []


def comparable(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    own = answer.headers["x-request-id"]
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, headers, answer.content.replace(own.encode(), b"")


JSON, CSV, NDJSON = "application/json", "text/csv", "application/x-ndjson"
ASKED: list[tuple[dict[str, Any], str]] = [
    ({}, "*/*"),
    ({"page_size": 5}, JSON),
    ({"page_size": 5, "sort": "published_at", "desc": "true"}, JSON),
    ({"page_size": 30}, JSON),
    ({"page_size": 100}, f"{CSV};q=0.5, {JSON}"),
    ({"page_size": 5, "desc": "false"}, JSON),
    ({"page_size": 5, "sort": "title"}, JSON),
    ({"page_size": 5, "source": "youtube"}, JSON),
    ({"q": "video"}, JSON),
    ({}, CSV),
    ({"page_size": 5}, NDJSON),
    ({"page_size": 1000}, JSON),
    ({"cursor": "made-up"}, JSON),
]


@pytest.mark.parametrize(("parameters", "accept"), ASKED, ids=str)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers_are_the_same_with_and_without_redis(
    pair: tuple[Api, Api], plain: Api, parameters: dict[str, Any], accept: str, method: str
) -> None:
    rows = [harvested(f"v{n}", published_at=START + timedelta(hours=n), title='=ü 標題 \\ "q" \n') for n in range(27)]
    add_rows(plain.engine, [*rows, *(harvested(f"undated{n}") for n in range(3))])
    asked = {"params": parameters, "headers": {"Accept": accept}}
    expected = comparable(plain.request(method, "/videos", **asked))
    answers = [api.request(method, "/videos", **asked) for api in (*pair, *pair)]
    assert [comparable(answer) for answer in answers] == [expected] * 4
    etag = expected[1].get("etag")
    if etag is not None:
        conditional = {"params": parameters, "headers": {"Accept": accept, "If-None-Match": etag}}
        not_modified = comparable(plain.request(method, "/videos", **conditional))
        assert not_modified[0] == 304
        assert comparable(pair[0].request(method, "/videos", **conditional)) == not_modified


def test_an_empty_catalogue_is_answered_the_same(pair: tuple[Api, Api], plain: Api) -> None:
    assert [comparable(api.get("/videos")) for api in (*pair, *pair)] == [comparable(plain.get("/videos"))] * 4


def test_a_cursor_of_a_kept_page_leads_on(pair: tuple[Api, Api], plain: Api) -> None:
    add_rows(plain.engine, [harvested(f"v{n}", published_at=START + timedelta(hours=n)) for n in range(12)])
    warm(*pair)
    shown_before = plain.get("/videos", params={"page_size": 5})
    for api in (*pair, *pair):
        first = api.get("/videos", params={"page_size": 5})
        assert first.links["next"]["url"] == shown_before.links["next"]["url"]
        following = api.get(first.links["next"]["url"]).json()["videos"]
        assert [video["content_id"] for video in following] == ["v6", "v5", "v4", "v3", "v2"]


def test_a_kept_page_is_answered_without_the_database(pair: tuple[Api, Api], redis_server: RedisServer) -> None:
    one, other = pair
    add_rows(one.engine, [harvested("v1")])
    warm(one)
    with one.engine.begin() as connection:
        connection.execute(sa.text("LOCK videos IN ACCESS EXCLUSIVE MODE"))
        # The other's first look takes from the database which keys are this installation's, and no more.
        assert list(shown(one)) == list(shown(other)) == ["v1"]
    with Statements() as statements:
        assert list(shown(one)) == list(shown(other)) == ["v1"]
    assert statements.sent == []


def test_only_first_pages_in_the_default_order_are_kept(pair: tuple[Api, Api], redis_server: RedisServer) -> None:
    one = pair[0]
    add_rows(one.engine, [harvested(f"v{n}") for n in range(30)])
    cursor = one.get("/videos", params={"page_size": 5}).json()["next_cursor"]
    others: list[dict[str, Any]] = [
        {"sort": "created_at"},
        {"desc": "false"},
        {"q": "video"},
        {"labelled": "false"},
        {"cursor": cursor},
        {"page_size": 0},
    ]
    for parameters in others:
        one.get("/videos", params=parameters)
    one.get("/videos", headers={"Accept": CSV})
    assert [key.rpartition(b":")[2] for key in redis_server.pages()] == [b"5"]
    shown(one)
    assert [key.rpartition(b":")[2] for key in redis_server.pages()] == [b"20", b"5"]


def post(api: Api) -> None:
    assert api.post("/videos", json=new_video("v2"), headers=CREDENTIALS).status_code == 201


def patch(api: Api) -> None:
    assert api.patch("/videos/v1", json={"title": "New"}, headers=CREDENTIALS).status_code == 200


def delete(api: Api) -> None:
    assert api.delete("/videos/v1", headers=CREDENTIALS).status_code == 204


def upload_csv(api: Api) -> None:
    file = {"file": csv_file(labelled(2), labelled(3))}
    assert api.post("/videos/batch/csv", files=file, headers=CREDENTIALS).json()["created"] == 2


def upload_ndjson(api: Api) -> None:
    row = {**labelled(1), "feature_vector": new_video()["feature_vector"]}
    file, update = {"file": ndjson_file(row)}, {"on_conflict": "update"}
    answer = api.post("/videos/batch/ndjson", files=file, params=update, headers=CREDENTIALS)
    assert answer.json()["updated"] == 1, answer.text


def known(api: Api) -> None:
    with api.engine.begin() as connection:
        ensure_client(connection, CREDENTIALS["client-id"], CREDENTIALS["client-secret"])


@pytest.mark.parametrize("write", [post, patch, delete, upload_csv, upload_ndjson], ids=lambda write: write.__name__)
def test_a_write_through_one_process_is_seen_through_another(
    pair: tuple[Api, Api], plain: Api, write: Callable[[Api], None]
) -> None:
    one, other = pair
    known(one)
    add_rows(one.engine, [harvested("v1", tvshow="Before")])
    warm(one, other)
    before = shown(other)
    write(one)
    assert shown(other) == shown(plain) != before
    assert shown(one) == shown(plain)
    warm(one, other)


def test_an_import_by_command_is_seen(
    pair: tuple[Api, Api], module_url: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    warm(*pair)
    file = tmp_path / "videos.csv"
    file.write_bytes(csv_file(labelled(7)))
    done = run_command("videos", "import", str(file), DATABASE_URL=module_url, REDIS_URL=redis_server.url)
    assert done.returncode == 0, done.stderr
    assert [list(shown(api)) for api in pair] == [["v7"], ["v7"]]


def test_what_a_poll_stores_is_seen_and_what_it_finds_again_disturbs_nothing(
    pair: tuple[Api, Api], redis_server: RedisServer
) -> None:
    one, other = pair
    warm(one, other)
    with Harvesting(one) as harvest:
        harvest.options = {"redis_url": redis_server.url}
        found = harvest.publish(NOON - timedelta(minutes=1))
        assert harvest.poll() == 1
        assert list(shown(one)) == list(shown(other)) == found
        warm(one, other)
        harvest.again()
        assert harvest.runs[-1].duplicates == 1
        with Statements() as statements:
            shown(other)
        assert statements.sent == []


@pytest.mark.parametrize("way", ["refresh", "delete"])
def test_what_the_retention_removes_is_gone(pair: tuple[Api, Api], redis_server: RedisServer, way: str) -> None:
    one, other = pair
    with Harvesting(one) as harvest:
        harvest.options = {"redis_url": redis_server.url, "harvest_retention": way}
        found = harvest.publish(NOON - timedelta(minutes=1))
        harvest.poll()
        harvest.fake.remove(found[0])
        harvest.forward(days=31)
        warm(one, other)
        context = JobContext(one.engine, harvest.settings, "0198f000-0000-7000-8000-000000000001", now())
        context.progress = lambda share: None  # type: ignore[method-assign] # there is no row of a job
        assert retention.run(context, {})["deleted"] == 1
        assert shown(one) == shown(other) == {}


def test_a_page_that_was_read_before_a_write_is_not_found_after_it(pair: tuple[Api, Api], plain: Api) -> None:
    one, other = pair
    known(one)

    def read() -> newest.Page:
        # While this reader has its old rows in hand, another process writes.
        post(other)
        return newest.Page(b"[]", None)

    assert newest.newest_page(one.engine, one.settings, 20, read).rows == b"[]"
    assert shown(one) == shown(other) == shown(plain)
    assert list(shown(one)) == ["v2"]


def test_a_page_ends_by_the_time_its_reader_began(pair: tuple[Api, Api], redis_server: RedisServer) -> None:
    one = pair[0]

    def read() -> newest.Page:
        time.sleep(1)
        return newest.Page(b"[]", None)

    newest.newest_page(one.engine, one.settings, 20, read)
    [key] = redis_server.pages()
    assert 0 < int(redis_server.client.pttl(key)) <= (newest.LIFE_SECONDS - 1) * 1000


def test_a_page_that_was_read_too_long_ago_is_not_kept(
    pair: tuple[Api, Api], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "LIFE_SECONDS", 0)
    for _ in range(3):
        shown(pair[0])
    assert redis_server.pages() == []


def test_a_redis_that_forgets_its_token_finds_nothing_of_before(
    pair: tuple[Api, Api], redis_server: RedisServer
) -> None:
    one, other = pair
    warm(one, other)
    [token] = [key for key in redis_server.client.keys("*") if b"newest" not in key]
    redis_server.client.delete(token)
    add_rows(one.engine, [harvested("v1")])
    assert list(shown(one)) == list(shown(other)) == ["v1"]


def test_installations_that_share_a_redis_see_nothing_of_each_other(
    pair: tuple[Api, Api], database_url: str, redis_server: RedisServer
) -> None:
    warm(*pair)
    neighbour = create_engine(database_url, "tests")
    own = newest.Page(b'[{"content_id": "own"}]', None)
    for _ in range(2):
        assert newest.newest_page(neighbour, pair[0].settings, 20, lambda: own) == own
    neighbour.dispose()
    assert [shown(api) for api in pair] == [{}, {}]
    assert len(redis_server.pages()) == 2


def test_a_process_that_could_not_tell_of_its_write_finds_nothing_until_it_has(
    pair: tuple[Api, Api], redis_server: RedisServer
) -> None:
    one, other = pair
    known(one)
    warm(one, other)
    redis_server.freeze()
    shown(one)
    redis_server.thaw()
    # Now it leaves Redis alone, so that nothing tells the other process, for as long as a page lives.
    post(one)
    assert list(shown(one)) == ["v2"]
    assert shown(other) == {}
    time.sleep(newest.PAUSE_SECONDS)
    assert list(shown(one)) == ["v2"]
    assert list(shown(other)) == ["v2"]


def test_without_credentials_a_kept_page_is_refused_where_reads_are_not_public(
    pair: tuple[Api, Api], module_url: str
) -> None:
    warm(*pair)
    known(pair[0])
    with Api(pair[0].settings.model_copy(update={"public_reads": False}), module_url) as closed:
        assert closed.get("/videos", headers=CREDENTIALS).status_code == 200
        problem(closed.get("/videos"), 401)


def test_a_redis_that_is_killed_costs_nothing_but_its_pages_and_is_used_again(
    pair: tuple[Api, Api], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "PAUSE_SECONDS", 0.2)
    one, other = pair
    known(one)
    warm(one, other)
    with capture_logs() as lines:
        redis_server.kill()
        for number in range(10):
            assert one.post("/videos", json=new_video(f"v{number}"), headers=CREDENTIALS).status_code == 201
            assert len(shown(one)) == len(shown(other)) == number + 1
            time.sleep(0.05)
        assert [line["log_level"] for line in lines if "newest page" in line["event"]] == ["warning", "warning"]
        redis_server.start()
        time.sleep(newest.PAUSE_SECONDS)
        warm(one, other)
    told = [line for line in lines if "newest page" in line["event"]]
    assert [line["log_level"] for line in told] == ["warning", "warning", "info", "info"]
    delete_one = one.delete("/videos/v3", headers=CREDENTIALS)
    assert delete_one.status_code == 204
    assert "v3" not in shown(other)


def test_a_redis_that_is_full_is_told_once_and_does_no_harm(
    pair: tuple[Api, Api], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "PAUSE_SECONDS", 0.01)
    one, other = pair
    known(one)
    redis_server.client.config_set("maxmemory", 1)
    try:
        with capture_logs() as lines:
            for number in range(5):
                assert one.post("/videos", json=new_video(f"v{number}"), headers=CREDENTIALS).status_code == 201
                time.sleep(0.02)
                assert len(shown(one)) == len(shown(other)) == number + 1
        told = [line["error"] for line in lines if "newest page" in line["event"]]
        assert told == ["OutOfMemoryError", "OutOfMemoryError"]
    finally:
        redis_server.client.config_set("maxmemory", 0)


class Peer:
    """Something that listens where a Redis should: says nothing, or something else."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.connections: list[socket.socket] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            if self.says:
                connection.sendall(self.says)

    def close(self) -> None:
        self.listening.close()
        for connection in self.connections:
            connection.close()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*2\r\n$3\r\nabc\r\n:1\r\n+OK\r\n"])
def test_what_is_no_redis_is_asked_seldom_and_its_password_is_told_nowhere(
    module_url: str, pair: tuple[Api, Api], tmp_path: Path, says: bytes
) -> None:
    peer = Peer(says)
    url = f"redis://someone:{PASSWORD}@127.0.0.1:{peer.port}/0"
    started = time.monotonic()
    with Server(module_url, tmp_path / "log", REDIS_URL=url, LOG_LEVEL="DEBUG") as server:
        for number in range(20):
            answer = server.http.post("/videos", json=new_video(f"v{number}"), headers=CREDENTIALS)
            assert answer.status_code == 201
            assert len(server.get("/videos?page_size=100").json()["videos"]) == number + 1
        server.stop()
        assert PASSWORD not in server.text()
        told = [line["level"] for line in server.log() if "newest page" in line["event"]]
    peer.close()
    assert told == ["warning"]
    # Each try costs a tenth of a second at most; a try is up to two connections.
    assert len(peer.connections) <= 2 + 2 * (time.monotonic() - started) / newest.PAUSE_SECONDS


def test_a_wrong_password_of_redis_is_told_without_it(
    module_url: str, pair: tuple[Api, Api], redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.kill()
    redis_server.start("--requirepass", "another")
    url = redis_server.url.replace("redis://", f"redis://:{PASSWORD}@")
    try:
        with Server(module_url, tmp_path / "log", REDIS_URL=url, LOG_LEVEL="DEBUG") as server:
            assert [shown(server) for _ in range(3)] == [{}, {}, {}]
            server.stop()
            told = [line["error"] for line in server.log() if "newest page" in line["event"]]
            assert told == ["AuthenticationError"]
            assert PASSWORD not in server.text()
    finally:
        redis_server.kill()


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{PASSWORD}@localhost:6379/0",
        f"user:{PASSWORD}@localhost:6379",
        f"redis://user:{PASSWORD}/x@localhost:6379/0",
        f"redis://user:{PASSWORD}#x@localhost:6379/0",
        f"redis://:{PASSWORD}@localhost:70000/0",
        f"redis://:{PASSWORD}@localhost:6379/zero",
        f"redis://:{PASSWORD}@",
        "unix://",
    ],
)
def test_a_wrong_address_of_redis_stops_the_start_with_one_line(url: str) -> None:
    done = run_command("serve", REDIS_URL=url, DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("shelflist: REDIS_URL: must be redis://")
    assert PASSWORD not in line


def test_whoever_writes_sees_it_through_every_process_while_many_read(
    module_url: str, pair: tuple[Api, Api], redis_server: RedisServer, tmp_path: Path
) -> None:
    common = {"REDIS_URL": redis_server.url, "LOG_LEVEL": "WARNING"}
    with (
        Server(module_url, tmp_path / "one", **common) as one,
        Server(module_url, tmp_path / "other", **common) as other,
    ):
        is_over = threading.Event()
        failures: list[str] = []

        def hammer(server: Server) -> None:
            with httpx.Client(base_url=server.http.base_url, trust_env=False) as http:
                while not is_over.is_set():
                    answer = http.get("/videos?page_size=20")
                    if answer.status_code != 200:
                        failures.append(answer.text)

        readers = [threading.Thread(target=hammer, args=(server,)) for server in (one, other) * 2]
        for reader in readers:
            reader.start()
        try:
            for number in range(40):
                writer, witness = (one, other) if number % 2 else (other, one)
                name = f"v{number}"
                created = writer.http.post(
                    "/videos", json=new_video(name, published_at=f"2026-11-21T10:{number:02}:00Z"), headers=CREDENTIALS
                )
                assert created.status_code == 201, created.text
                assert next(iter(shown(witness))) == name
                writer.http.patch(f"/videos/{name}", json={"title": f"Title {number}"}, headers=CREDENTIALS)
                assert shown(witness)[name]["title"] == f"Title {number}"
                if number % 5 == 0:
                    assert writer.http.delete(f"/videos/{name}", headers=CREDENTIALS).status_code == 204
                    assert name not in shown(witness)
        finally:
            is_over.set()
            for reader in readers:
                reader.join()
        assert failures == []
        assert redis_server.pages() != []
        assert "newest page" not in one.text() + other.text()
