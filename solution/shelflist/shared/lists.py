"""Answers of lists: one page as JSON, or every match as CSV or NDJSON, whichever the caller asks for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flask
import sqlalchemy as sa

from .exports import as_csv, as_ndjson, whole_list
from .paging import Cursors, Listing, Page, Position
from .responses import WholeAnswer, list_answer, preferred_media_type, stream_answer

Bodies = list[dict[str, Any]]
Represent = Callable[[Sequence[sa.Row[Any]]], Bodies]
Headers = Mapping[str, str]


def cursors() -> Cursors:
    """Return what writes and reads this installation's cursors."""
    found: Cursors = flask.current_app.extensions["shelflist.cursors"]()
    return found


def answer_page(
    listing: Listing, page: Page, represent: Represent, *, headers: Headers | None = None, **more: Any
) -> WholeAnswer:
    """Return one page of the list, whose name is its plural key."""
    next_cursor = cursors().write(listing, page.next) if page.next is not None else None
    return list_answer(listing.name, represent(page.rows), next_cursor, headers=headers, **more)


def answer_list(
    listing: Listing,
    read_page: Callable[[Position | None, int], Page],
    represent: Represent,
    *,
    columns: Sequence[str],
    after: Position | None,
    page_size: int,
    headers_of: Callable[[Page | None], Headers] = lambda _: {},
) -> WholeAnswer | flask.Response:
    """Return the page behind `after`, or all that follows it where the caller accepts a stream.

    `columns` are those of CSV. `headers_of` is asked for the answer's own headers: of the first page that was read, or
    of None where nothing is read.
    """
    # Before anything is read: the first time its secret is looked up, which is nothing for the event loop.
    cursors()
    media_type = preferred_media_type("application/json", "text/csv", "application/x-ndjson")
    if media_type == "application/json":
        page = read_page(after, page_size)
        return answer_page(listing, page, represent, headers=headers_of(page))
    first: list[Page] = []

    def read_noted(position: Position | None, size: int) -> Page:
        page = read_page(position, size)
        if not first:
            first.append(page)
        return page

    def headers() -> Headers:
        return headers_of(first[0] if first else None)

    batches = (represent(rows) for rows in whole_list(read_noted, after))
    if media_type == "text/csv":
        return stream_answer(as_csv(columns, batches), media_type, f"{listing.name}.csv", headers)
    return stream_answer(as_ndjson(batches), media_type, f"{listing.name}.ndjson", headers)
