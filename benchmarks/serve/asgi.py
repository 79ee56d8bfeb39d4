"""Bare ASGI with asyncpg and orjson: the limit. Nothing is declared and only what the load asks for is read."""

import hashlib
import hmac
import os
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import asyncpg
import orjson

from . import asyncpg_movies

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

CLIENT = (os.environ["CLIENT_ID"].encode(), os.environ["CLIENT_SECRET"].encode())

pool: asyncpg.Pool


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["path"] == "/movies":
        await (create_movie if scope["method"] == "POST" else list_movies)(scope, receive, send)
    elif scope["path"].startswith("/movies/"):
        body = await asyncpg_movies.get_movie(pool, scope["path"][8:])
        await (answer_conditional(scope, send, body) if body is not None else answer(send, 404, b"{}"))
    else:
        await answer(send, 404, b"{}")


async def live(receive: Receive, send: Send) -> None:
    global pool  # noqa: PLW0603 - one a process
    await receive()
    pool = await asyncpg_movies.open_pool()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await send({"type": "lifespan.shutdown.complete"})


async def list_movies(scope: dict[str, Any], _receive: Receive, send: Send) -> None:
    given = dict(parse_qsl(scope["query_string"].decode()))
    body = await asyncpg_movies.list_movies(
        pool,
        page_size=int(given.get("page_size", 10)),
        sort=given.get("sort", "title"),
        desc=given.get("desc") == "true",
        cursor=given.get("cursor"),
    )
    await answer_conditional(scope, send, body)


async def create_movie(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    headers = dict(scope["headers"])
    pairs = zip(CLIENT, (headers.get(b"client-id", b""), headers.get(b"client-secret", b"")), strict=True)
    if not all(hmac.compare_digest(*pair) for pair in pairs):
        await answer(send, 401, b"{}")
        return
    message = await receive()
    parts = [message["body"]]
    while message.get("more_body"):
        message = await receive()
        parts.append(message["body"])
    movie_id, body = await asyncpg_movies.create_movie(pool, orjson.loads(b"".join(parts)))
    await answer(send, 201, body, (b"location", f"/movies/{movie_id}".encode()))


async def answer_conditional(scope: dict[str, Any], send: Send, body: bytes) -> None:
    etag = b'"' + hashlib.blake2b(body, digest_size=16).hexdigest().encode() + b'"'
    for name, value in scope["headers"]:
        if name == b"if-none-match" and value == etag:
            await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", etag)]})
            await send({"type": "http.response.body", "body": b""})
            return
    await answer(send, 200, body, (b"etag", etag))


async def answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    plain = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": plain})
    await send({"type": "http.response.body", "body": body})
