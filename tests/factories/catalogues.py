"""Catalogues of thousands of movies for tests, stored at once, with titles that searches find hard."""

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from shelflist.movies.tables import SORT_COLUMNS, genres, movie_genres, movies
from shelflist.shared.folding import fold

GENRES = ("Drama", "Comedy", "Horror", "War", "Film-Noir")
_WEIGHTS = (50, 25, 10, 4, 1)
_WORDS = (
    *("the", "of", "love", "night", "garden", "house", "qjar", "waxz", "mixzed", "box", "exotic", "24", "7b"),
    *("a", "i", "o", "x", "étoile", "naïve", "straße", "ночь", "мой", "год", "xzя", "яxz", "σοφία"),
    *("夜の港", "消えた時計", "鬱龘", "한밤의"),
)
_JOINTS = (
    " ",
    " ",
    " ",
    " ",
    " ",
    "",
    ", ",
    ": ",
    "! ",
    "?! ",
    " - ",
    "'s ",
    "...",
    " & ",
    "\u2019",
    "\u2014",
    "\t",
    "%_\\",
)
_ENDS = ("", "", "", "", "!", "?", "...", " 2", "%", "!!", "é")

Movie = dict[str, Any]


def catalogue(count: int, seed: int = 1) -> list[Movie]:
    """Return rows of movies with ties and nulls in every column; one in eight is a user's."""
    pick = random.Random(seed)
    return [_movie(pick) for _ in range(count)]


def _movie(pick: random.Random) -> Movie:
    title = "".join(pick.choice(_WORDS) + pick.choice(_JOINTS) for _ in range(pick.randrange(1, 4)))
    title = (title + pick.choice(_WORDS) + pick.choice(_ENDS)).strip()
    movie_id = str(UUID(int=pick.getrandbits(128)))
    is_users = pick.random() < 0.125
    return {
        "id": movie_id,
        "title": title,
        "title_key": fold(title),
        "year": pick.choice((None, *range(1900, 2026, 3))),
        "runtime": pick.choice((None, None, *range(60, 180, 10))),
        "rating": pick.choice((None, None, *(tenth / 10 for tenth in range(0, 101, 7)))),
        "votes": pick.choice((None, 5, 50, 500, 5000, pick.randrange(10**6))),
        "genres": sorted({pick.choices(GENRES, _WEIGHTS)[0] for _ in range(pick.randrange(4))}),
        "imdb_id": None if is_users else f"tt{int(movie_id[:8], 16):010}",
        "source": "user" if is_users else "imdb",
    }


def store(engine: sa.Engine, rows: Sequence[Movie]) -> None:
    """Store the rows with their genres, and let the planner know them."""
    with engine.begin() as connection:
        names = sorted({name for row in rows for name in row["genres"]})
        new = [{"name": name, "name_key": fold(name)} for name in names]
        connection.execute(genres.insert(), new)
        ids = {row.name: row.id for row in connection.execute(sa.select(genres.c.name, genres.c.id))}
        connection.execute(movies.insert(), list(rows))
        links = [
            {"movie_id": row["id"], "genre_id": ids[name], **{column: row[column] for column in SORT_COLUMNS}}
            for row in rows
            for name in row["genres"]
        ]
        connection.execute(movie_genres.insert(), links)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE movies, movie_genres, genres"))
