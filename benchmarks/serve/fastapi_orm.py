"""FastAPI as its tutorial teaches it: SQLAlchemy's async ORM over asyncpg, pydantic models for what is answered."""

import os
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, PlainSerializer
from sqlalchemy import ColumnElement, Numeric, Select, SmallInteger, Text, exists, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.types import DateTime
from uuid6 import uuid7

from shelflist.shared.folding import fold

from .fastapi_models import MovieQuery, NewMovie, check_client
from .peer_cursors import read_cursor, write_cursor

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=12, max_overflow=0
)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - declared by SQLAlchemy
        str: Text,
        Decimal: Numeric(3, 1),
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
    }


class Movie(Base):
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


class Genre(Base):
    __tablename__ = "genres"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str]


class MovieGenre(Base):
    __tablename__ = "movie_genres"
    movie_id: Mapped[UUID] = mapped_column(primary_key=True)
    genre_id: Mapped[int] = mapped_column(primary_key=True)
    title_key: Mapped[str]
    year: Mapped[int | None] = mapped_column(SmallInteger)
    runtime: Mapped[int | None]
    rating: Mapped[Decimal | None]
    votes: Mapped[int | None]


Other = aliased(MovieGenre)


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[datetime, PlainSerializer(_timestamp, return_type=str)]


class MovieOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    original_title: str | None
    year: int | None
    runtime: int | None
    rating: float | None
    votes: int | None
    genres: list[str]
    imdb_id: str | None
    imdb_link: str | None
    source: Literal["imdb", "user"]
    created_at: Timestamp
    updated_at: Timestamp


class MoviePage(BaseModel):
    movies: list[MovieOut]
    next_cursor: str | None


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]

app = FastAPI()

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


@app.get("/movies", response_model=MoviePage)
async def list_movies(session: Session, query: Annotated[MovieQuery, Query()]) -> Any:
    table: Any = Movie
    row_id: Any = Movie.id
    statement = select(Movie)
    if query.genre:
        genre_ids = await find_genres(session, query.genre)
        if genre_ids is None:
            return {"movies": [], "next_cursor": None}
        table, row_id = MovieGenre, MovieGenre.movie_id
        statement = statement.join(MovieGenre, MovieGenre.movie_id == Movie.id)
        statement = statement.where(MovieGenre.genre_id == genre_ids[0])
        for genre_id in genre_ids[1:]:
            is_linked = exists().where(Other.movie_id == MovieGenre.movie_id, Other.genre_id == genre_id)
            statement = statement.where(is_linked)
    statement = statement.where(*[FILTERS[name](table, value) for name, value in query.filters().items()])
    name = SORTS[query.sort][0]
    column = getattr(table, name)
    rows = await fetch_page(session, statement, column, row_id, query)
    last = rows[query.page_size - 1] if len(rows) > query.page_size else None
    next_cursor = write_cursor(getattr(last, name), last.id) if last else None
    return {"movies": rows[: query.page_size], "next_cursor": next_cursor}


@app.get("/movies/{movie_id}", response_model=MovieOut)
async def get_movie(session: Session, movie_id: UUID) -> Any:
    movie = await session.get(Movie, movie_id)
    if movie is None:
        raise HTTPException(404, f"there is no movie {movie_id}")
    return movie


@app.post("/movies", status_code=201, response_model=MovieOut, dependencies=[Depends(check_client)])
async def create_movie(session: Session, body: NewMovie, response: Response) -> Any:
    genres = await ensure_genres(session, body.genres)
    movie = Movie(
        **body.model_dump(exclude={"genres", "imdb_link"}),
        id=uuid7(),
        title_key=fold(body.title),
        imdb_id=body.imdb_id,
        genres=[genre.name for genre in genres],
    )
    session.add(movie)
    await session.flush()
    copied = {name: getattr(movie, name) for name, _ in SORTS.values()}
    session.add_all([MovieGenre(movie_id=movie.id, genre_id=genre.id, **copied) for genre in genres])
    await session.commit()
    response.headers["Location"] = f"/movies/{movie.id}"
    return movie


async def ensure_genres(session: AsyncSession, names: Sequence[str]) -> list[Genre]:
    """Return the genres in the given order; unknown ones are created."""
    wanted = {fold(name): name for name in names}
    statement = select(Genre).where(Genre.name_key.in_(wanted))
    known = {genre.name_key: genre for genre in await session.scalars(statement)}
    missing = [{"name": name, "name_key": key} for key, name in wanted.items() if key not in known]
    if missing:
        await session.execute(insert(Genre).values(missing).on_conflict_do_nothing())
        known = {genre.name_key: genre for genre in await session.scalars(statement)}
    return [known[key] for key in wanted]


async def find_genres(session: AsyncSession, names: Sequence[str]) -> list[int] | None:
    """Return the ids of the genres; None where one is unknown."""
    keys = list(dict.fromkeys(fold(name) for name in names))
    rows = await session.execute(select(Genre.name_key, Genre.id).where(Genre.name_key.in_(keys)))
    known = {row.name_key: row.id for row in rows}
    return [known[key] for key in keys] if len(known) == len(keys) else None


def position(query: MovieQuery) -> tuple[Any, UUID] | None:
    """Return the key and the id that the cursor holds, None at the start of the list."""
    if query.cursor is None:
        return None
    try:
        key, row_id = read_cursor(query.cursor)
        return None if key is None else SORTS[query.sort][1](key), UUID(row_id)
    except (ValueError, ArithmeticError) as error:
        raise HTTPException(400, "the cursor is not one that this server has answered") from error


async def fetch_page(
    session: AsyncSession, statement: Select[Any], column: Any, row_id: Any, query: MovieQuery
) -> list[Movie]:
    """Return page_size + 1 rows behind the cursor; rows without a value come last, as a second segment."""
    limit = query.page_size + 1
    after = position(query)
    values, nulls = statement.where(column.is_not(None)), statement.where(column.is_(None))
    rows: list[Movie] = []
    if after is not None and after[0] is None:
        nulls = nulls.where(row_id < after[1] if query.desc else row_id > after[1])
    else:
        if after is not None:
            there, here = tuple_(column, row_id), tuple_(literal(after[0], column.type), literal(after[1]))
            values = values.where(there < here if query.desc else there > here)
        order = (column.desc(), row_id.desc()) if query.desc else (column, row_id)
        rows = list(await session.scalars(values.order_by(*order).limit(limit)))
    if len(rows) < limit and query.sort != "title":
        nulls = nulls.order_by(row_id.desc() if query.desc else row_id)
        rows += await session.scalars(nulls.limit(limit - len(rows)))
    return rows
