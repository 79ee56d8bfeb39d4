"""Blobs in S3: what every store promises, against a real server over a socket, and what goes wrong in a network."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from tests.fixtures.store_contract import StoreContract, held, key_of, put

from shelflist.images.problems import InsufficientStorage
from shelflist.images.store import BlobMissing, Store, open_store
from shelflist.shared.problems import ServiceUnavailable
from shelflist.shared.settings import load_settings

KEY_ID, SECRET = "AKIAEXAMPLEKEYID", "a-secret-that-nobody-may-see"


def store_at(url: str, name: str = "s3://pictures/of%20us/all", **changed: Any) -> Store:
    """Return the store that such settings name."""
    keys = {"s3_access_key_id": KEY_ID, "s3_secret_access_key": SECRET, **changed}
    return open_store(load_settings(_env_file=None, image_store=name, s3_endpoint_url=url, **keys))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3-compatible server."""
    # It tells every request in the log of its web server.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(server: str) -> Iterator[Any]:
    """A client of its maker, who looks at what is stored; its bucket is empty before and gone afterwards."""
    client = boto3.client(
        "s3",
        endpoint_url=server,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="pictures")
    yield client
    httpx.post(f"{server}/moto-api/reset").raise_for_status()


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, server: str, s3: Any) -> Store:
        """A store in an empty bucket."""
        return store_at(server)

    def test_an_object_lies_below_the_prefix_and_has_its_media_type(
        self, store: Store, s3: Any, tmp_path: Path
    ) -> None:
        key = put(store, tmp_path, b"content", "image/jpeg")
        [item] = s3.list_objects_v2(Bucket="pictures")["Contents"]
        assert item["Key"] == f"of us/all/{key[:2]}/{key[2:4]}/{key}"
        assert s3.head_object(Bucket="pictures", Key=item["Key"])["ContentType"] == "image/jpeg"

    def test_objects_of_others_are_passed_over(self, store: Store, s3: Any, tmp_path: Path) -> None:
        key = put(store, tmp_path, b"ours")
        for name in ("elsewhere", f"of us/all/{key}", "of us/all/README", f"of us/all/00/00/{key}"):
            s3.put_object(Bucket="pictures", Key=name, Body=b"not ours")
        assert list(held(store)) == [key]

    def test_more_objects_than_one_answer_lists(self, store: Store, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
        keys = {key_of(str(number).encode()) for number in range(25)}
        for key in keys:
            s3.put_object(Bucket="pictures", Key=f"of us/all/{key[:2]}/{key[2:4]}/{key}", Body=b"x")
        assert s3.list_objects_v2(Bucket="pictures")["IsTruncated"]
        assert set(held(store)) == keys

    def test_a_store_at_the_top_of_the_bucket(self, server: str, s3: Any, tmp_path: Path) -> None:
        store = store_at(server, "s3://pictures")
        key = put(store, tmp_path, b"content")
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="pictures")["Contents"]] == [
            f"{key[:2]}/{key[2:4]}/{key}"
        ]

    def test_a_bucket_that_is_not_there_is_a_503_and_no_missing_blob(
        self, server: str, s3: Any, tmp_path: Path
    ) -> None:
        store = store_at(server, "s3://nowhere")
        with pytest.raises(ServiceUnavailable) as caught:
            put(store, tmp_path, b"content")
        assert not isinstance(caught.value, BlobMissing)
        with pytest.raises(ServiceUnavailable) as caught:
            store.read(key_of(b"content"))
        assert not isinstance(caught.value, BlobMissing)


class Failing(BaseHTTPRequestHandler):
    """Answers everything alike, and keeps what it was sent."""

    answer: tuple[int, bytes] = (500, b"")
    headers_seen: list[dict[str, str]] = []  # noqa: RUF012 - each test has a class of its own

    def respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
        status, body = self.answer
        self.send_response(404 if self.command == "HEAD" else status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = respond  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def failing() -> Iterator[tuple[type[Failing], str]]:
    """A server that fails as the test says, and its address."""
    handler = type("Handler", (Failing,), {"headers_seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def error(code: str) -> bytes:
    """Return S3's error document, which names who asked."""
    return f"<Error><Code>{code}</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>".encode()


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Returns all that was printed and logged: where a line goes depends on who has configured the logs before."""

    def tell() -> str:
        printed = capfd.readouterr()
        return f"{printed.out} {printed.err} {caplog.text}"

    return tell


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((507, error("XMinioStorageFull")), InsufficientStorage),
        ((507, b""), InsufficientStorage),
        ((403, error("QuotaExceeded")), InsufficientStorage),
        ((400, error("XMinioAdminBucketQuotaExceeded")), InsufficientStorage),
        ((403, error("SignatureDoesNotMatch")), ServiceUnavailable),
        ((401, b""), ServiceUnavailable),
        ((400, error("InvalidArgument")), ServiceUnavailable),
        ((500, error("InternalError")), ServiceUnavailable),
        ((503, error("SlowDown")), ServiceUnavailable),
        ((301, b""), ServiceUnavailable),
    ],
)
def test_what_the_server_says_becomes_a_problem_without_its_words(
    failing: tuple[type[Failing], str],
    tmp_path: Path,
    told: Callable[[], str],
    answer: tuple[int, bytes],
    problem: type[Exception],
) -> None:
    handler, url = failing
    handler.answer = answer
    store = store_at(url)
    with pytest.raises(problem) as caught:
        put(store, tmp_path, b"content")
    assert caught.value.__suppress_context__
    everything = f"{caught.value} {caught.value!r} {told()} {store!r} {vars(store)}"
    assert "image store failed" in everything
    assert KEY_ID not in everything
    assert SECRET not in everything


def test_a_failure_is_tried_again_before_it_is_told(failing: tuple[type[Failing], str], tmp_path: Path) -> None:
    handler, url = failing
    handler.answer = (503, error("SlowDown"))
    with pytest.raises(ServiceUnavailable):
        store_at(url).read(key_of(b"content"))
    assert len(handler.headers_seen) == 3


def test_nothing_listens_there(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        store = store_at(url)
        for ask in (
            lambda: put(store, tmp_path, b"content"),
            lambda: store.read(key_of(b"content")),
            lambda: store.size(key_of(b"content")),
            lambda: store.delete(key_of(b"content")),
            lambda: list(store.keys()),
        ):
            with pytest.raises(ServiceUnavailable) as caught:
                ask()
            assert caught.value.headers["Retry-After"] == "30"


def test_the_keys_are_those_of_the_settings_whatever_the_environment_says(
    failing: tuple[type[Failing], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, url = failing
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "another"),
        ("AWS_SECRET_ACCESS_KEY", "another"),
        ("AWS_SESSION_TOKEN", "another"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"),
        ("AWS_REGION", "moon-north-1"),
    ):
        monkeypatch.setenv(name, value)
    assert store_at(url, "s3://environment").size(key_of(b"content")) is None
    [headers] = handler.headers_seen
    assert f"Credential={KEY_ID}/" in headers["authorization"]
    assert "/us-east-1/s3/" in headers["authorization"]
    assert "x-amz-security-token" not in headers


def test_one_store_serves_all_who_have_the_same_settings() -> None:
    assert store_at("http://127.0.0.1:1") is store_at("http://127.0.0.1:1")
    assert store_at("http://127.0.0.1:1") is not store_at("http://127.0.0.1:2")
