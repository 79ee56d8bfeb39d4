"""Every SELECT of songs."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from shelflist.shared.folding import fold
from shelflist.shared.paging import Keyset, Page, Position, Sort
from shelflist.shared.problems import FieldError, InvalidRequest, NotFound
from shelflist.shared.searching import words_of

from . import models
from .problems import NoModel
from .tables import songs

Condition = sa.ColumnElement[bool]

SHOWN = [
    songs.c[name]
    for name in (
        "trackid",
        "title",
        "genre",
        "probability",
        "predicted_genre",
        "corrected_genre",
        "model_version",
        "predicted_at",
        "corrected_at",
        "created_at",
        "updated_at",
    )
]
"""The columns that answers carry; what a model judges by stays in the database."""

SORTS: dict[str, Sort] = {
    "title": Sort(songs.c.title_key, str, is_nullable=False),
    # The shortest text of a float names it exactly.
    "probability": Sort(songs.c.probability, Decimal, is_nullable=False),
    "predicted_at": Sort(songs.c.predicted_at, datetime, is_nullable=False),
}
TITLE_SORTS = {"title": SORTS["title"]}


def _title_contains(text: str) -> Condition:
    # Refuses what holds nothing; the whole text is searched for, spaces included.
    words_of(text)
    return songs.c.title_key.contains(fold(text), autoescape=True)


def _is_corrected(wanted: bool) -> Condition:
    return songs.c.corrected_genre.is_not(None) if wanted else songs.c.corrected_genre.is_(None)


FILTERS: dict[str, Callable[[Any], Condition]] = {
    "genre": lambda value: songs.c.genre == value,
    "probability_lt": lambda value: songs.c.probability < value,
    "probability_gte": lambda value: songs.c.probability >= value,
    "q": _title_contains,
    "corrected": _is_corrected,
    "model_version": lambda value: songs.c.model_version == value,
}
"""Filter name -> condition."""


def list_songs(
    connection: sa.Connection,
    filters: Mapping[str, Any],
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of songs behind `after`; `filters` as the caller gave them, None where not given."""
    conditions = [FILTERS[name](value) for name, value in filters.items() if value is not None]
    keyset = Keyset(SORTS[sort], songs.c.trackid, desc)
    return keyset.fetch(connection, sa.select(*SHOWN).where(*conditions), after, page_size)


def get_song(connection: sa.Connection, trackid: str) -> sa.Row[Any]:
    """Return the song; raises NotFound."""
    row = connection.execute(sa.select(*SHOWN).where(songs.c.trackid == trackid)).first()
    if row is None:
        raise NotFound(f"there is no song {trackid}")
    return row


def count_genres(connection: sa.Connection) -> dict[str, int]:
    """Return the number of songs of each genre, sorted by name; genres of the active model have 0 at least."""
    counts = dict.fromkeys(known_genres(connection), 0)
    grouped = sa.select(songs.c.genre, sa.func.count().label("songs")).group_by(songs.c.genre)
    counts.update((row.genre, row.songs) for row in connection.execute(grouped))
    return dict(sorted(counts.items()))


def list_titles(
    connection: sa.Connection, genre: str, *, sort: str, desc: bool, after: Position | None, page_size: int
) -> Page:
    """Return the page behind `after` of the titles of a genre; raises InvalidRequest where nobody knows the genre."""
    statement = sa.select(songs.c.title).where(songs.c.genre == genre)
    page = Keyset(TITLE_SORTS[sort], songs.c.trackid, desc).fetch(connection, statement, after, page_size)
    if not page.rows and after is None and genre not in known_genres(connection):
        rule = "is a genre that neither the model nor any song has; GET /genre/list names all"
        raise InvalidRequest(f"genre {rule}", errors=[FieldError("genre", "not-one-of", rule)])
    return page


def known_genres(connection: sa.Connection) -> list[str]:
    """Return the genres of the active model, none where none is active."""
    try:
        return list(models.active_model(connection).description["genres"])
    except NoModel:
        return []
