"""A copy that follows GET /movies/changes through real loads of files, whichever way they write."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.factories.imdb import movie, rating, tconst, write_imdb
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.loading import Loading
from tests.fixtures.walking import walk

from shelflist.movies import imdb

VERSION = "X-Dataset-Version"


@pytest.fixture
def loading(api: Api, tmp_path: Path) -> Iterator[Loading]:
    """The loader over the database of `api`."""
    made = Loading(api.url, tmp_path / "state")
    yield made
    made.engine.dispose()


@pytest.fixture(params=["in place", "by exchange"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"in place": 1_000_000, "by exchange": 1}
    monkeypatch.setattr(imdb, "EXCHANGE_ROWS", rows[request.param])
    monkeypatch.setattr(imdb, "EXCHANGE_SHARE", 0)


def files(directory: Path, pick: random.Random) -> Path:
    """Write files in which some of 60 movies are there, under changing titles, genres and ratings."""
    there = pick.sample(range(1, 61), pick.randrange(30, 50))
    titles, genres = ("One", "One", "Two"), ("Drama", "Drama", "Drama,War", r"\N")
    basics = [movie(n, pick.choice(titles), genres=pick.choice(genres)) for n in sorted(there)]
    return write_imdb(directory, basics, [rating(n, votes=str(pick.randrange(9))) for n in sorted(there) if n % 3 == 0])


def whole(api: Api) -> dict[str, Any]:
    return {movie["id"]: movie for movie in walk(api, "/movies", "movies", source="imdb", page_size=100)}


def follow(api: Api, copy: dict[str, Any], since: str) -> str:
    """Bring the copy up to date, and return its version."""
    url = f"/movies/changes?since={since}&page_size=7"
    while True:
        answer = api.get(url)
        for row in answer.json()["changes"]:
            copy.pop(row["movie_id"], None)
            if row["movie"] is not None:
                copy[row["movie_id"]] = row["movie"]
        if "next" not in answer.links:
            return str(answer.headers[VERSION])
        url = answer.links["next"]["url"]


@pytest.mark.usefixtures("_way")
def test_a_copy_that_follows_loads_is_the_catalogue(api: Api, loading: Loading, tmp_path: Path) -> None:
    pick = random.Random(7)
    add_movies(api.engine, [{"title": "mine", "imdb_link": f"https://www.imdb.com/title/{tconst(60)}/"}])
    loading.load(files(tmp_path / "0", pick), force=True)
    copy, version = whole(api), api.get("/movies").headers[VERSION]
    for number in range(1, 6):
        for part in range(number % 2 + 1):
            loading.load(files(tmp_path / f"{number}.{part}", pick), force=True)
        before, version = version, follow(api, copy, version)
        assert version == str(loading.ledger()[-1]["load_id"]) != before
        assert copy == whole(api)
        assert follow(api, copy, version) == version
        assert api.get("/movies/changes", params={"since": version}).json()["changes"] == []
    assert len(copy) >= 29


@pytest.mark.usefixtures("_way")
def test_a_load_of_the_same_files_is_no_new_version_and_changes_nothing(
    api: Api, loading: Loading, tmp_path: Path
) -> None:
    source = files(tmp_path / "files", random.Random(1))
    loading.load(source)
    version = api.get("/movies").headers[VERSION]
    assert loading.load(source).outcome == "unchanged"
    assert api.get("/movies").headers[VERSION] == version
    assert walk(api, "/movies/changes", "changes", since=version) == []


def test_rows_that_a_load_left_out_are_listed_with_their_defects(api: Api, loading: Loading, tmp_path: Path) -> None:
    lines = [movie(1), movie(2, year="MCMXC"), movie(3, runtime="long"), *(movie(n) for n in range(4, 200))]
    source = write_imdb(tmp_path / "files", lines)
    loading.load(source, imdb_max_rejected_share=0.5)
    [basics] = [row for row in api.get("/datasets").json()["datasets"] if row["dataset"] == "title.basics"]
    rows = walk(api, f"/datasets/{basics['id']}/rejected", "rejected")
    assert [(row["line"], row["column"], row["value"]) for row in rows] == [
        (3, "startYear", "MCMXC"),
        (4, "runtimeMinutes", "long"),
    ]
    assert basics["rejected_sample"] == rows
    assert basics["rejected_counts"] == {rows[0]["code"]: 2}
    assert basics["served_at"] is not None
    assert all(phase["seconds"] >= 0 for phase in basics["phases"])
