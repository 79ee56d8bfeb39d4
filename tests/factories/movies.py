"""Movies for tests, with what they do not care about filled in."""

import random
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from shelflist.movies.commands import add_movie

GENRES = ("Action", "Comedy", "Drama", "Film-Noir", "Sci-Fi")
TITLES = ("Alpha", "alpha", "Ålpha", "Beta", '"Beta"', "Γάμμα", "Дельта", "イプシロン", "100% Zeta_", "Ω", "")


def add_movies(engine: sa.Engine, bodies: Iterable[dict[str, Any]]) -> list[str]:
    """Store movies as POST /movies would, in one transaction, and return their ids."""
    with engine.begin() as connection:
        return [str(add_movie(connection, {"title": "A movie", **body}).id) for body in bodies]


def random_movies(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Return bodies with many ties and many nulls in every field that lists are sorted by."""
    pick = random.Random(seed)
    return [
        {
            "title": f"{pick.choice(TITLES)} {pick.choice(('', 'one', 'two'))}".strip() or "untitled",
            "year": pick.choice((None, 1894, 1990, 1991, 2026)),
            "runtime": pick.choice((None, 1, 90, 90, 91)),
            "rating": pick.choice((None, 0, 5.5, 8.5, 8.6, 10)),
            "votes": pick.choice((None, 0, 5, 2_147_483_647)),
            "genres": pick.sample(GENRES, pick.randrange(0, 4)),
        }
        for _ in range(count)
    ]
