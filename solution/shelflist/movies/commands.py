"""Every write of movies, one transaction each."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from shelflist.shared.folding import fold
from shelflist.shared.problems import FieldError, NotFound, Unprocessable

from .problems import InvalidImdbLink, MovieExists, ReadOnlyMovie
from .queries import get_movie
from .tables import SORT_COLUMNS, genres, movie_genres, movies

_IMDB_LINK = re.compile(
    r"https?://(?:www\.|m\.)?imdb\.com/title/(tt[0-9]{7,10})(?:/[A-Za-z0-9/_-]*)?(?:\?[\x21-\x7e]*)?(?:#[\x21-\x7e]*)?",
    re.IGNORECASE,
)


def add_movie(connection: sa.Connection, body: Mapping[str, Any]) -> sa.Row[Any]:
    """Store a user's movie and return it; raises MovieExists where its IMDb id is known, InvalidImdbLink."""
    values = {"rating": None, "genres": [], **_columns(body)}
    _take_turn(connection)
    names = _ensure_genres(connection, values["genres"])
    statement = (
        insert(movies)
        .values(id=str(uuid7()), source="user", **{**values, "genres": list(names)})
        .on_conflict_do_nothing(index_elements=["imdb_id"])
        .returning(movies)
    )
    row = connection.execute(statement).first()
    if row is None:
        raise _exists(values["imdb_id"])
    _link_genres(connection, row, list(names.values()))
    return row


def change_movie(connection: sa.Connection, movie_id: str, body: Mapping[str, Any]) -> sa.Row[Any]:
    """Change the given fields of a user's movie and return it; null empties a field.

    Raises NotFound, ReadOnlyMovie for IMDb's own rows, MovieExists, InvalidImdbLink.
    """
    _take_turn(connection)
    row = _lock_users_movie(connection, movie_id)
    values = _columns(body)
    if not values:
        return row
    if values.get("imdb_id") not in (None, row.imdb_id):
        taken = connection.scalar(sa.select(movies.c.id).where(movies.c.imdb_id == values["imdb_id"]))
        if taken is not None:
            raise _exists(values["imdb_id"])
    names = _ensure_genres(connection, values.get("genres", row.genres))
    changed = connection.execute(
        movies.update()
        .where(movies.c.id == row.id)
        .values(**{**values, "genres": list(names)}, updated_at=sa.func.clock_timestamp())
        .returning(movies)
    ).one()
    connection.execute(movie_genres.delete().where(movie_genres.c.movie_id == row.id))
    _link_genres(connection, changed, list(names.values()))
    return changed


def delete_movie(connection: sa.Connection, movie_id: str) -> None:
    """Remove a user's movie; raises NotFound, ReadOnlyMovie for IMDb's own rows."""
    _take_turn(connection)
    row = _lock_users_movie(connection, movie_id)
    connection.execute(movies.delete().where(movies.c.id == row.id))


def _take_turn(connection: sa.Connection) -> None:
    # Before anything is read. A load that exchanges the tables keeps writers waiting, then waits for those who have
    # read any of them: who had read and waited to write would be waited for in turn, and lose as a deadlock's victim.
    connection.execute(sa.text("LOCK TABLE movies IN ROW EXCLUSIVE MODE"))


def parse_imdb_link(link: str) -> str:
    """Return the IMDb id that a link to a title holds; raises InvalidImdbLink for any other text."""
    match = _IMDB_LINK.fullmatch(link.strip())
    if match is None:
        raise InvalidImdbLink
    return match.group(1).lower()


def _columns(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that a request body sets."""
    values = {name: body[name] for name in ("year", "runtime", "votes") if name in body}
    if "original_title" in body:
        values["original_title"] = (body["original_title"] or "").strip() or None
    if "title" in body:
        title = body["title"].strip()
        if not title:
            refused = FieldError("title", "out-of-bounds", "must hold more than spaces")
            raise Unprocessable("title must hold more than spaces", errors=[refused])
        values |= {"title": title, "title_key": fold(title)}
    if "rating" in body:
        values["rating"] = None if body["rating"] is None else _rating(body["rating"])
    if "genres" in body:
        values["genres"] = body["genres"]
    if "imdb_link" in body:
        values["imdb_id"] = None if body["imdb_link"] is None else parse_imdb_link(body["imdb_link"])
    return values


def _rating(value: float) -> Decimal:
    rating = Decimal(str(value))
    if rating != rating.quantize(Decimal("0.1")):
        refused = FieldError("rating", "out-of-bounds", "must have at most one decimal")
        raise Unprocessable("rating must have at most one decimal", errors=[refused])
    return rating


def _ensure_genres(connection: sa.Connection, names: Sequence[str]) -> dict[str, int]:
    """Return name -> id of the genres, in the given order, each once; unknown ones are created."""
    cleaned: dict[str, str] = {}
    for name in names:
        cleaned.setdefault(fold(name.strip()), name.strip())
    if "" in cleaned:
        refused = FieldError("genres", "out-of-bounds", "must hold more than spaces")
        raise Unprocessable("a genre must hold more than spaces", errors=[refused])
    if not cleaned:
        return {}
    # Sorted, so that two requests that create the same genres wait for each other instead of deadlocking.
    new = [{"name": cleaned[key], "name_key": key} for key in sorted(cleaned)]
    known = sa.select(genres.c.name_key, genres.c.name, genres.c.id).where(genres.c.name_key.in_(cleaned))
    rows = {row.name_key: row for row in connection.execute(known)}
    missing = [values for values in new if values["name_key"] not in rows]
    if missing:
        connection.execute(insert(genres).values(missing).on_conflict_do_nothing())
        rows = {row.name_key: row for row in connection.execute(known)}
    return {rows[key].name: rows[key].id for key in cleaned}


def _link_genres(connection: sa.Connection, movie: sa.Row[Any], genre_ids: Sequence[int]) -> None:
    if not genre_ids:
        return
    copied = {column: getattr(movie, column) for column in SORT_COLUMNS}
    connection.execute(
        movie_genres.insert(), [{"movie_id": movie.id, "genre_id": genre, **copied} for genre in genre_ids]
    )


def _lock_users_movie(connection: sa.Connection, movie_id: str) -> sa.Row[Any]:
    found = get_movie(connection, movie_id)
    row = connection.execute(sa.select(movies).where(movies.c.id == found.id).with_for_update()).first()
    if row is None:
        raise NotFound(f"there is no movie {movie_id}")
    if row.source != "user":
        raise ReadOnlyMovie("this movie comes from IMDb's files")
    return row


def _exists(imdb_id: str) -> MovieExists:
    return MovieExists(f"a movie with the IMDb id {imdb_id} is in the catalogue")
