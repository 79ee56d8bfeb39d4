"""Rows of movies, genres, datasets and what loads changed as API bodies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from marshmallow import fields

from shelflist.shared.representing import Derived, IntegerColumn, RowSchema, TextColumn
from shelflist.shared.timestamps import Timestamp

Body = dict[str, Any]

CSV_COLUMNS = (
    "id",
    "title",
    "original_title",
    "year",
    "runtime",
    "rating",
    "votes",
    "genres",
    "imdb_id",
    "imdb_link",
    "source",
    "created_at",
    "updated_at",
)

CHANGE_COLUMNS = ("change", "changed_at", "movie_id", "imdb_id", "title", "movie")


def _link(imdb_id: str) -> str:
    return f"https://www.imdb.com/title/{imdb_id}/"


class MovieSchema(RowSchema):
    """One movie."""

    class Meta:
        """Fields in the order of the documentation."""

        ordered = True

    id = TextColumn()
    title = TextColumn()
    original_title = TextColumn()
    year = IntegerColumn()
    runtime = IntegerColumn()
    rating = fields.Float()
    votes = IntegerColumn()
    genres = fields.List(TextColumn())
    imdb_id = TextColumn()
    imdb_link = Derived(_link, attribute="imdb_id")
    source = TextColumn()
    created_at = Timestamp()
    updated_at = Timestamp()


class GenreSchema(RowSchema):
    """One genre with the number of its movies."""

    name = fields.String()
    movie_count = fields.Integer()


class ChangeSchema(RowSchema):
    """What loads did to one movie."""

    change = fields.String()
    changed_at = Timestamp(attribute="page_key")
    movie_id = fields.String(attribute="id")
    imdb_id = fields.String()
    title = fields.String()
    movie = fields.Method("newest_state")

    def newest_state(self, row: Any) -> Body | None:
        """Return the movie as it is now, None where it was removed."""
        return None if row.change == "removed" else dict(_MOVIE.dump(row))


class DatasetLoadSchema(RowSchema):
    """One row of the ledger."""

    id = fields.String()
    load_id = fields.String()
    dataset = fields.String()
    source = fields.String()
    etag = fields.String()
    last_modified = fields.String()
    sha256 = fields.String()
    outcome = fields.String()
    reason = fields.String()
    is_current = fields.Boolean()
    rows_read = fields.Integer()
    rows_kept = fields.Integer()
    rows_rejected = fields.Integer()
    rows_shadowed = fields.Integer()
    rows_inserted = fields.Integer()
    rows_updated = fields.Integer()
    rows_deleted = fields.Integer()
    rejected_counts = fields.Raw()
    rejected_sample = fields.Raw()
    overridden_gates = fields.List(fields.String())
    phases = fields.Raw()
    started_at = Timestamp()
    served_at = Timestamp()
    finished_at = Timestamp()
    seconds = fields.Method("duration")

    def duration(self, row: Any) -> float | None:
        """Return how long the load took, None while it runs."""
        return round((row.finished_at - row.started_at).total_seconds(), 3) if row.finished_at else None


class RejectedRowSchema(RowSchema):
    """One row that a load left out."""

    line = fields.Integer()
    column = fields.String()
    code = fields.String()
    value = fields.String()


_MOVIE = MovieSchema()
_CHANGE = ChangeSchema()
_GENRE = GenreSchema()
_DATASET = DatasetLoadSchema()
_REJECTED = RejectedRowSchema()


def movie(row: sa.Row[Any]) -> Body:
    """Return one movie as the API shows it."""
    return dict(_MOVIE.dump(row))


def movies(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return movies as the API shows them."""
    return list(_MOVIE.dump(rows, many=True))


def changes(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return what loads did to movies as the API shows it."""
    return list(_CHANGE.dump(rows, many=True))


def genres(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return genres as the API shows them."""
    return list(_GENRE.dump(rows, many=True))


def dataset_loads(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return rows of the ledger as the API shows them."""
    return list(_DATASET.dump(rows, many=True))


def rejected(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return rows that a load left out as the API shows them."""
    return list(_REJECTED.dump(rows, many=True))
