"""One video of the world, as programs hand it in and as the control addresses tell it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from . import texts

LIVE_STATES = ("none", "live", "upcoming")
_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# RFC 3339 alone: ISO 8601 has forms that the API refuses.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True)
class Video:
    """A video: published at `published_at`, shown by searches from `indexed_at` on (None: at once).

    `title`, `description` and `channel_title` are plain text. `live` is none, live or upcoming. `query` is the only
    text that finds it, None is every text. `is_large` adds the two large thumbnails.
    """

    id: str
    published_at: datetime
    title: str = "A video"
    description: str = ""
    channel_id: str = texts.channel(0)[0]
    channel_title: str = texts.channel(0)[1]
    live: str = "none"
    indexed_at: datetime | None = None
    query: str | None = None
    is_large: bool = False
    seconds: int = 95
    views: int = 1234

    @property
    def shown_from(self) -> datetime:
        """The moment from which searches show it."""
        return max(self.published_at, self.indexed_at or self.published_at)

    def as_json(self) -> dict[str, Any]:
        """Return the truth about it: moments in RFC 3339, to the second."""
        body = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**body, "published_at": rfc3339(self.published_at), "indexed_at": rfc3339(self.shown_from)}


_TYPES: dict[str, tuple[type, ...]] = {
    "query": (str, type(None)),
    "is_large": (bool,),
    "seconds": (int,),
    "views": (int,),
}


def video_from_json(body: Any, now: datetime) -> Video:
    """Return the video that a JSON object describes with the names of `Video`; `published_at` is `now` if missing.

    Raises ValueError, whose text is one line for the caller, for anything that is not such an object.
    """
    if not isinstance(body, Mapping):
        raise ValueError("a video is a JSON object")
    names = {field.name for field in fields(Video)}
    given = {name: value for name, value in body.items() if value is not None}
    unknown = sorted(set(given) - names)
    if unknown:
        raise ValueError(f"a video has no {', '.join(unknown)}; it has {', '.join(sorted(names))}")
    for name in ("published_at", "indexed_at"):
        if name in given:
            given[name] = parse_rfc3339(given[name])
        elif name == "published_at":
            given[name] = now.replace(microsecond=0)
    for name, value in given.items():
        if not name.endswith("_at") and not isinstance(value, _TYPES.get(name, (str,))):
            raise ValueError(f"{name} of a video is not of the right type")
    if not _ID.fullmatch(given.get("id", "")):
        raise ValueError("the id of a video has 11 characters of A-Z a-z 0-9 _ -")
    if given.get("live", "none") not in LIVE_STATES:
        raise ValueError(f"live is one of {', '.join(LIVE_STATES)}")
    return Video(**given)


def rfc3339(moment: datetime) -> str:
    """Return the moment as the API writes it: UTC, to the second, with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: Any) -> datetime:
    """Return the moment in UTC; raises ValueError for what RFC 3339 does not allow."""
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        raise ValueError(f"{text!r} is no moment such as 2026-11-21T09:30:00Z")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is outside the calendar") from error
