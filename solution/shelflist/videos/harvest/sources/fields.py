"""The fields of an item of an answer, checked one by one, so that an item that is wrong spoils itself alone."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ...rules import CONTENT_ID, CONTROL
from .found import FoundVideo

LONGEST_CHANNEL_ID = 128
LONGEST_CHANNEL_TITLE = 500
MOST_THUMBNAILS = 20
LONGEST_THUMBNAIL_NAME = 50
LONGEST_THUMBNAIL_URL = 2000
GREATEST_THUMBNAIL = 100_000
"""Pixels of a side."""
YEARS = range(1970, 9999)
"""Dates outside are slips; besides, year 9999 has hours that other time zones cannot show."""

LONGEST_TIMESTAMP = 40
_URL = re.compile(r"https?://[!-~]+")
# PostgreSQL keeps neither in a text.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unreadable(ValueError):
    """An item that is no video, or not one that can be kept."""


MOST_ITEMS = 200
"""Of one answer; a page has fifty."""


def read_items(items: Sequence[Any], read: Callable[[Any], FoundVideo]) -> tuple[tuple[FoundVideo, ...], int]:
    """Return the videos that `read` makes of items, in their order, and the number of those left out.

    Those are the items that are Unreadable, and all beyond MOST_ITEMS.
    """
    videos, skipped = [], max(0, len(items) - MOST_ITEMS)
    for item in items[:MOST_ITEMS]:
        try:
            videos.append(read(item))
        except Unreadable:
            skipped += 1
    return tuple(videos), skipped


def members(value: Any) -> Mapping[str, Any]:
    """Return a JSON object; raises Unreadable for any other value."""
    if not isinstance(value, dict):
        raise Unreadable("not an object")
    return value


def content_id(value: Any) -> str:
    """Return an id that a video may have; raises Unreadable for any other value."""
    if not isinstance(value, str) or not CONTENT_ID.fullmatch(value):
        raise Unreadable("no usable id")
    return value


def text(value: Any, longest: int, decode: Callable[[str], str] = str) -> str | None:
    """Return a text of at most `longest` characters after `decode`, None for an empty or missing one.

    Raises Unreadable for a longer text, one that cannot be stored, or a value of another type.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unreadable("not a text")
    decoded = decode(value)
    if len(decoded) > longest or _UNSTORABLE.search(decoded):
        raise Unreadable("a text that cannot be kept")
    return decoded or None


def title(value: Any, longest: int, decode: Callable[[str], str] = str) -> str:
    """Return a text as `text` does; raises Unreadable for one of white space alone, too."""
    found = text(value, longest, decode)
    if found is None or not found.strip():
        raise Unreadable("no title")
    return found


def timestamp(value: Any) -> datetime:
    """Return the moment, in UTC, of an RFC 3339 text; raises Unreadable for any other value and absurd years."""
    if not isinstance(value, str) or len(value) > LONGEST_TIMESTAMP or "T" not in value:
        raise Unreadable("not a timestamp")
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise Unreadable("a timestamp without a zone")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unreadable("not a timestamp") from error
    if moment.year not in YEARS:
        raise Unreadable("an absurd year")
    return moment


def epoch(value: Any) -> datetime | None:
    """Return the moment, in UTC, of seconds since 1970; None where missing, 0 or absurd, as sources fill gaps.

    Raises Unreadable for values that are no integers.
    """
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable("not a number of seconds")
    try:
        moment = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if value > 0 and moment.year in YEARS else None


def thumbnails(named: Iterable[tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    """Return the pictures that can be kept, by size: the first of each name, and of them the first twenty.

    A picture that is wrong is left out alone: a video is worth more than its pictures.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in named:
        picture = _picture(value)
        if picture is not None and _is_thumbnail_name(name):
            found.setdefault(name, picture)
        if len(found) == MOST_THUMBNAILS:
            break
    return found


def _is_thumbnail_name(name: Any) -> bool:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_THUMBNAIL_NAME:
        return False
    return not CONTROL.search(name) and not _UNSTORABLE.search(name)


def _picture(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict) or not _is_public_url(value.get("url")):
        return None
    return {"url": value["url"], "width": _side(value.get("width")), "height": _side(value.get("height"))}


def _is_public_url(url: Any) -> bool:
    """Return whether the API may show it: http or https, in ASCII, without user or password."""
    if not isinstance(url, str) or len(url) > LONGEST_THUMBNAIL_URL or not _URL.fullmatch(url):
        return False
    try:
        return "@" not in urlsplit(url).netloc
    except ValueError:
        return False


def _side(value: Any) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 1 <= value <= GREATEST_THUMBNAIL else None
