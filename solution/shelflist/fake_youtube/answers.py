"""What a call is asked with and answered by, before it becomes bytes on a connection."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

JSON = "application/json; charset=UTF-8"


@dataclass(frozen=True)
class Call:
    """One request for data: its target is `youtube` or the name of an Invidious instance.

    `operation` is search or videos. `params` are without the key; of a repeated one, the values are joined by commas.
    """

    target: str
    operation: str
    path: str
    params: Mapping[str, str]
    key: str | None
    now: datetime
    base_url: str

    @property
    def is_youtube(self) -> bool:
        """Whether it asks the YouTube Data API."""
        return self.target == "youtube"


@dataclass(frozen=True)
class Answer:
    """A status, a body (JSON data, or bytes as they are) and headers beyond the usual ones."""

    status: int
    body: Any
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return the bytes of the body."""
        return self.body if isinstance(self.body, bytes) else encoded(self.body)

    def shown(self) -> list[str]:
        """Return the ids of the videos in the body, in its order; none where it is not such a list."""
        items = self.body
        if isinstance(items, bytes):
            try:
                items = json.loads(items)
            except ValueError:
                return []
        if isinstance(items, dict):
            items = items.get("items", [])
        return [found for found in map(video_id, items if isinstance(items, list) else []) if found is not None]


def video_id(item: Any) -> str | None:
    """Return the id of the video that an item of a search, a list or Invidious is; None for any other item."""
    if not isinstance(item, dict):
        return None
    identity = item.get("id", item.get("videoId"))
    found = identity.get("videoId") if isinstance(identity, dict) else identity
    return found if isinstance(found, str) else None


def encoded(body: Any) -> bytes:
    """Return the JSON text of the body: UTF-8, or escapes where it holds what UTF-8 cannot."""
    try:
        return json.dumps(body, ensure_ascii=False, indent=1).encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()
