"""Operations of movies, genres and datasets: one function per operationId."""

from typing import Any

import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.event_loop import leave_event_loop, on_event_loop
from shelflist.shared.idempotency import Answer, once
from shelflist.shared.lists import answer_list, answer_page, cursors
from shelflist.shared.paging import Listing, Page, Position
from shelflist.shared.problems import FieldError, InvalidRequest
from shelflist.shared.responses import attempt, bodiless, created, json_answer
from shelflist.shared.session import reading, writing

from . import changes, commands, dataset_queries, queries, representations


@on_event_loop
def list_movies(
    *,
    page_size: int,
    sort: str,
    desc: bool,
    cursor: str | None = None,
    after_id: str | None = None,
    **filters: Any,
) -> ResponseReturnValue:
    """GET /movies."""
    # Connexion also names who is calling, which no cursor may depend on.
    filters = {name: value for name, value in filters.items() if name not in ("user", "token_info")}
    if any(value is not None for value in filters.values()):
        # Planned for its values, on a connection of the pool.
        leave_event_loop()
    wanted = queries.MovieFilters(filters)
    listing = Listing("movies", sort, desc, filters)
    after = _start(listing, cursor, after_id)

    def read_page(position: Position | None, size: int) -> Page:
        with reading() as connection:
            return queries.list_movies(connection, wanted, sort=sort, desc=desc, after=position, page_size=size)

    represent, columns = representations.movies, representations.CSV_COLUMNS
    return answer_list(
        listing, read_page, represent, columns=columns, after=after, page_size=page_size, headers_of=_version_of
    )


def list_movie_changes(
    *, since: str, page_size: int, sort: str, desc: bool, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /movies/changes."""
    listing = Listing("changes", sort, desc, {"since": since})
    after = cursors().read(listing, cursor, changes.CHANGE_SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        start = changes.find_start(connection, since)

    def read_page(position: Position | None, size: int) -> Page:
        with reading() as connection:
            return changes.list_changes(connection, start.moment, sort=sort, desc=desc, after=position, page_size=size)

    def headers_of(page: Page | None) -> dict[str, str]:
        # Looked up before the rows: a version that is too old repeats changes, one that is too new would lose some.
        return _tell(page.rows[0].dataset_version if page and page.rows else start.version)

    represent, columns = representations.changes, representations.CHANGE_COLUMNS
    return answer_list(
        listing, read_page, represent, columns=columns, after=after, page_size=page_size, headers_of=headers_of
    )


@on_event_loop
def get_movie(movie_id: str) -> ResponseReturnValue:
    """GET /movies/{movie_id}."""
    with reading() as connection:
        row = queries.get_movie(connection, movie_id)
    return json_answer(representations.movie(row), headers=_tell(row.dataset_version))


def create_movie(body: dict[str, Any], user: str) -> ResponseReturnValue:
    """POST /movies."""
    with writing() as connection:

        def create() -> Answer:
            movie = representations.movie(commands.add_movie(connection, body))
            return Answer(201, {"Location": f"/movies/{movie['id']}"}, orjson.dumps(movie))

        answer = once(connection, attempt("POST /movies", user, body), create)
    return created(answer)


def update_movie(movie_id: str, body: dict[str, Any]) -> ResponseReturnValue:
    """PATCH /movies/{movie_id}."""
    with writing() as connection:
        row = commands.change_movie(connection, movie_id, body)
    return json_answer(representations.movie(row))


def delete_movie(movie_id: str) -> ResponseReturnValue:
    """DELETE /movies/{movie_id}."""
    with writing() as connection:
        commands.delete_movie(connection, movie_id)
    return bodiless(204)


def list_genres(*, page_size: int, sort: str, desc: bool, cursor: str | None = None) -> ResponseReturnValue:
    """GET /genres."""
    listing = Listing("genres", sort, desc, {})
    after = cursors().read(listing, cursor, queries.GENRE_SORTS[sort].key_type, int) if cursor else None
    with reading() as connection:
        page = queries.list_genres(connection, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.genres, headers=_version_of(page))


def list_datasets(*, page_size: int, sort: str, desc: bool, cursor: str | None = None) -> ResponseReturnValue:
    """GET /datasets."""
    listing = Listing("datasets", sort, desc, {})
    after = cursors().read(listing, cursor, dataset_queries.DATASET_SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        page = dataset_queries.list_datasets(connection, sort=sort, desc=desc, after=after, page_size=page_size)
        current = dataset_queries.current_datasets(connection)
    represent = representations.dataset_loads
    return answer_page(listing, page, represent, current=represent(current))


def list_rejected(
    dataset_load_id: str,
    *,
    page_size: int,
    sort: str,
    desc: bool,
    code: str | None = None,
    cursor: str | None = None,
) -> ResponseReturnValue:
    """GET /datasets/{dataset_load_id}/rejected."""
    filters = {"code": code}
    listing = Listing("rejected", sort, desc, {**filters, "dataset_load_id": dataset_load_id})
    after = cursors().read(listing, cursor, dataset_queries.REJECTED_SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        page = dataset_queries.list_rejected(
            connection, dataset_load_id, filters, sort=sort, desc=desc, after=after, page_size=page_size
        )
    return answer_page(listing, page, representations.rejected)


def _tell(version: str | None) -> dict[str, str]:
    return {"X-Dataset-Version": version} if version is not None else {}


def _version_of(page: Page | None) -> dict[str, str]:
    """Return the header with the version of the page's rows; where there are none, of now."""
    if page is not None and page.rows:
        return _tell(page.rows[0].dataset_version)
    with reading() as connection:
        return _tell(dataset_queries.current_version(connection))


def _start(listing: Listing, cursor: str | None, after_id: str | None) -> Position | None:
    if cursor is not None and after_id is not None:
        both = [
            FieldError(name, "exclusive", "cursor and after_id exclude each other") for name in ("cursor", "after_id")
        ]
        raise InvalidRequest("cursor and after_id exclude each other", errors=both)
    if after_id is not None:
        with reading() as connection:
            return queries.position_of(queries.get_movie(connection, after_id), listing.sort)
    return cursors().read(listing, cursor, queries.SORT_TYPES[listing.sort][1]) if cursor is not None else None
