"""Every write of single songs, one transaction each."""

from typing import Any

import sqlalchemy as sa

from shelflist.shared.problems import FieldError, Unprocessable

from . import models
from .queries import get_song
from .tables import songs


def correct_song(connection: sa.Connection, trackid: str, genre: str | None) -> sa.Row[Any]:
    """Say what genre the song is, or with None take that back, and return it.

    Raises NotFound, Unprocessable where the active model does not know the genre, NoModel where there is none.
    """
    get_song(connection, trackid)
    if genre is not None:
        _check_genre(genre, models.active_model(connection).description["genres"])
    moment = None if genre is None else sa.func.clock_timestamp()
    values = {"corrected_genre": genre, "corrected_at": moment, "updated_at": sa.func.clock_timestamp()}
    connection.execute(songs.update().where(songs.c.trackid == trackid).values(**values))
    return get_song(connection, trackid)


def delete_song(connection: sa.Connection, trackid: str) -> None:
    """Remove a song with its correction; raises NotFound."""
    get_song(connection, trackid)
    connection.execute(songs.delete().where(songs.c.trackid == trackid))


def _check_genre(genre: str, known: list[str]) -> None:
    if genre not in known:
        rule = f"must be one of {', '.join(known)}"
        raise Unprocessable(f"genre {rule}", errors=[FieldError("genre", "not-one-of", rule)])
