"""The catalogue that the benchmarks of serving read: 720,000 generated movies in a PostgreSQL of their own.

DATABASE_URL names another PostgreSQL: an empty database, or one that this has filled before. With a folder, what is
started here keeps its data there, and the next run finds them.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from shelflist.embedded import running
from shelflist.migrations import migrate
from shelflist.shared.database import create_engine
from shelflist.shared.settings import normalise_database_url

MOVIES = 720_000
TITLES = 11_500_000
"""Rows of the generated title.basics; about 6 % of them are movies. Users' movies make up what is missing."""

# Every 21st or so of IMDb's movies once more, as somebody's own.
_OWN_MOVIES = """
CREATE TEMPORARY TABLE own AS
SELECT gen_random_uuid() AS own_id, m.*
FROM movies m
WHERE source = 'imdb'
ORDER BY hashtext(imdb_id)
LIMIT :missing;
INSERT INTO movies (id, title, title_key, original_title, year, runtime, rating, votes, genres, source)
SELECT own_id, title, title_key, original_title, year, runtime, rating, votes, genres, 'user' FROM own;
INSERT INTO movie_genres (movie_id, genre_id, title_key, year, runtime, rating, votes)
SELECT own_id, l.genre_id, l.title_key, l.year, l.runtime, l.rating, l.votes
FROM own JOIN movie_genres l ON l.movie_id = own.id;
DROP TABLE own
"""


@contextmanager
def catalogue(folder: Path | None = None, *, movies: int = MOVIES) -> Iterator[str]:
    """Yield the SQLAlchemy URL of a database with at least so many movies, vacuumed and analysed."""
    with tempfile.TemporaryDirectory() as temporary:
        given = os.environ.get("DATABASE_URL")
        if given:
            url = normalise_database_url(given)
            _fill(url, movies)
            yield url
            return
        with running(folder or Path(temporary)) as started:
            url = normalise_database_url(started)
            _fill(url, movies)
            yield url


def _fill(url: str, movies: int) -> None:
    engine = create_engine(url, "benchmark")
    migrate(engine)
    if _count(engine) < movies:
        with tempfile.TemporaryDirectory() as files:
            rows = min(TITLES, round(TITLES * movies / MOVIES) + 1)
            _shelflist("sample", "--rows", str(rows), "--output", files, url=url)
            _shelflist("load", "imdb", "--source", files, "--force", url=url)
        with engine.begin() as connection:
            missing = movies - _count(engine)
            if missing > 0:
                for statement in _OWN_MOVIES.split(";"):
                    connection.execute(sa.text(statement), {"missing": missing} if ":missing" in statement else {})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM (FREEZE, ANALYZE) movies, movie_genres, genres"))
    engine.dispose()


def _count(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(sa.text("SELECT count(*) FROM movies")) or 0)


def _shelflist(*arguments: str, url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": url, "LOG_LEVEL": "ERROR"}
    subprocess.run([sys.executable, "-m", "shelflist", *arguments], env=environment, check=True)
