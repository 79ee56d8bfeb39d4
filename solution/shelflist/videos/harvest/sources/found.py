"""What sources answer, in one form: videos, what was left out, and the ways in which asking fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LONGEST_TITLE = 500
LONGEST_DESCRIPTION = 10_000


@dataclass(frozen=True)
class FoundVideo:
    """A video as a source shows it; None where the source does not tell."""

    content_id: str
    title: str
    description: str | None
    channel_id: str | None
    channel_title: str | None
    published_at: datetime | None
    is_published_approximate: bool
    thumbnails: Mapping[str, Mapping[str, Any]]
    """By size: url, width and height, the latter two None where not told."""
    live_state: str
    """none, live or upcoming."""
    source: str
    """youtube or invidious."""


@dataclass(frozen=True)
class Answer:
    """One page of a search."""

    videos: tuple[FoundVideo, ...]
    skipped: int
    """Items that are no videos, or that cannot be read."""
    next_page: str | None = None
    """What asks for the page behind this one, None on the last."""
    skipped_ids: frozenset[str] = frozenset()
    """The ids of skipped items, where they have one: the source still has them."""

    @property
    def content_ids(self) -> frozenset[str]:
        """The ids of all items, readable or not."""
        return self.skipped_ids | {video.content_id for video in self.videos}


class SourceError(Exception):
    """A source did not answer what it was asked.

    The text is one line for a person and holds no secret; `reason` is the word of the source, or ours for what never
    came to an answer. `retry_after` is the seconds that the source asked to wait, None where it asked for nothing.
    """

    def __init__(self, detail: str, *, reason: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retry_after = retry_after


class QuotaSpent(SourceError):
    """The key has no calls left today."""


class RateLimited(SourceError):
    """The key is asked to slow down."""


class KeyRefused(SourceError):
    """The key is wrong, or not allowed to search; asking again does not help."""


class RequestRefused(SourceError):
    """The source does not accept what it was asked, whoever asks."""


class Unavailable(SourceError):
    """The source cannot be reached, or fails: asking later may help."""


class BadAnswer(Unavailable):
    """The source answered something that is not what it promises, such as a web page."""
