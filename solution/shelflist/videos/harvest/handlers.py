"""Operations of feeds: one function per operationId."""

from datetime import timedelta
from typing import Any

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared import clock
from shelflist.shared.idempotency import Answer, once
from shelflist.shared.lists import answer_page, cursors
from shelflist.shared.paging import Listing
from shelflist.shared.responses import attempt, bodiless, created, json_answer
from shelflist.shared.session import reading, writing
from shelflist.shared.settings import Settings

from . import commands, queries, representations
from .quota import read_quota


def list_feeds(
    *,
    page_size: int,
    sort: str,
    desc: bool,
    enabled: bool | None = None,
    q: str | None = None,
    cursor: str | None = None,
) -> ResponseReturnValue:
    """GET /feeds."""
    filters = {"enabled": enabled, "q": q}
    listing = Listing("feeds", sort, desc, filters)
    after = cursors().read(listing, cursor, queries.FEED_SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        page = queries.list_feeds(connection, filters, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.feeds)


def create_feed(body: dict[str, Any], user: str) -> ResponseReturnValue:
    """POST /feeds."""
    with writing() as connection:

        def create() -> Answer:
            feed = representations.feed(commands.add_feed(connection, body))
            return Answer(201, {"Location": f"/feeds/{feed['id']}"}, orjson.dumps(feed))

        answer = once(connection, attempt("POST /feeds", user, body), create)
    return created(answer)


def get_feeds_quota() -> ResponseReturnValue:
    """GET /feeds/quota."""
    with reading() as connection:
        found = read_quota(connection, _settings(), clock.now())
    return json_answer(representations.quota(found))


def get_feed(feed_id: str) -> ResponseReturnValue:
    """GET /feeds/{feed_id}."""
    with reading() as connection:
        row = queries.get_feed(connection, feed_id)
    return json_answer(representations.feed(row))


def update_feed(feed_id: str, body: dict[str, Any]) -> ResponseReturnValue:
    """PATCH /feeds/{feed_id}."""
    with writing() as connection:
        row = commands.change_feed(connection, feed_id, body, _settings().time_delay)
    return json_answer(representations.feed(row))


def delete_feed(feed_id: str) -> ResponseReturnValue:
    """DELETE /feeds/{feed_id}."""
    with writing() as connection:
        commands.delete_feed(connection, feed_id)
    return bodiless(204)


def list_feed_runs(
    feed_id: str,
    *,
    page_size: int,
    sort: str,
    desc: bool,
    outcome: str | None = None,
    cursor: str | None = None,
) -> ResponseReturnValue:
    """GET /feeds/{feed_id}/runs."""
    filters = {"outcome": outcome}
    listing = Listing("runs", sort, desc, {**filters, "feed_id": feed_id})
    after = cursors().read(listing, cursor, queries.RUN_SORTS[sort].key_type) if cursor else None
    with reading() as connection:
        page = queries.list_runs(connection, feed_id, filters, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.runs)


def get_feed_statistics(feed_id: str, days: int) -> ResponseReturnValue:
    """GET /feeds/{feed_id}/statistics."""
    today = clock.now().date()
    first = today - timedelta(days=days - 1)
    with reading() as connection:
        counted = queries.get_statistics(connection, feed_id, first, today)
    return json_answer(representations.statistics(counted, first, today))


def _settings() -> Settings:
    found: Settings = flask.current_app.extensions["shelflist.settings"]
    return found
