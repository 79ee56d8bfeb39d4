"""The YouTube Data API, version 3: search.list and videos.list (https://developers.google.com/youtube/v3/docs)."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from shelflist_http import Limits

from .asking import LIMITS, ask, read_json
from .fields import (
    LONGEST_CHANNEL_ID,
    LONGEST_CHANNEL_TITLE,
    Unreadable,
    content_id,
    members,
    read_items,
    text,
    thumbnails,
    timestamp,
    title,
)
from .found import LONGEST_DESCRIPTION, LONGEST_TITLE, Answer, BadAnswer, FoundVideo
from .youtube_errors import refusal

PAGE_SIZE = 50
"""The most videos of one answer."""

LONGEST_PAGE_TOKEN = 2000
_VIDEO = "youtube#video"
_LIVE_STATES = ("none", "live", "upcoming")


@dataclass(frozen=True)
class Search:
    """What to search for; the moments carry their zone, and `page` is an answer's next_page."""

    query: str
    published_after: datetime
    published_before: datetime | None = None
    page: str | None = None


def search(base_url: str, key: str, wanted: Search, limits: Limits = LIMITS) -> Answer:
    """Return one page of videos, about newest first, by search.list; a call of the day's search quota.

    Repeated videos stay repeated. Raises SourceError, of which no text holds the key, and ValueError for moments
    without a zone.
    """
    params = {
        "part": "snippet",
        "type": "video",
        "order": "date",
        "maxResults": str(PAGE_SIZE),
        "q": wanted.query,
        "publishedAfter": _whole_second(wanted.published_after),
    }
    if wanted.published_before is not None:
        # Rounded up where the start is rounded down: no part of a second falls out of the window.
        params["publishedBefore"] = _whole_second(wanted.published_before + timedelta(microseconds=999_999))
    if wanted.page is not None:
        params["pageToken"] = wanted.page
    return _ask(base_url, key, _SEARCH, params, limits)


def list_videos(base_url: str, key: str, content_ids: Sequence[str], limits: Limits = LIMITS) -> Answer:
    """Return those of at most 50 videos that are still there, with descriptions in full, by videos.list; one unit.

    Asks nothing for no ids. Raises SourceError, of which no text holds the key, and ValueError for more than 50 ids.
    """
    if len(content_ids) > PAGE_SIZE:
        raise ValueError(f"at most {PAGE_SIZE} ids can be asked for at once")
    if not content_ids:
        return Answer((), 0)
    # No maxResults: the API does not support it beside ids, of which it answers all.
    return _ask(base_url, key, _LIST, {"part": "snippet", "id": ",".join(content_ids)}, limits)


def _whole_second(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _search_identity(item: Any) -> tuple[Any, Any]:
    named = members(members(item).get("id"))
    return named.get("kind"), named.get("videoId")


def _list_identity(item: Any) -> tuple[Any, Any]:
    return members(item).get("kind"), item.get("id")


@dataclass(frozen=True)
class _Method:
    """How the items of a method say their kind and id, and how their texts become plain."""

    name: str
    identity: Callable[[Any], tuple[Any, Any]]
    decode: Callable[[str], str]


# Only search.list escapes its texts for HTML.
_SEARCH = _Method("search", _search_identity, html.unescape)
_LIST = _Method("videos", _list_identity, str)


def _ask(base_url: str, key: str, method: _Method, params: Mapping[str, str], limits: Limits) -> Answer:
    answered = ask(f"{base_url.rstrip('/')}/{method.name}", {**params, "key": key}, limits)
    if answered.status != 200:
        raise refusal(answered, key)
    body = read_json(answered, "YouTube")
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list):
        raise BadAnswer("YouTube answered JSON without a list of items", reason="json")
    videos, skipped = read_items(items, partial(_read, method))
    ids = frozenset(filter(None, map(partial(_id, method), items)))
    next_page = _next_page(body.get("nextPageToken"))
    return Answer(videos, skipped, next_page, ids - {video.content_id for video in videos})


def _next_page(token: Any) -> str | None:
    is_token = isinstance(token, str) and token.isascii() and 0 < len(token) <= LONGEST_PAGE_TOKEN
    return token if is_token else None


def _id(method: _Method, item: Any) -> str | None:
    try:
        return content_id(method.identity(item)[1])
    except Unreadable:
        return None


def _read(method: _Method, item: Any) -> FoundVideo:
    kind, video_id = method.identity(item)
    if kind != _VIDEO:
        raise Unreadable("not a video")
    given, decode = members(item.get("snippet")), method.decode
    return FoundVideo(
        content_id=content_id(video_id),
        title=title(given.get("title"), LONGEST_TITLE, decode),
        description=text(given.get("description"), LONGEST_DESCRIPTION, decode),
        channel_id=text(given.get("channelId"), LONGEST_CHANNEL_ID),
        channel_title=text(given.get("channelTitle"), LONGEST_CHANNEL_TITLE, decode),
        published_at=timestamp(given.get("publishedAt")),
        is_published_approximate=False,
        thumbnails=_thumbnails(given.get("thumbnails")),
        live_state=_live_state(given.get("liveBroadcastContent")),
        source="youtube",
    )


def _thumbnails(sizes: Any) -> dict[str, dict[str, Any]]:
    return {} if sizes is None else thumbnails(members(sizes).items())


def _live_state(word: Any) -> str:
    if word is not None and not isinstance(word, str):
        raise Unreadable("not a text")
    return word if word in _LIVE_STATES else "none"
