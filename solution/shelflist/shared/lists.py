"""Answers of lists: one page as JSON, or every match as CSV or NDJSON, whichever the caller asks for."""

from collections.abc import Callable, Sequence
from typing import Any

import flask
import sqlalchemy as sa

from .exports import as_csv, as_ndjson, whole_list
from .paging import Cursors, Listing, Page, Position
from .responses import list_answer, preferred_media_type, stream_answer

Bodies = list[dict[str, Any]]
Represent = Callable[[Sequence[sa.Row[Any]]], Bodies]


def cursors() -> Cursors:
    """Return what writes and reads this installation's cursors."""
    found: Cursors = flask.current_app.extensions["shelflist.cursors"]()
    return found


def answer_page(listing: Listing, page: Page, represent: Represent, **more: Any) -> flask.Response:
    """Return one page of the list, whose name is its plural key."""
    next_cursor = cursors().write(listing, page.next) if page.next is not None else None
    return list_answer(listing.name, represent(page.rows), next_cursor, **more)


def answer_list(
    listing: Listing,
    read_page: Callable[[Position | None, int], Page],
    represent: Represent,
    *,
    columns: Sequence[str],
    after: Position | None,
    page_size: int,
) -> flask.Response:
    """Return the page behind `after`, or all that follows it where the caller accepts a stream.

    `columns` are those of CSV.
    """
    media_type = preferred_media_type("application/json", "text/csv", "application/x-ndjson")
    if media_type == "application/json":
        return answer_page(listing, read_page(after, page_size), represent)
    batches = (represent(rows) for rows in whole_list(read_page, after))
    if media_type == "text/csv":
        return stream_answer(as_csv(columns, batches), media_type, f"{listing.name}.csv")
    return stream_answer(as_ndjson(batches), media_type, f"{listing.name}.ndjson")
