"""POST /images with an address: fetched from the public Internet alone, within limits, and told in no inner words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.pictures import jpeg, png
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.scripted_server import ScriptedServer, scripted_server

from shelflist.images import handlers, receiving
from shelflist.images.tables import image_contents


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        running.answers(jpeg(), headers={"Content-Type": "text/plain"})
        yield running


@pytest.fixture
def reaching(running_api: Api, api: Api) -> Iterator[Api]:
    """The application where the operator lets it fetch from 127.0.0.1, and images have 20 kB at most."""
    settings = running_api.settings.model_copy(
        update={"image_url_networks": ("127.0.0.1/32",), "max_image_bytes": 20_000}
    )
    with Api(settings, api.url) as started:
        yield started


@pytest.fixture
def anna(api: Api) -> Headers:
    return api.person("anna")


def ask(api: Api, person: Headers, url: str) -> Any:
    return api.post("/images", headers=person, json={"image_url": url})


def contents(api: Api) -> int:
    with api.engine.begin() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(image_contents)) or 0)


def files_at_work(api: Api) -> list[Path]:
    return list((api.settings.state_directory / "uploads").rglob("*"))


def test_a_picture_is_fetched_and_kept(reaching: Api, server: ScriptedServer, anna: Headers) -> None:
    answer = ask(reaching, anna, f"{server.url}/../../etc/passwd%00.html?size=large#top")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["format"], answer.json()["width"]) == ("jpeg", 64)
    assert len(server.asked) == 1
    assert not {"authorization", "cookie", "referer"} & {name.lower() for name in server.asked[0].headers}
    assert files_at_work(reaching) == []


def test_the_file_and_the_address_of_one_picture_are_one_image(
    reaching: Api, server: ScriptedServer, anna: Headers
) -> None:
    sent = reaching.post("/images", headers=anna, files={"file": ("a", jpeg())})
    fetched = ask(reaching, anna, server.url)
    assert (sent.status_code, fetched.status_code) == (201, 200)
    assert fetched.json() == sent.json()


def test_a_repeated_key_is_answered_without_fetching_again(
    reaching: Api, server: ScriptedServer, anna: Headers
) -> None:
    headers = {**anna, "Idempotency-Key": "one"}
    first = ask(reaching, headers, server.url)
    server.answers(b"gone", status=404)
    again = ask(reaching, headers, server.url)
    assert (again.status_code, again.json()) == (201, first.json())
    problem(ask(reaching, headers, f"{server.url}/other"), 422, "idempotency-key-reused")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00::1]/",
        "http://user:password@127.0.0.1:{port}/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:{port}/",
        "data:image/png;base64,AAAA",
    ],
)
def test_an_address_that_is_not_public_is_refused(url: str, api: Api, server: ScriptedServer, anna: Headers) -> None:
    body = problem(ask(api, anna, url.format(port=server.port)), 422)
    assert body["type"] in ("/problems/image-url-refused", "/problems/image-url-failed")
    assert "127.0" not in body["detail"]
    assert server.asked == []


def test_a_redirect_to_our_own_network_is_refused_without_a_word_about_it(
    reaching: Api, server: ScriptedServer, anna: Headers
) -> None:
    with scripted_server(host="127.0.0.2") as inner:
        server.answers(b"", status=302, headers={"Location": f"{inner.url}/secret"})
        body = problem(ask(reaching, anna, server.url), 422, "image-url-refused")
        assert inner.asked == []
    assert "127.0.0.2" not in str(body)


@pytest.mark.parametrize(
    "url", ["nonsense", "http://", "http:///a.jpg", "http://[::1", "http://a b/", "\u202ehttp://x/"]
)
def test_what_is_no_address_is_told_so(url: str, api: Api, anna: Headers) -> None:
    problem(ask(api, anna, url), 422)


@pytest.mark.parametrize("status", [204, 301, 403, 404, 500, 503])
def test_an_address_without_a_picture_is_told_so(
    status: int, reaching: Api, server: ScriptedServer, anna: Headers
) -> None:
    server.answers(b"", status=status)
    problem(ask(reaching, anna, server.url), 422, "image-url-failed")


def test_a_host_that_is_not_there_is_told_so(reaching: Api, anna: Headers) -> None:
    with scripted_server() as gone:
        url = gone.url
    body = problem(ask(reaching, anna, url), 422, "image-url-failed")
    assert body["detail"] == "nothing could be fetched from image_url: no connection could be made"


def test_a_server_that_drips_ends_in_time(
    reaching: Api, server: ScriptedServer, anna: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_TOTAL_SECONDS", 0.5)
    server.sends(b"HTTP/1.1 200 OK\r\n\r\n", every=0.05, forever=b"x")
    body = problem(ask(reaching, anna, server.url), 422, "image-url-failed")
    assert body["detail"].endswith("it did not answer in time")


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_over_the_limit_is_a_413(announced: bool, reaching: Api, server: ScriptedServer, anna: Headers) -> None:
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 20001\r\n\r\n" if announced else b"\r\n")
    server.sends(head, forever=b"x" * 10_000)
    problem(ask(reaching, anna, server.url), 413, "payload-too-large")


def test_what_is_fetched_is_checked_like_any_upload(reaching: Api, server: ScriptedServer, anna: Headers) -> None:
    server.answers(b"<html>not a picture</html>", headers={"Content-Type": "image/jpeg"})
    problem(ask(reaching, anna, server.url), 415, "unsupported-image")
    server.answers(png()[:100])
    problem(ask(reaching, anna, server.url), 422, "broken-image")
    assert contents(reaching) == 0


def test_two_are_fetched_at_once_and_the_third_is_told_to_come_back(
    reaching: Api, server: ScriptedServer, anna: Headers
) -> None:
    assert receiving._FETCHES.acquire(blocking=False)
    assert receiving._FETCHES.acquire(blocking=False)
    try:
        problem(ask(reaching, anna, server.url), 503)
    finally:
        receiving._FETCHES.release(2)
    assert ask(reaching, anna, server.url).status_code == 201


def test_no_connection_to_the_database_is_held_while_fetching(
    reaching: Api, server: ScriptedServer, anna: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    fetch = handlers.fetch_picture

    def watched(url: str, settings: Any) -> Any:
        held.append(handlers.db.engine.pool.checkedout())  # type: ignore[attr-defined]
        return fetch(url, settings)

    monkeypatch.setattr(handlers, "fetch_picture", watched)
    assert ask(reaching, {**anna, "Idempotency-Key": "one"}, server.url).status_code == 201
    assert held == [0]
