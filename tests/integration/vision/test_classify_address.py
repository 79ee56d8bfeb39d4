"""POST /classify with an address: fetched from public servers and allowed networks, bounded like a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.factories import pictures
from tests.fixtures.problems import problem
from tests.fixtures.scripted_server import ScriptedServer, scripted_server
from tests.fixtures.vision import VisionServer, seeing


@pytest.fixture
def pages() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


def test_an_image_is_fetched_and_classified(vision: VisionServer, pages: ScriptedServer, coffee: bytes) -> None:
    pages.answers(coffee)
    answer = vision.classify_address(f"{pages.url}/coffee.png", top_k=2)
    assert answer.status_code == 200, answer.text
    assert [result["class_name"] for result in answer.json()["results"]] == ["espresso", "cup"]
    assert [asked.path for asked in pages.asked] == ["/coffee.png"]


def test_private_addresses_are_refused_and_never_asked(
    vision_directory: Path, pages: ScriptedServer, coffee: bytes
) -> None:
    pages.answers(coffee)
    with seeing(vision_directory) as server:
        for url in (
            pages.url,
            f"http://localhost:{pages.port}/",
            f"http://[::1]:{pages.port}/",
            "http://169.254.169.254/",
        ):
            found = problem(server.classify_address(url), 422, "unprocessable")
            assert "not public" in found["detail"]
    assert pages.asked == []


def test_what_is_behind_the_address_must_be_an_image(vision: VisionServer, pages: ScriptedServer) -> None:
    pages.answers(pictures.HTML)
    problem(vision.classify_address(f"{pages.url}/page.jpg"), 415, "unsupported-media-type")


def test_another_status_is_told_without_the_servers_words(vision: VisionServer, pages: ScriptedServer) -> None:
    pages.answers("a secret of that server", status=500)
    found = problem(vision.classify_address(pages.url), 422, "unprocessable")
    assert "another status" in found["detail"]
    assert "secret" not in found["detail"]


def test_an_image_of_too_many_bytes_is_refused(vision_directory: Path, pages: ScriptedServer) -> None:
    pages.answers(pictures.encoded(pictures.noise(100, 100), "PNG"))
    with seeing(vision_directory, IMAGE_URL_NETWORKS="127.0.0.1/32", MAX_IMAGE_BYTES="20000") as server:
        problem(server.classify_address(pages.url), 413, "payload-too-large")


def test_a_server_that_is_not_there_is_told(vision: VisionServer) -> None:
    problem(vision.classify_address("http://127.0.0.1:1/"), 422, "unprocessable")


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, [("image_url", "missing")]),
        ({"image_url": 5}, [("image_url", "wrong-type")]),
        ({"image_url": "ftp://images.example/a.png"}, [("image_url", "wrong-form")]),
        ({"image_url": "file:///etc/passwd"}, [("image_url", "wrong-form")]),
        ({"image_url": "http://a/\u0000"}, [("image_url", "wrong-form")]),
        ({"image_url": "http://" + "a" * 3000}, [("image_url", "out-of-bounds")]),
        ({"image_url": "http://a/", "top_k": 0}, [("top_k", "out-of-bounds")]),
        ({"image_url": "http://a/", "top_k": True}, [("top_k", "wrong-type")]),
        ({"image_url": "http://a/", "labels": 5}, [("labels", "unknown")]),
        ([], [("body", "wrong-type")]),
    ],
    ids=str,
)
def test_wrong_fields_are_named(body: Any, errors: list[tuple[str, str]], vision: VisionServer) -> None:
    found = problem(vision.http.post("/classify", json=body), 400, "invalid-request")
    assert [(error["name"], error["code"]) for error in found["errors"]] == errors


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"image_url": "\xff"}',
        b'{"image_url": "http://a/", "top_k": NaN}',
        b'{"image_url": "http://a/", "top_k": 1e999}',
        b'{"image_url": "http://a/", "image_url": "http://b/"}',
        b'{"image_url": "http://a/", "top_k": ' + b"1" * 5000 + b"}",
        b"[" * 16_000,
        b'{"image_url": "\\ud800"}',
    ],
    ids=lambda body: body[:30],
)
def test_what_is_no_json_is_told(body: bytes, vision: VisionServer) -> None:
    answer = vision.http.post("/classify", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "invalid-request")
