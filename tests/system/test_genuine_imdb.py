"""The genuine IMDb files, loaded and walked whole while another process writes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shelflist.movies.queries import SORT_TYPES, MovieFilters, list_movies
from shelflist.shared.paging import Position
from tests.fixtures.api import Api
from tests.fixtures.loading import Loading

# Adds movies with random values and removes the oldest of them, until its input ends.
WRITER = """
import random, sys, threading
import sqlalchemy as sa
from tests.factories.movies import add_movies, random_movies

done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
engine = sa.create_engine(sys.argv[1])
seed = 0
while not done.is_set():
    seed += 1
    added = add_movies(engine, random_movies(5, seed))
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM movies WHERE id = ANY (CAST(:ids AS uuid[]))"), {"ids": added[1:]})
    print(seed, flush=True) if seed == 1 else None
"""


@pytest.fixture(scope="module")
def catalogue(running_api: Api, imdb_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The application over the genuine files."""
    loading = Loading(running_api.url, tmp_path_factory.mktemp("state"))
    result = loading.load(imdb_directory)
    assert (result.outcome, result.basics.rows_kept, result.ratings.rows_kept) == ("loaded", 5020, 902)
    assert loading.load(imdb_directory).outcome == "unchanged"
    yield running_api
    loading.engine.dispose()
    running_api.empty()


@contextmanager
def another_process_writing(api: Api) -> Iterator[None]:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, api.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        yield
        assert writer.poll() is None, "the writer ended by itself"
    finally:
        writer.communicate(timeout=30)


def expected(api: Api, sort: str, desc: bool) -> list[str]:
    """Return the ids of IMDb's movies in the promised order, from plain SQL."""
    column, direction = SORT_TYPES[sort][0], "DESC" if desc else "ASC"
    statement = f"SELECT id FROM movies WHERE source = 'imdb' ORDER BY {column} {direction} NULLS LAST, id {direction}"
    with api.engine.connect() as connection:
        return list(map(str, connection.scalars(sa.text(statement))))


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize("sort", SORT_TYPES)
def test_walking_gives_each_movie_once_in_order_while_another_process_writes(
    catalogue: Api, sort: str, desc: bool
) -> None:
    with another_process_writing(catalogue):
        walked, parameters = [], {"sort": sort, "desc": str(desc).lower(), "page_size": 20}
        while parameters:
            body = catalogue.get("/movies", params=parameters).json()
            walked += [movie["id"] for movie in body["movies"] if movie["source"] == "imdb"]
            parameters = {**parameters, "cursor": body["next_cursor"]} if body["next_cursor"] else {}
    assert walked == expected(catalogue, sort, desc)


@pytest.mark.parametrize("page_size", [1, 7])
@pytest.mark.parametrize("sort", SORT_TYPES)
def test_small_pages_give_each_movie_once_in_order(catalogue: Api, sort: str, page_size: int) -> None:
    walked: list[Any] = []
    after: Position | None = None
    with catalogue.engine.connect() as connection:
        filters = MovieFilters({"source": "imdb"})
        while True:
            page = list_movies(connection, filters, sort=sort, desc=True, after=after, page_size=page_size)
            walked += [str(row.id) for row in page.rows]
            if page.next is None:
                break
            after = page.next
    assert walked == expected(catalogue, sort, True)
