"""The YouTube Data API v3 as far as harvesting needs it: search.list and videos.list.

https://developers.google.com/youtube/v3/docs/search/list
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import errors, texts
from .answers import Answer, Call, encoded
from .errors import ApiError
from .video import Video, parse_rfc3339, rfc3339
from .world import World

MAX_RESULTS = 500
PAGE_LIMIT = 50

_GENERAL = frozenset(("alt", "fields", "prettyPrint", "quotaUser", "$.xgafv", "callback"))
_SEARCH = _GENERAL | frozenset(
    (
        *("part", "q", "type", "order", "publishedAfter", "publishedBefore", "maxResults", "pageToken"),
        *("channelId", "channelType", "eventType", "location", "locationRadius", "regionCode", "relevanceLanguage"),
        *("safeSearch", "topicId", "videoCaption", "videoCategoryId", "videoDefinition", "videoDimension"),
        *("videoDuration", "videoEmbeddable", "videoLicense", "videoPaidProductPlacement", "videoSyndicated"),
        *("videoType", "forContentOwner", "forDeveloper", "forMine", "onBehalfOfContentOwner"),
    )
)
_VIDEOS = _GENERAL | frozenset(("part", "id", "hl", "maxResults", "maxWidth", "maxHeight", "regionCode"))
_TYPES = frozenset(("video", "channel", "playlist"))
# As the real one, neither is the order strict nor does it change from page to page.
_DISPLACED_SHARE, _DISPLACED_SECONDS, _LIVE_LEAD = 0.1, 400, timedelta(hours=1)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{4,12}")
_THUMBNAILS = (("default", "default", 120, 90), ("medium", "mqdefault", 320, 180), ("high", "hqdefault", 480, 360))
_LARGE_THUMBNAILS = (("standard", "sddefault", 640, 480), ("maxres", "maxresdefault", 1280, 720))


@dataclass(frozen=True)
class Search:
    """The parameters of one search.list, read and checked."""

    query: str
    types: frozenset[str]
    order: str
    after: datetime | None
    before: datetime | None
    limit: int
    offset: int
    event: str | None
    channel: str | None


def search(world: World, call: Call) -> Answer:
    """Return the answer to search.list; raises ApiError for parameters that the API refuses."""
    asked = read_search(call.params)
    ranked = _ranked(world, call, asked)
    page = ranked[asked.offset : min(asked.offset + asked.limit, MAX_RESULTS)]
    body: dict[str, Any] = {"kind": "youtube#searchListResponse", "etag": ""}
    end = asked.offset + asked.limit
    if asked.limit and end < min(len(ranked), MAX_RESULTS):
        body["nextPageToken"] = page_token(end)
    if asked.limit and asked.offset:
        body["prevPageToken"] = page_token(asked.offset, is_backward=True)
    body["regionCode"] = call.params.get("regionCode", "US")
    body["pageInfo"] = {"totalResults": _estimate(len(ranked), asked.limit), "resultsPerPage": asked.limit}
    body["items"] = [search_item(video) for video in page] + _other_items(call, asked)
    return Answer(200, {**body, "etag": _etag(body)})


def videos(world: World, call: Call) -> Answer:
    """Return the answer to videos.list, which leaves out what there is not; raises ApiError for bad parameters."""
    _check_names(call.params, _VIDEOS)
    _check_part(call.params)
    ids = [part.strip() for part in call.params.get("id", "").split(",") if part.strip()]
    if not ids:
        message = "No filter selected. Expected one of: id, myRating, chart"
        raise ApiError(errors.invalid_parameter("parameters.", message, "missingRequiredParameter"))
    if len(ids) > PAGE_LIMIT:
        raise ApiError(errors.invalid_parameter("id", "The request specifies an invalid filter parameter."))
    found = [video for video in (world.find(one, call.now) for one in dict.fromkeys(ids)) if video is not None]
    items = [_list_item(video) for video in found]
    info = {"totalResults": len(items), "resultsPerPage": len(items)}
    body = {"kind": "youtube#videoListResponse", "etag": "", "items": items, "pageInfo": info}
    return Answer(200, {**body, "etag": _etag(body)})


def read_search(params: Mapping[str, str]) -> Search:
    """Return the parameters of search.list; raises ApiError for those that the API refuses."""
    _check_names(params, _SEARCH)
    _check_part(params)
    types = frozenset(part for part in params.get("type", "").split(",") if part)
    if not types <= _TYPES:
        raise ApiError(errors.invalid_parameter("type", f"Invalid value '{params['type']}'."))
    order = params.get("order", "relevance")
    if order not in _ORDERS:
        raise ApiError(errors.invalid_argument("order", f"Invalid value at 'order': \"{order}\"", "badRequest"))
    limit = _limit(params.get("maxResults", "5"))
    return Search(
        query=params.get("q", ""),
        types=types or _TYPES,
        order=order,
        after=_moment(params, "publishedAfter", "published_after"),
        before=_moment(params, "publishedBefore", "published_before"),
        limit=limit,
        offset=_offset(params.get("pageToken"), limit),
        event=params.get("eventType"),
        channel=params.get("channelId"),
    )


def page_token(offset: int, *, is_backward: bool = False) -> str:
    """Return the opaque name of the page at `offset`, or of the page before it: two numbers in Protocol Buffers."""
    low = bytes([offset & 0x7F | 0x80, offset >> 7]) if offset > 0x7F else bytes([offset])
    return base64.urlsafe_b64encode(b"\x08" + low + b"\x10" + bytes([is_backward])).rstrip(b"=").decode()


def _offset(token: str | None, limit: int) -> int:
    if not token:
        return 0
    if _TOKEN.fullmatch(token):
        for offset in range(MAX_RESULTS + 1):
            if token == page_token(offset):
                return offset
            if token == page_token(offset, is_backward=True):
                return max(offset - limit, 0)
    message = "The request specifies an invalid page token."
    raise ApiError(errors.invalid_parameter("pageToken", message, "invalidPageToken", "youtube.parameter"))


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ApiError(errors.invalid_argument("max_results", f"Invalid value at 'max_results' (TYPE_UINT32), {text}"))
    if int(text[:9]) > PAGE_LIMIT:
        message = f"Invalid value '{text}'. Values must be within the range: [0, {PAGE_LIMIT}]"
        raise ApiError(errors.invalid_parameter("maxResults", message))
    return int(text)


def _moment(params: Mapping[str, str], name: str, field: str) -> datetime | None:
    if name not in params:
        return None
    try:
        return parse_rfc3339(params[name])
    except ValueError as error:
        message = (
            f"Invalid value at '{field}' (type.googleapis.com/google.protobuf.Timestamp), Field '{field}', "
            "Illegal timestamp format; timestamps must end with 'Z' or have a valid timezone offset."
        )
        raise ApiError(errors.invalid_argument(field, message)) from error


def _check_names(params: Mapping[str, str], known: frozenset[str]) -> None:
    for name in params:
        if name not in known:
            message = f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
            raise ApiError(errors.invalid_argument(name, message, "badRequest"))


def _check_part(params: Mapping[str, str]) -> None:
    parts = [part.strip() for part in params.get("part", "").split(",") if part.strip()]
    if not parts:
        raise ApiError(errors.invalid_parameter("part", "Required parameter: part", "required"))
    for part in parts:
        if part not in ("snippet", "id"):
            raise ApiError(errors.invalid_parameter("part", f"'{part}'", "unknownPart", "youtube.part"))
    if "snippet" not in parts:
        raise ApiError(errors.invalid_parameter("part", "this server answers with part=snippet", "unknownPart"))


def _ranked(world: World, call: Call, asked: Search) -> list[Video]:
    if "video" not in asked.types:
        return []
    found = [
        video
        for video in world.shown(asked.query, call.now, asked.after, asked.before)
        if asked.event in (None, video.live) and asked.channel in (None, video.channel_id)
    ]
    return sorted(found, key=_ORDERS[asked.order])


def _chance(video: Video, salt: str) -> float:
    digest = hashlib.blake2b(f"{salt}:{video.id}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


def _by_date(video: Video) -> Any:
    seen = video.published_at
    if video.live == "live" and _chance(video, "lead") < 0.5:
        seen += _LIVE_LEAD
    elif _chance(video, "displaced") < _DISPLACED_SHARE:
        seen += timedelta(seconds=_DISPLACED_SECONDS * (2 * _chance(video, "by") - 1))
    return (-seen.timestamp(), video.id)


_ORDERS: dict[str, Callable[[Video], Any]] = {
    "date": _by_date,
    "relevance": lambda video: _chance(video, "relevance"),
    "rating": lambda video: _chance(video, "rating"),
    "title": lambda video: (video.title, video.id),
    "viewCount": lambda video: (-video.views, video.id),
    "videoCount": lambda video: video.id,
}


def _estimate(found: int, limit: int) -> int:
    """Return a total that is right for one page only, as the real one's is a guess beyond."""
    return found if found <= limit else min(found + found // 14 + 1, 1_000_000)


def search_item(video: Video) -> dict[str, Any]:
    """Return a video as search.list shows it: titles with entities, the description shortened."""
    identity = {"kind": "youtube#video", "videoId": video.id}
    snippet = {
        "publishedAt": rfc3339(video.published_at),
        "channelId": video.channel_id,
        "title": texts.escaped(video.title),
        "description": texts.shortened(video.description),
        "thumbnails": _thumbnails(video.id, video.is_large),
        "channelTitle": texts.escaped(video.channel_title),
        "liveBroadcastContent": video.live,
        "publishTime": rfc3339(video.published_at),
    }
    return {"kind": "youtube#searchResult", "etag": _etag(snippet), "id": identity, "snippet": snippet}


def _list_item(video: Video) -> dict[str, Any]:
    snippet = {
        "publishedAt": rfc3339(video.published_at),
        "channelId": video.channel_id,
        "title": video.title,
        "description": video.description,
        "thumbnails": _thumbnails(video.id, video.is_large),
        "channelTitle": video.channel_title,
        "categoryId": "24",
        "liveBroadcastContent": video.live,
        "localized": {"title": video.title, "description": video.description},
    }
    return {"kind": "youtube#video", "etag": _etag(snippet), "id": video.id, "snippet": snippet}


def _other_items(call: Call, asked: Search) -> list[dict[str, Any]]:
    if asked.offset or not asked.limit:
        return []
    return [item for item in other_items(call.now) if item["id"]["kind"].partition("#")[2] in asked.types]


def other_items(now: datetime) -> list[dict[str, Any]]:
    """Return a channel and a playlist as search.list shows them."""
    channel_id, channel_title = texts.channel(1)
    identities = (
        {"kind": "youtube#channel", "channelId": channel_id},
        {"kind": "youtube#playlist", "playlistId": "PLshelflistmadeupplaylist000000001"},
    )
    snippet = {
        "publishedAt": rfc3339(now - timedelta(days=365)),
        "channelId": channel_id,
        "title": texts.escaped(channel_title),
        "description": "Neither of these is a video.",
        "thumbnails": _thumbnails("aaaaaaaaaaa", False),
        "channelTitle": texts.escaped(channel_title),
        "liveBroadcastContent": "none",
        "publishTime": rfc3339(now - timedelta(days=365)),
    }
    return [
        {"kind": "youtube#searchResult", "etag": _etag(identity), "id": identity, "snippet": dict(snippet)}
        for identity in identities
    ]


def _thumbnails(video_id: str, is_large: bool) -> dict[str, Any]:
    sizes = _THUMBNAILS + (_LARGE_THUMBNAILS if is_large else ())
    return {
        name: {"url": f"https://i.ytimg.com/vi/{video_id}/{file}.jpg", "width": width, "height": height}
        for name, file, width, height in sizes
    }


def _etag(body: Any) -> str:
    digest = hashlib.blake2b(encoded(body), digest_size=20).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
