"""Movies by asyncpg, hand-tuned: prepared statements, no reset of connections, rows to JSON by orjson.

Shared by fastapi_core.py and asgi.py, which differ by their framework alone.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import asyncpg
import orjson
from uuid6 import uuid7

from shelflist.shared.folding import fold

from .peer_cursors import read_cursor, write_cursor

POOL_SIZE = 12

SORTS: dict[str, tuple[str, Any]] = {
    "title": ("title_key", str),
    "year": ("year", int),
    "rating": ("rating", lambda value: Decimal(str(value))),
    "votes": ("votes", int),
    "runtime": ("runtime", int),
}
"""Sort -> its column, and how a cursor's key becomes the column's value."""

CONDITIONS = {
    "rating_gt": "{}.rating > ",
    "rating_gte": "{}.rating >= ",
    "rating_lt": "{}.rating < ",
    "rating_lte": "{}.rating <= ",
    "year_gte": "{}.year >= ",
    "year_lte": "{}.year <= ",
    "votes_gte": "{}.votes >= ",
}

COLUMNS = """
    m.id, m.title, m.original_title, m.year, m.runtime, m.rating::float8 AS rating, m.votes, m.genres, m.imdb_id,
    m.source, m.created_at, m.updated_at
"""

BY_ID = f"SELECT {COLUMNS} FROM movies m WHERE m.id = $1"

INSERT = f"""
    INSERT INTO movies AS m
        (id, title, title_key, original_title, year, runtime, rating, votes, genres, imdb_id, source)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'user')
    RETURNING {COLUMNS}
"""
INSERT_LINKS = """
    INSERT INTO movie_genres (movie_id, genre_id, title_key, year, runtime, rating, votes)
    SELECT m.id, g.genre_id, m.title_key, m.year, m.runtime, m.rating, m.votes
    FROM movies m, unnest($2::int[]) AS g (genre_id)
    WHERE m.id = $1
"""
KNOWN_GENRES = "SELECT id, name, name_key FROM genres WHERE name_key = ANY($1)"
INSERT_GENRES = """
    INSERT INTO genres (name, name_key)
    SELECT * FROM unnest($1::text[], $2::text[])
    ON CONFLICT DO NOTHING
"""


class UnresetConnection(asyncpg.Connection):
    """A connection that needs no reset on its way back to the pool: nothing here changes a session."""

    def get_reset_query(self) -> str:
        return ""


async def open_pool() -> asyncpg.Pool:
    return await asyncpg.create_pool(
        os.environ["DATABASE_URL"],
        min_size=POOL_SIZE,
        max_size=POOL_SIZE,
        connection_class=UnresetConnection,
    )


@cache
def page_statement(sort: str, desc: bool, place: str, filters: tuple[str, ...], genres: int) -> str:
    """Return the statement of one page; its values are the limit, those of the filters, the genres, and the cursor.

    `place` is "start", "value" (behind a key and an id), "nulls" (the first without a key) or "null" (behind an id
    among them).
    """
    table, row_id = ("g", "g.movie_id") if genres else ("m", "m.id")
    column = f"{table}.{SORTS[sort][0]}"
    beyond, direction = ("<", "DESC") if desc else (">", "ASC")
    conditions = [f"{CONDITIONS[name].format(table)} ${number}" for number, name in enumerate(filters, 2)]
    number = len(filters) + 2
    if genres:
        conditions.append(f"g.genre_id = ${number}")
    for further in range(number + 1, number + genres):
        conditions.append(f"EXISTS (SELECT FROM movie_genres o WHERE o.movie_id = m.id AND o.genre_id = ${further})")
    number += genres
    conditions.append(f"{column} IS {'NULL' if place.startswith('null') else 'NOT NULL'}")
    if place == "value":
        conditions.append(f"({column}, {row_id}) {beyond} (${number}, ${number + 1})")
    elif place == "null":
        conditions.append(f"{row_id} {beyond} ${number}")
    order = row_id if place.startswith("null") else f"{column} {direction}, {row_id}"
    return f"""
        SELECT {COLUMNS}, {column}{"::float8" if sort == "rating" else ""} AS page_key
        FROM {"movie_genres g JOIN movies m ON m.id = g.movie_id" if genres else "movies m"}
        WHERE {" AND ".join(conditions)}
        ORDER BY {order} {direction}
        LIMIT $1
    """


async def list_movies(
    pool: asyncpg.Pool,
    *,
    page_size: int,
    sort: str,
    desc: bool,
    cursor: str | None,
    filters: Mapping[str, Any] | None = None,
    genres: Sequence[str] = (),
) -> bytes:
    """Return the page as JSON; raises ValueError for a cursor that is none."""
    filters = filters or {}
    names = tuple(filters)
    limit = page_size + 1
    async with pool.acquire() as connection:
        genre_ids = await find_genres(connection, genres) if genres else []
        if None in genre_ids:
            return orjson.dumps({"movies": [], "next_cursor": None})
        values = [*filters.values(), *genre_ids]

        async def fetch(place: str, size: int, *position: Any) -> list[asyncpg.Record]:
            statement = page_statement(sort, desc, place, names, len(genre_ids))
            rows: list[asyncpg.Record] = await connection.fetch(statement, size, *values, *position)
            return rows

        key, row_id = read_cursor(cursor) if cursor else (None, None)
        if cursor and key is None:
            rows = await fetch("null", limit, row_id)
        else:
            rows = await (fetch("value", limit, SORTS[sort][1](key), row_id) if cursor else fetch("start", limit))
            if len(rows) < limit and sort != "title":
                rows += await fetch("nulls", limit - len(rows))
    last = rows[page_size - 1] if len(rows) > page_size else None
    next_cursor = write_cursor(last["page_key"], last["id"]) if last else None
    return orjson.dumps({"movies": [movie_of(row) for row in rows[:page_size]], "next_cursor": next_cursor})


_genre_ids: dict[str, int] = {}


async def find_genres(connection: asyncpg.Connection, names: Sequence[str]) -> list[int | None]:
    """Return the id of each genre, None where it is unknown; ids never change, so they are looked up once."""
    keys = list(dict.fromkeys(fold(name) for name in names))
    if any(key not in _genre_ids for key in keys):
        _genre_ids.update({row["name_key"]: row["id"] for row in await connection.fetch(KNOWN_GENRES, keys)})
    return [_genre_ids.get(key) for key in keys]


async def get_movie(pool: asyncpg.Pool, movie_id: str) -> bytes | None:
    row = await pool.fetchrow(BY_ID, movie_id)
    return orjson.dumps(movie_of(row)) if row is not None else None


async def create_movie(pool: asyncpg.Pool, movie: Mapping[str, Any]) -> tuple[str, bytes]:
    """Store a movie, whose fields were checked; return its id and its JSON."""
    names = {fold(name): name for name in movie.get("genres", [])}
    async with pool.acquire() as connection, connection.transaction():
        known = await connection.fetch(KNOWN_GENRES, list(names))
        if len(known) < len(names):
            await connection.execute(INSERT_GENRES, list(names.values()), list(names))
            known = await connection.fetch(KNOWN_GENRES, list(names))
        genres = {row["name_key"]: row for row in known}
        rating = movie.get("rating")
        row = await connection.fetchrow(
            INSERT,
            uuid7(),
            movie["title"],
            fold(movie["title"]),
            movie.get("original_title"),
            movie.get("year"),
            movie.get("runtime"),
            None if rating is None else Decimal(str(rating)),
            movie.get("votes"),
            [genres[key]["name"] for key in names],
            movie.get("imdb_id"),
        )
        await connection.execute(INSERT_LINKS, row["id"], [genres[key]["id"] for key in names])
    return str(row["id"]), orjson.dumps(movie_of(row))


def movie_of(row: asyncpg.Record) -> dict[str, Any]:
    imdb_id = row["imdb_id"]
    return {
        "id": str(row["id"]),
        "title": row["title"],
        "original_title": row["original_title"],
        "year": row["year"],
        "runtime": row["runtime"],
        "rating": row["rating"],
        "votes": row["votes"],
        "genres": row["genres"],
        "imdb_id": imdb_id,
        "imdb_link": f"https://www.imdb.com/title/{imdb_id}/" if imdb_id else None,
        "source": row["source"],
        "created_at": timestamp(row["created_at"]),
        "updated_at": timestamp(row["updated_at"]),
    }


def timestamp(moment: datetime) -> str:
    # asyncpg's are in UTC.
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
