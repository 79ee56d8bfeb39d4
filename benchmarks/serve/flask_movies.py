"""Movies by Flask-SQLAlchemy and marshmallow, as both Flask peers have them: models, what is answered, and paging."""

import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import flask
from flask_sqlalchemy import SQLAlchemy
from marshmallow import Schema, fields
from sqlalchemy import ColumnElement, DateTime, Numeric, Select, SmallInteger, Text, exists, func, literal, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column, registry
from uuid6 import uuid7
from werkzeug.wrappers import Response

from shelflist.shared.folding import fold

from .peer_cursors import read_cursor, write_cursor


class Base(DeclarativeBase):
    registry = registry(
        type_annotation_map={
            str: Text,
            Decimal: Numeric(3, 1),
            datetime: DateTime(timezone=True),
            list[str]: ARRAY(Text),
        }
    )


db = SQLAlchemy(model_class=Base)


class Movie(db.Model):  # type: ignore[name-defined, misc]
    __tablename__ = "movies"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    title: Mapped[str]
    title_key: Mapped[str]
    original_title: Mapped[str | None]
    year: Mapped[int | None] = mapped_column(SmallInteger)
    runtime: Mapped[int | None]
    rating: Mapped[Decimal | None]
    votes: Mapped[int | None]
    genres: Mapped[list[str]]
    imdb_id: Mapped[str | None]
    source: Mapped[str] = mapped_column(default="user")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def imdb_link(self) -> str | None:
        return f"https://www.imdb.com/title/{self.imdb_id}/" if self.imdb_id else None


class Genre(db.Model):  # type: ignore[name-defined, misc]
    __tablename__ = "genres"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str]


class MovieGenre(db.Model):  # type: ignore[name-defined, misc]
    __tablename__ = "movie_genres"
    movie_id: Mapped[UUID] = mapped_column(primary_key=True)
    genre_id: Mapped[int] = mapped_column(primary_key=True)
    title_key: Mapped[str]
    year: Mapped[int | None] = mapped_column(SmallInteger)
    runtime: Mapped[int | None]
    rating: Mapped[Decimal | None]
    votes: Mapped[int | None]


Other = aliased(MovieGenre)


class Timestamp(fields.DateTime):
    def _serialize(self, value: datetime | None, *_: Any, **__: Any) -> str | None:
        if value is None:
            return None
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class MovieSchema(Schema):
    id = fields.UUID()
    title = fields.String()
    original_title = fields.String()
    year = fields.Integer()
    runtime = fields.Integer()
    rating = fields.Float()
    votes = fields.Integer()
    genres = fields.List(fields.String())
    imdb_id = fields.String()
    imdb_link = fields.String()
    source = fields.String()
    created_at = Timestamp()
    updated_at = Timestamp()


class InvalidCursor(ValueError):
    """A cursor that was not answered here."""


movie_schema = MovieSchema()

SORTS: dict[str, tuple[str, Any]] = {
    "title": ("title_key", str),
    "year": ("year", int),
    "rating": ("rating", Decimal),
    "votes": ("votes", int),
    "runtime": ("runtime", int),
}

FILTERS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "rating_gt": lambda table, value: table.rating > value,
    "rating_gte": lambda table, value: table.rating >= value,
    "rating_lt": lambda table, value: table.rating < value,
    "rating_lte": lambda table, value: table.rating <= value,
    "year_gte": lambda table, value: table.year >= value,
    "year_lte": lambda table, value: table.year <= value,
    "votes_gte": lambda table, value: table.votes >= value,
}


def configure(app: flask.Flask) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"].replace(
        "postgresql://", "postgresql+psycopg2://"
    )
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 12, "max_overflow": 0}
    db.init_app(app)


def conditional(body: Mapping[str, Any]) -> Response:
    """Return the body as JSON with an ETag; 304 where the caller has it."""
    response = flask.jsonify(body)
    response.add_etag()
    return response.make_conditional(flask.request)


def equals_setting(given: str, name: str) -> bool:
    return hmac.compare_digest(given.encode(), os.environ[name].encode())


def list_page(
    filters: Mapping[str, Any], *, genre: Sequence[str], page_size: int, sort: str, desc: bool, cursor: str | None
) -> dict[str, Any]:
    """Return the page as it is answered; raises InvalidCursor."""
    table: Any = Movie
    row_id: Any = Movie.id
    statement = db.select(Movie)
    if genre:
        genre_ids = find_genres(genre)
        if genre_ids is None:
            return {"movies": [], "next_cursor": None}
        table, row_id = MovieGenre, MovieGenre.movie_id
        statement = statement.join(MovieGenre, MovieGenre.movie_id == Movie.id)
        statement = statement.where(MovieGenre.genre_id == genre_ids[0])
        for genre_id in genre_ids[1:]:
            is_linked = exists().where(Other.movie_id == MovieGenre.movie_id, Other.genre_id == genre_id)
            statement = statement.where(is_linked)
    statement = statement.where(*[FILTERS[name](table, value) for name, value in filters.items()])
    name, parse = SORTS[sort]
    limit = page_size + 1
    after = _position(cursor, parse)
    rows = fetch_page(statement, getattr(table, name), row_id, desc=desc, limit=limit, after=after)
    last = rows[page_size - 1] if len(rows) > page_size else None
    next_cursor = write_cursor(getattr(last, name), last.id) if last else None
    return {"movies": movie_schema.dump(rows[:page_size], many=True), "next_cursor": next_cursor}


def _position(cursor: str | None, parse: Any) -> tuple[Any, UUID] | None:
    if cursor is None:
        return None
    try:
        key, row_id = read_cursor(cursor)
        return None if key is None else parse(key), UUID(row_id)
    except (ValueError, ArithmeticError) as error:
        raise InvalidCursor("the cursor is not one that this server has answered") from error


def fetch_page(
    statement: Select[Any], column: Any, row_id: Any, *, desc: bool, limit: int, after: tuple[Any, UUID] | None
) -> list[Movie]:
    """Return `limit` rows behind the position; rows without a value come last, as a second segment."""
    values, nulls = statement.where(column.is_not(None)), statement.where(column.is_(None))
    rows: list[Movie] = []
    if after is not None and after[0] is None:
        nulls = nulls.where(row_id < after[1] if desc else row_id > after[1])
    else:
        if after is not None:
            there, here = tuple_(column, row_id), tuple_(literal(after[0], column.type), literal(after[1]))
            values = values.where(there < here if desc else there > here)
        order = (column.desc(), row_id.desc()) if desc else (column, row_id)
        rows = list(db.session.scalars(values.order_by(*order).limit(limit)))
    if len(rows) < limit and column.key != "title_key":
        nulls = nulls.order_by(row_id.desc() if desc else row_id)
        rows += db.session.scalars(nulls.limit(limit - len(rows)))
    return rows


def find_genres(names: Sequence[str]) -> list[int] | None:
    """Return the ids of the genres; None where one is unknown."""
    keys = list(dict.fromkeys(fold(name) for name in names))
    rows = db.session.execute(db.select(Genre.name_key, Genre.id).where(Genre.name_key.in_(keys)))
    known = {row.name_key: row.id for row in rows}
    return [known[key] for key in keys] if len(known) == len(keys) else None


def add_movie(body: Mapping[str, Any], imdb_id: str | None) -> dict[str, Any]:
    """Store a movie, whose fields were checked; return it as it is answered."""
    genres = ensure_genres(body.get("genres", []))
    plain = {name: body[name] for name in ("title", "original_title", "year", "runtime", "votes") if name in body}
    rating = body.get("rating")
    movie = Movie(
        **plain,
        id=uuid7(),
        title_key=fold(body["title"]),
        rating=None if rating is None else Decimal(str(rating)),
        imdb_id=imdb_id,
        genres=[genre.name for genre in genres],
    )
    db.session.add(movie)
    db.session.flush()
    copied = {name: getattr(movie, name) for name, _ in SORTS.values()}
    db.session.add_all([MovieGenre(movie_id=movie.id, genre_id=genre.id, **copied) for genre in genres])
    answer: dict[str, Any] = movie_schema.dump(movie)
    db.session.commit()
    return answer


def ensure_genres(names: Sequence[str]) -> list[Genre]:
    """Return the genres in the given order; unknown ones are created."""
    wanted = {fold(name): name for name in names}
    statement = db.select(Genre).where(Genre.name_key.in_(wanted))
    known = {genre.name_key: genre for genre in db.session.scalars(statement)}
    missing = [{"name": name, "name_key": key} for key, name in wanted.items() if key not in known]
    if missing:
        db.session.execute(insert(Genre).values(missing).on_conflict_do_nothing())
        known = {genre.name_key: genre for genre in db.session.scalars(statement)}
    return [known[key] for key in wanted]
