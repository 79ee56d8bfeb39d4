"""Every method on every path: what exists answers, everything else is told what does."""

import re
from collections.abc import Iterator
from functools import cache

import pytest
import sqlalchemy as sa
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.server import Server, read_answer

from shelflist.specification import load_specification, operations

EXAMPLES = {
    "movie_id": "tt0111161",
    "dataset_load_id": "00000000-0000-4000-8000-000000000000",
    "content_id": "v1",
    "job_id": "00000000-0000-4000-8000-000000000000",
    "feed_id": "00000000-0000-4000-8000-000000000000",
    "trackid": "6880",
    "username": "nobody",
    "image_id": "00000000-0000-4000-8000-000000000000",
    "post_id": "00000000-0000-4000-8000-000000000000",
    "link_id": "0" * 22,
    "slug": "not-found",
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CHANGING = ("date", "x-request-id")


@cache
def routes() -> dict[str, set[str]]:
    """Return each path with examples filled in, and the methods that the document gives it."""
    found: dict[str, set[str]] = {}
    for path, method, _ in operations(load_specification()):
        filled = re.sub(r"\{(\w+)\}", lambda name: EXAMPLES[name[1]], path)
        found.setdefault(filled, set()).add(method.upper())
    return found


def allowed(path: str) -> set[str]:
    return routes()[path] | {"OPTIONS"} | ({"HEAD"} if "GET" in routes()[path] else set())


@pytest.fixture
def stocked(api: Api) -> Api:
    add_movies(api.engine, [{"title": f"movie {number}", "imdb_link": None} for number in range(30)])
    add_movies(api.engine, [{"title": "known", "imdb_link": "https://www.imdb.com/title/tt0111161/"}])
    return api


@pytest.mark.parametrize("path", [path for path, methods in routes().items() if "GET" in methods])
def test_head_answers_as_get_does_without_a_body(stocked: Api, path: str) -> None:
    for coding in ("identity", "gzip", "br", "zstd"):
        got = stocked.get(path, headers={"accept-encoding": coding})
        asked = stocked.request("HEAD", path, headers={"accept-encoding": coding})
        assert asked.status_code == got.status_code
        assert asked.content == b""
        compared = [
            {name: value for name, value in answer.headers.items() if name not in CHANGING} for answer in (asked, got)
        ]
        assert compared[0] == compared[1]


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
def test_head_of_an_export_runs_none_and_claims_no_length(stocked: Api, media_type: str) -> None:
    headers = {"accept": media_type, "accept-encoding": "identity"}
    got, asked = stocked.get("/movies", headers=headers), stocked.request("HEAD", "/movies", headers=headers)
    assert asked.content == b""
    assert {name for name in got.headers if name not in asked.headers} <= {"transfer-encoding"}
    assert "content-length" not in asked.headers
    for _ in range(10):
        assert stocked.request("HEAD", "/movies", headers=headers).status_code == 200


def test_head_of_what_is_not_there_is_refused_without_a_body(api: Api) -> None:
    for path, status in (("/movies/tt0000001", 404), ("/nowhere", 404), ("/movies?page_size=0", 400)):
        answer = api.request("HEAD", path)
        assert (answer.status_code, answer.content) == (status, b"")
        assert answer.headers["content-length"] == str(len(api.get(path).content))


@pytest.mark.parametrize("path", routes())
def test_options_names_the_methods_of_each_path(api: Api, path: str) -> None:
    answer = api.request("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["allow"].split(", ")) == allowed(path)


@pytest.mark.parametrize("path", routes())
def test_another_method_is_refused_and_told_which_there_are(stocked: Api, path: str) -> None:
    with stocked.engine.connect() as connection:
        before = connection.scalar(sa.text("SELECT count(*) FROM movies"))
    credentials = stocked.credentials()
    for method in {*METHODS, "TRACE", "BREW", "PROPFIND"} - routes()[path]:
        answer = stocked.request(method, path, headers=credentials)
        problem(answer, 405, "method-not-allowed")
        assert set(answer.headers["allow"].split(", ")) == allowed(path)
    with stocked.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM movies")) == before


@pytest.mark.parametrize("name", ["x-http-method-override", "x-method-override", "x-http-method"])
def test_a_header_does_not_change_the_method(stocked: Api, name: str) -> None:
    answer = stocked.get("/movies/tt0111161", headers={**stocked.credentials(), name: "DELETE"})
    assert answer.status_code == 200
    assert stocked.get("/movies/tt0111161").status_code == 200


@pytest.fixture
def documentation(api: Api) -> Iterator[str]:
    assert api.get("/docs/").status_code == 200
    yield "/docs/"


def test_the_documentation_knows_head_and_options_and_nothing_that_writes(api: Api, documentation: str) -> None:
    assert api.request("HEAD", documentation).content == b""
    assert api.request("OPTIONS", documentation).headers["allow"] == "GET, HEAD, OPTIONS"
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        problem(api.request(method, documentation), 405, "method-not-allowed")


@pytest.mark.parametrize("path", ["/nowhere", "/movies/", "/movies/a/b", "/health/", "/%2e%2e/movies"])
def test_a_path_that_is_not_there_is_404_with_any_method(api: Api, path: str) -> None:
    for method in (*METHODS, "OPTIONS", "TRACE"):
        problem(api.request(method, path), 404, "not-found")


def test_head_sends_not_one_byte_of_a_body_so_that_the_next_answer_is_found(server: Server) -> None:
    with server.connect() as connection:
        for path in ("/ping", "/movies", "/nowhere", "/openapi.json"):
            connection.sendall(server.head(f"HEAD {path}"))
            assert read_answer(connection, has_no_body=True).status in (200, 404)
        connection.sendall(server.head("GET /ping"))
        assert read_answer(connection).json() == {"message": "Pong!"}


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PRI", "BREW", "G\x00T", "get", "G" * 10_000])
def test_methods_that_http_or_we_do_not_have_are_refused_on_the_wire(server: Server, method: str) -> None:
    answer = server.send(server.head(f"{method} /movies", x_secret="must-not-come-back"))
    assert answer.status in (400, 405)
    problem(answer, answer.status)
    assert b"must-not-come-back" not in answer.body
