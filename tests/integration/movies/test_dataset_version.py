"""X-Dataset-Version: which load an answer shows."""

from datetime import timedelta
from typing import Any

import pytest
from tests.factories.loads import START, add_load, movie_id, serve
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.statements import statements

from shelflist.movies import queries
from shelflist.shared.paging import Page

VERSION = "X-Dataset-Version"
PATHS = (
    "/movies",
    "/movies?sort=rating&desc=true",
    "/movies?genre=Drama",
    "/genres",
    f"/movies/{movie_id(1)}",
    "/movies/tt0000001",
    "/movies/changes?since=2000-01-01T00:00:00Z",
)
STREAMED = [path for path in PATHS if path not in ("/genres", PATHS[4], PATHS[5])]


@pytest.fixture
def version(api: Api) -> str:
    """The version that is served: one movie of IMDb's, beside one of a user's in the genre Drama."""
    add_movies(api.engine, [{"title": "mine", "genres": ["Drama"]}])
    with api.engine.begin() as connection:
        serve(connection, START)
        return serve(connection, START + timedelta(days=1), [{"number": 1}])


@pytest.mark.parametrize("path", PATHS)
def test_what_shows_movies_tells_the_version_that_is_served(path: str, version: str, api: Api) -> None:
    answer = api.get(path)
    assert answer.status_code == 200
    assert answer.headers[VERSION] == version
    assert api.request("HEAD", path).headers[VERSION] == version
    same = api.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (same.status_code, same.headers[VERSION]) == (304, version)


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
@pytest.mark.parametrize("path", STREAMED)
def test_a_stream_tells_it_as_well(path: str, media_type: str, version: str, api: Api) -> None:
    for method in ("GET", "HEAD"):
        answer = api.request(method, path, headers={"Accept": media_type})
        assert answer.headers["Content-Type"].startswith(media_type)
        assert answer.headers[VERSION] == version


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
def test_a_stream_tells_the_version_of_its_rows_though_a_load_ends_just_before_them(
    media_type: str, version: str, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = queries.list_movies
    later: list[str] = []

    def read_after_a_load(*arguments: Any, **named: Any) -> Page:
        if not later:
            with api.engine.begin() as connection:
                later.append(serve(connection, START + timedelta(days=2), [{"number": 2, "title": "Just loaded"}]))
        return read(*arguments, **named)

    monkeypatch.setattr(queries, "list_movies", read_after_a_load)
    answer = api.get("/movies", headers={"Accept": media_type})
    assert "Just loaded" in answer.text
    assert [answer.headers[VERSION]] == later != [version]


@pytest.mark.parametrize(
    "path", ["/movies?genre=Western", "/movies?year_gte=9999", "/movies/changes?since=2030-01-01T00:00:00%2B23:00"]
)
def test_an_answer_without_rows_tells_it_as_well(path: str, version: str, api: Api) -> None:
    answer = api.get(path)
    assert answer.headers[VERSION] == version


def test_there_is_none_before_the_first_load(api: Api) -> None:
    assert VERSION not in api.get("/movies").headers
    add_movies(
        api.engine, [{"title": "mine", "genres": ["Drama"], "imdb_link": "https://www.imdb.com/title/tt1234567/"}]
    )
    with api.engine.begin() as connection:
        add_load(connection, outcome="failed")
        add_load(connection, outcome="loaded", dataset="title.ratings", is_current=True, served_at=START)
    for path in ("/movies", "/genres", "/movies/tt1234567", "/movies/changes?since=2000-01-01T00:00:00Z"):
        answer = api.get(path)
        assert answer.status_code == 200
        assert VERSION not in answer.headers


def test_a_load_that_changes_nothing_leaves_the_version(version: str, api: Api) -> None:
    with api.engine.begin() as connection:
        for outcome in ("unchanged", "failed", "interrupted", "running"):
            add_load(connection, outcome=outcome, started_at=START + timedelta(days=2))
    assert api.get("/movies").headers[VERSION] == version


def test_the_same_rows_of_a_newer_version_are_a_304_that_tells_the_newer_one(version: str, api: Api) -> None:
    tag = api.get("/movies").headers["ETag"]
    with api.engine.begin() as connection:
        newer = serve(connection, START + timedelta(days=2))
    same = api.get("/movies", headers={"If-None-Match": tag})
    assert (same.status_code, same.headers[VERSION]) == (304, newer)


@pytest.mark.parametrize(
    "path", ["/movies?page_size=1", "/movies?genre=Drama&page_size=1", "/genres", "/movies/tt0000001"]
)
def test_rows_and_version_are_read_by_one_statement(path: str, version: str, api: Api) -> None:
    with statements() as sent:
        assert api.get(path).headers[VERSION] == version
    [page] = [statement for statement in sent if "dataset_loads" in statement]
    assert "FROM movies" in page or "FROM genres" in page or "FROM movie_genres" in page


def test_changes_and_version_are_read_by_one_statement(version: str, api: Api) -> None:
    with statements() as sent:
        api.get("/movies/changes?since=2000-01-01T00:00:00Z")
    [page] = [statement for statement in sent if "removed_movies" in statement]
    assert "is_current" in page


def test_pages_of_other_sites_may_read_it(version: str, api: Api) -> None:
    settings = api.settings.model_copy(update={"cors_origins": ("https://app.example",)})
    with Api(settings, api.url) as shared:
        answer = shared.get("/movies", headers={"Origin": "https://app.example"})
    assert VERSION in answer.headers["Access-Control-Expose-Headers"].split(", ")
