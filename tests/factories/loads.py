"""Loads as the ledger keeps them, and IMDb's movies as loads write them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from shelflist.ingest.tables import dataset_loads
from shelflist.movies.tables import movies, removed_movies
from shelflist.shared.folding import fold
from tests.factories.imdb import tconst

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def movie_id(number: int) -> str:
    """Return the id of the movie with the tconst of this number."""
    return str(uuid5(uuid5(NAMESPACE_DNS, "imdb.com"), tconst(number)))


def add_load(connection: sa.Connection, **values: Any) -> str:
    """Record a load of title.basics that began at START and took 1.25 seconds; return its id."""
    row = {
        "id": str(uuid7()),
        "load_id": str(uuid7()),
        "dataset": "title.basics",
        "source": "sample",
        "outcome": "loaded",
        "started_at": START,
        **values,
    }
    row = {"finished_at": row["started_at"] + timedelta(seconds=1.25), **row}
    row = {"visible_at": row["finished_at"] if row.get("outcome", "loaded") == "loaded" else None, **row}
    connection.execute(dataset_loads.insert().values(row))
    return str(row["id"])


def serve(
    connection: sa.Connection, at: datetime, written: Iterable[dict[str, Any]] = (), removed: Iterable[int] = ()
) -> str:
    """Load as of `at`: write and remove IMDb's movies, given by `number`; return the version that is served then."""
    version = str(uuid7())
    connection.execute(dataset_loads.update().values(is_current=False))
    add_load(connection, load_id=version, is_current=True, started_at=at, served_at=at)
    rows = [_row(at, **{"title": "A movie", **body}) for body in written]
    if rows:
        _write(connection, rows)
    _remove(connection, at, [movie_id(number) for number in removed])
    return version


def _row(at: datetime, number: int, title: str, **values: Any) -> dict[str, Any]:
    named = {"title": title, "title_key": fold(title), "imdb_id": tconst(number), "source": "imdb"}
    return {"id": movie_id(number), **named, "created_at": at, "updated_at": at, **values}


def _write(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    written = insert(movies)
    changed = {name: written.excluded[name] for name in rows[0] if name not in ("id", "created_at")}
    connection.execute(written.on_conflict_do_update(index_elements=["id"], set_=changed), rows)
    ids = [row["id"] for row in rows]
    connection.execute(removed_movies.delete().where(removed_movies.c.id.in_(ids)))


def _remove(connection: sa.Connection, at: datetime, ids: list[str]) -> None:
    gone = movies.delete().where(movies.c.id.in_(ids)).returning(movies.c.id, movies.c.imdb_id, movies.c.title)
    for row in connection.execute(gone).all():
        connection.execute(removed_movies.insert().values(**row._mapping, removed_at=at))
