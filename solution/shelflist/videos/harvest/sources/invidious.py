"""The search of an Invidious instance (https://docs.invidious.io/api/#get-apiv1search)."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from shelflist_http import Fetched, Limits, public_url

from .asking import LIMITS, ask, read_json, retry_after
from .fields import (
    LONGEST_CHANNEL_ID,
    LONGEST_CHANNEL_TITLE,
    Unreadable,
    content_id,
    epoch,
    members,
    read_items,
    text,
    thumbnails,
    title,
)
from .found import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    Answer,
    BadAnswer,
    FoundVideo,
    RateLimited,
    SourceError,
    Unavailable,
)


def search(url: str, query: str, date: str, page: int = 1, limits: Limits = LIMITS) -> Answer:
    """Return one page of the videos of the last `date`, hour or today, newest first and those of no date last.

    `url` is that of the instance's search, such as https://invidious.example/api/v1/search; its own query and
    credentials are sent along. `page` counts from 1. The dates are rough: the site says `2 hours ago`. Raises
    SourceError.
    """
    params = {"q": query, "type": "video", "date": date, "page": str(page)}
    answered = ask(url, params, limits)
    name = public_url(url)
    if answered.status != 200:
        raise _refusal(answered, name)
    items = read_json(answered, name)
    if isinstance(items, dict) and "error" in items:
        raise BadAnswer(f"{name} answered with an error", reason="error")
    if not isinstance(items, list):
        raise BadAnswer(f"{name} answered JSON that is no list", reason="json")
    videos, skipped = read_items(items, _reader(name))
    newest_first = sorted(videos, key=_age)
    return Answer(tuple(newest_first), skipped, str(page + 1) if items else None)


def _refusal(answered: Fetched, name: str) -> SourceError:
    kind = RateLimited if answered.status == 429 else Unavailable
    reason = f"http-{answered.status}"
    return kind(f"{name} answered {answered.status}", reason=reason, retry_after=retry_after(answered.headers))


def _age(video: FoundVideo) -> tuple[bool, float]:
    published_at: datetime | None = video.published_at
    return (True, 0.0) if published_at is None else (False, -published_at.timestamp())


def _reader(name: str) -> Callable[[Any], FoundVideo]:
    """Return what reads an item; addresses in it are relative to `name`, which holds no credentials."""

    def read(item: Any) -> FoundVideo:
        given = members(item)
        if given.get("type") != "video":
            raise Unreadable("not a video")
        return FoundVideo(
            content_id=content_id(given.get("videoId")),
            title=title(given.get("title"), LONGEST_TITLE),
            description=text(given.get("description"), LONGEST_DESCRIPTION),
            channel_id=text(given.get("authorId"), LONGEST_CHANNEL_ID),
            channel_title=text(given.get("author"), LONGEST_CHANNEL_TITLE),
            published_at=epoch(given.get("published")),
            is_published_approximate=True,
            thumbnails=thumbnails(_pictures(given.get("videoThumbnails"), name)),
            live_state=_live_state(given.get("liveNow"), given.get("isUpcoming")),
            source="invidious",
        )

    return read


def _pictures(value: Any, base: str) -> Iterator[tuple[Any, Any]]:
    if value is None:
        return
    if not isinstance(value, list):
        raise Unreadable("no list of thumbnails")
    for picture in value:
        if isinstance(picture, dict):
            yield picture.get("quality"), picture | {"url": _absolute(picture.get("url"), base)}


def _absolute(url: Any, base: str) -> str | None:
    try:
        return urljoin(base, url) if isinstance(url, str) and url else None
    except ValueError:
        return None


def _live_state(is_live: Any, is_upcoming: Any) -> str:
    if not all(flag is None or isinstance(flag, bool) for flag in (is_live, is_upcoming)):
        raise Unreadable("not a flag")
    if is_live:
        return "live"
    return "upcoming" if is_upcoming else "none"
