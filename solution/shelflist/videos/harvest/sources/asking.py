"""What asking any source has in common: the call, the JSON that comes back, and the wait that a refusal asks for."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from shelflist.shared import clock
from shelflist_http import Fetched, HttpError, Limits, fetch

from .found import BadAnswer, Unavailable

# Fifty descriptions of the greatest length make 3 MB of JSON; above that there is room for one item gone mad, which
# is left out of its page instead of taking the page with it.
LIMITS = Limits(connect_seconds=5.0, idle_seconds=10.0, total_seconds=30.0, max_bytes=32 * 1024 * 1024)
"""Bounds of one call of a source."""

LONGEST_WAIT = 86_400.0
"""The most seconds that a source can ask to wait: a day."""


def ask(url: str, params: Mapping[str, str], limits: Limits) -> Fetched:
    """Return what `url` answers, with any status; raises Unavailable where nothing comes."""
    try:
        return fetch(url, params, limits)
    except HttpError as error:
        raise Unavailable(f"no answer: {error}", reason=error.reason) from error


def parse(body: bytes) -> Any:
    """Return the JSON value in `body`; raises ValueError, for a value that is too deep or too large as well.

    Bytes that are no UTF-8 become U+FFFD, and half a surrogate pair stays: both spoil one text instead of all.
    """
    try:
        return json.loads(body.decode("utf-8-sig", "replace"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_json(answered: Fetched, name: str) -> Any:
    """Return the JSON value of an answer of `name`; raises BadAnswer, of reason `html` for a web page, else `json`."""
    try:
        return parse(answered.body)
    except ValueError:
        is_page = answered.body.lstrip()[:1] == b"<" or "html" in answered.headers.get("Content-Type", "")
    if is_page:
        raise BadAnswer(f"{name} answered with a web page", reason="html")
    raise BadAnswer(f"{name} answered something else than JSON", reason="json")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that Retry-After (RFC 9110, 10.2.3) asks to wait, from 0 to a day; None where it does not."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT)
    until = _http_date(text)
    if until is None:
        return None
    # By the clock of the sender, where it tells: ours may be set otherwise.
    seconds = (until - (_http_date(headers.get("Date", "")) or clock.now())).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
