"""Operations of single videos and their lists: one function per operationId."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.idempotency import Answer, once
from shelflist.shared.lists import answer_list, cursors
from shelflist.shared.paging import Listing, Page, Position
from shelflist.shared.responses import attempt, bodiless, created, json_answer, list_answer, preferred_media_type
from shelflist.shared.session import db, reading, writing
from shelflist.shared.settings import Settings

from . import commands, newest, queries, representations, similarity

_NEWEST = Listing("videos", "published_at", True, dict.fromkeys(queries.FILTERS))
"""What is listed where a caller says nothing."""


def list_videos(
    *, page_size: int, sort: str, desc: bool, cursor: str | None = None, **parameters: Any
) -> ResponseReturnValue:
    """GET /videos."""
    # Connexion also names who is calling, which no cursor may depend on.
    filters = {name: parameters.get(name) for name in queries.FILTERS}
    listing = Listing("videos", sort, desc, filters)
    after = cursors().read(listing, cursor, queries.SORTS[sort].key_type, int) if cursor is not None else None

    def read_page(position: Position | None, size: int) -> Page:
        with reading() as connection:
            return queries.list_videos(connection, filters, sort=sort, desc=desc, after=position, page_size=size)

    if listing == _NEWEST and cursor is None and _wants_json():
        return _newest_page(read_page, page_size)
    columns = representations.CSV_COLUMNS
    return answer_list(listing, read_page, representations.videos, columns=columns, after=after, page_size=page_size)


def create_video(body: dict[str, Any], user: str) -> ResponseReturnValue:
    """POST /videos."""
    with _announced(), writing() as connection:

        def create() -> Answer:
            video = representations.video(commands.add_video(connection, body))
            return Answer(201, {"Location": f"/videos/{video['content_id']}"}, orjson.dumps(video))

        answer = once(connection, attempt("POST /videos", user, body), create)
    return created(answer)


def get_video(content_id: str, fields: list[str] | None = None) -> ResponseReturnValue:
    """GET /videos/{content_id}."""
    with reading() as connection:
        row = queries.get_video(connection, content_id)
    return json_answer(representations.video(row, fields))


def update_video(content_id: str, body: dict[str, Any]) -> ResponseReturnValue:
    """PATCH /videos/{content_id}."""
    with _announced(), writing() as connection:
        row = commands.change_video(connection, content_id, body)
    return json_answer(representations.video(row))


def delete_video(content_id: str) -> ResponseReturnValue:
    """DELETE /videos/{content_id}."""
    with _announced(), writing() as connection:
        commands.delete_video(connection, content_id)
    return bodiless(204)


def get_similar_videos(content_id: str, limit: int) -> ResponseReturnValue:
    """GET /videos/{content_id}/similar."""
    with reading() as connection:
        found = similarity.similar_videos(connection, content_id, limit)
    return json_answer({"videos": representations.similar_videos(found)})


def _newest_page(read_page: Callable[[Position | None, int], Page], page_size: int) -> ResponseReturnValue:
    def read() -> newest.Page:
        page = read_page(None, page_size)
        next_cursor = cursors().write(_NEWEST, page.next) if page.next is not None else None
        return newest.Page(orjson.dumps(representations.videos(page.rows)), next_cursor)

    found = newest.newest_page(db.engine, _settings(), page_size, read)
    rows: Any = orjson.Fragment(found.rows)
    return list_answer(_NEWEST.name, rows, found.next_cursor)


def _wants_json() -> bool:
    return preferred_media_type("application/json", "text/csv", "application/x-ndjson") == "application/json"


def _announced() -> AbstractContextManager[None]:
    return newest.announced(db.engine, _settings())


def _settings() -> Settings:
    found: Settings = flask.current_app.extensions["shelflist.settings"]
    return found
