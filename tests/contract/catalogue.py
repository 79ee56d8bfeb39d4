"""Rows of every kind: users' and IMDb's movies, genres, loads of datasets, and clients."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from uuid6 import uuid7

from shelflist.ingest.tables import dataset_loads
from shelflist.movies.tables import movies
from tests.factories.movies import add_movies, random_movies
from tests.fixtures.api import Api, Headers

USERS_IMDB_ID = "tt0111161"
"""The id that the document gives as its example: a user's movie."""
IMDBS_IMDB_ID = "tt0068646"
"""A movie that came from IMDb's files."""

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Catalogue:
    """What requests need to know of the rows."""

    credentials: Headers
    movie_id: str
    """A user's movie, which may be changed."""
    imdb_movie_id: str
    """One of IMDb's own, which may not."""


def fill(api: Api) -> Catalogue:
    """Store the rows and return what requests name of them."""
    movie_id, *_ = add_movies(
        api.engine,
        [
            {
                "title": "The Long Way Down",
                "original_title": "El largo camino",
                "year": 2024,
                "runtime": 104,
                "rating": 8.6,
                "votes": 1200,
                "genres": ["Action", "Drama"],
                "imdb_link": f"https://www.imdb.com/title/{USERS_IMDB_ID}/",
            },
            *random_movies(30),
        ],
    )
    imdb_movie_id = _add_imdbs_movie(api)
    _add_loads(api)
    return Catalogue(api.credentials(), movie_id, imdb_movie_id)


def _add_imdbs_movie(api: Api) -> str:
    [imdb_movie_id] = add_movies(
        api.engine, [{"title": "From the Files", "imdb_link": f"https://www.imdb.com/title/{IMDBS_IMDB_ID}/"}]
    )
    with api.engine.begin() as connection:
        connection.execute(movies.update().where(movies.c.id == imdb_movie_id).values(source="imdb"))
    return imdb_movie_id


def _add_loads(api: Api) -> None:
    """Store a load that is served, one that failed with a rejected row, and one that still runs."""
    loaded = {"outcome": "loaded", "is_current": True, "etag": '"0c1f0e"', "last_modified": None, "sha256": "e3" * 32}
    rejected = [{"line": 7, "column": "startYear", "code": "not-a-number", "value": "MCMXC"}]
    failed = {"outcome": "failed", "reason": "the file is truncated", "rows_rejected": 1, "rejected_sample": rejected}
    with api.engine.begin() as connection:
        for number, values in enumerate((loaded, failed, {"outcome": "running"})):
            started_at = START + timedelta(hours=number)
            finished_at = None if values["outcome"] == "running" else started_at + timedelta(seconds=1.25)
            row = {
                "id": str(uuid7()),
                "load_id": str(uuid7()),
                "dataset": "title.basics",
                "source": "sample",
                "started_at": started_at,
                "finished_at": finished_at,
            }
            connection.execute(dataset_loads.insert().values(**row, **values))
