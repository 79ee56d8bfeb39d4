"""FastAPI, hand-tuned: asyncpg with prepared SQL instead of an ORM, JSON by orjson instead of response models."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response

from . import asyncpg_movies
from .fastapi_models import MovieQuery, NewMovie, check_client


@asynccontextmanager
async def lifespan(api: FastAPI) -> AsyncIterator[None]:
    async with await asyncpg_movies.open_pool() as pool:
        api.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)

IfNoneMatch = Annotated[str | None, Header()]


@app.get("/movies")
async def list_movies(
    request: Request, query: Annotated[MovieQuery, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    try:
        body = await asyncpg_movies.list_movies(
            request.app.state.pool,
            page_size=query.page_size,
            sort=query.sort,
            desc=query.desc,
            cursor=query.cursor,
            filters=query.filters(),
            genres=query.genre,
        )
    except ValueError as error:
        raise HTTPException(400, "the cursor is not one that this server has answered") from error
    return conditional(body, if_none_match)


@app.get("/movies/{movie_id}")
async def get_movie(request: Request, movie_id: UUID, if_none_match: IfNoneMatch = None) -> Response:
    body = await asyncpg_movies.get_movie(request.app.state.pool, str(movie_id))
    if body is None:
        raise HTTPException(404, f"there is no movie {movie_id}")
    return conditional(body, if_none_match)


@app.post("/movies", dependencies=[Depends(check_client)])
async def create_movie(request: Request, movie: NewMovie) -> Response:
    fields = {**movie.model_dump(exclude={"imdb_link"}), "imdb_id": movie.imdb_id}
    movie_id, body = await asyncpg_movies.create_movie(request.app.state.pool, fields)
    headers = {"Location": f"/movies/{movie_id}"}
    return Response(body, status_code=201, headers=headers, media_type="application/json")


def conditional(body: bytes, if_none_match: str | None) -> Response:
    etag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    if if_none_match == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, headers={"ETag": etag}, media_type="application/json")
