"""The search of Invidious (https://docs.invidious.io/api/): newest things in no order of time, with rounded ages."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from . import texts
from .answers import Answer, Call
from .video import Video
from .world import World

PAGE_SIZE = 20
RELATIVE = "relative"
"""The name of the instance whose addresses of thumbnails begin with a slash."""

_WINDOWS = {
    "hour": timedelta(hours=1),
    "today": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}
_TYPES = ("video", "channel", "playlist", "movie", "show", "all")
_SORTS = ("relevance", "rating", "date", "upload_date", "views", "view_count")
_UNITS = (
    ("year", 31_536_000),
    ("month", 2_592_000),
    ("week", 604_800),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
    ("second", 1),
)
_THUMBNAILS = (
    ("maxres", "maxres", 1280, 720),
    ("maxresdefault", "maxresdefault", 1280, 720),
    ("sddefault", "sddefault", 640, 480),
    ("high", "hqdefault", 480, 360),
    ("medium", "mqdefault", 320, 180),
    ("default", "default", 120, 90),
    ("start", "1", 120, 90),
    ("middle", "2", 120, 90),
    ("end", "3", 120, 90),
)
# One page in so many has a channel among its videos even where only videos are asked for.
_STRAY_PAGES = 6


def search(world: World, call: Call) -> Answer:
    """Return the answer to /api/v1/search: about 20 items a page, 400 for parameters that it does not know."""
    params = call.params
    window, kind = params.get("date", ""), params.get("type", "all")
    sort, page = params.get("sort", params.get("sort_by", "relevance")), params.get("page", "1")
    is_known = window in ("", *_WINDOWS) and kind in _TYPES and sort in _SORTS
    if not is_known or not (page.isascii() and page.isdecimal() and int(page[:6]) > 0):
        return Answer(400, {"error": "Invalid value of a parameter"})
    query, number = params.get("q", ""), int(page[:6])
    found: list[Video] = []
    if query and kind in ("video", "all"):
        after = call.now - _WINDOWS[window] if window else None
        found = sorted(world.shown(query, call.now, after), key=lambda video: _rank(video, query, sort))
    items = [video_item(video, call) for video in found[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]]
    return Answer(200, _mixed(items, kind, number, call) if query else [])


def _rank(video: Video, query: str, sort: str) -> Any:
    if sort in ("date", "upload_date"):
        return (-video.published_at.timestamp(), video.id)
    if sort in ("views", "view_count"):
        return (-video.views, video.id)
    return (_digest(f"{sort}:{query}:{video.id}"), video.id)


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=4).digest(), "big")


def _mixed(items: list[dict[str, Any]], kind: str, page: int, call: Call) -> list[dict[str, Any]]:
    others = other_items(call)
    if kind == "video":
        is_stray = _digest(f"{call.params.get('q')}:{page}") % _STRAY_PAGES == 0
        others = others[:1] if items and is_stray else []
    elif kind != "all":
        others = [item for item in others if item["type"] == kind]
    middle = len(items) // 2
    return items[:middle] + (others if page == 1 or kind == "video" else []) + items[middle:]


def age(published: datetime, now: datetime) -> tuple[str, int]:
    """Return the age as the site words it, in whole units of one kind, and the seconds that these words mean."""
    seconds = max(int((now - published).total_seconds()), 0)
    unit, length = next((found for found in _UNITS if seconds >= found[1]), _UNITS[-1])
    count = seconds // length
    return f"{count} {unit}{'' if count == 1 else 's'} ago", count * length


def video_item(video: Video, call: Call) -> dict[str, Any]:
    """Return a video as Invidious shows it: plain text, and a `published` that is derived from the worded age."""
    is_running = video.live == "none"
    words, seconds = age(video.published_at, call.now) if is_running else ("0 seconds ago", 0)
    premiere = {"premiereTimestamp": int(call.now.timestamp()) + 86_400} if video.live == "upcoming" else {}
    return {
        "type": "video",
        "title": video.title,
        "videoId": video.id,
        "author": video.channel_title,
        "authorId": video.channel_id,
        "authorUrl": f"/channel/{video.channel_id}",
        "authorVerified": False,
        "videoThumbnails": _thumbnails(video.id, call),
        "description": texts.shortened(video.description),
        "descriptionHtml": texts.escaped(texts.shortened(video.description)),
        "viewCount": video.views,
        "viewCountText": f"{video.views:,} views",
        "published": int(call.now.timestamp()) - seconds,
        "publishedText": words,
        "lengthSeconds": 0 if video.live == "live" else video.seconds,
        "liveNow": video.live == "live",
        "premium": False,
        "isUpcoming": video.live == "upcoming",
        "isNew": False,
        "is4k": False,
        "is8k": False,
        "isVr180": False,
        "isVr360": False,
        "is3d": False,
        "hasCaptions": False,
        **premiere,
    }


def _thumbnails(video_id: str, call: Call) -> list[dict[str, Any]]:
    origin = "" if call.target == RELATIVE else call.base_url
    return [
        {"quality": quality, "url": f"{origin}/vi/{video_id}/{file}.jpg", "width": width, "height": height}
        for quality, file, width, height in _THUMBNAILS
    ]


def other_items(call: Call) -> list[dict[str, Any]]:
    """Return a channel, a playlist and a hashtag as Invidious shows them."""
    channel_id, channel_title = texts.channel(2)
    owner = {"author": channel_title, "authorId": channel_id, "authorUrl": f"/channel/{channel_id}"}
    member = {"title": "A part", "videoId": "aaaaaaaaaaa", "lengthSeconds": 95}
    return [
        {
            "type": "channel",
            **owner,
            "authorThumbnails": [],
            "autoGenerated": False,
            "subCount": 10,
            "videoCount": 3,
            "description": "",
            "descriptionHtml": "",
        },
        {
            "type": "playlist",
            "title": "A playlist",
            "playlistId": "PLshelflistmadeupplaylist000000001",
            "playlistThumbnail": f"{call.base_url}/vi/aaaaaaaaaaa/mqdefault.jpg",
            **owner,
            "authorVerified": False,
            "videoCount": 1,
            "videos": [{**member, "videoThumbnails": _thumbnails("aaaaaaaaaaa", call)}],
        },
        {"type": "hashtag", "title": "#shelflist", "url": "/hashtag/shelflist", "channelCount": 1, "videoCount": 2},
    ]
