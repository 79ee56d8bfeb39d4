"""The windows of time that a poll asks for, and what is left of one that was not walked to its end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median_low

from .sources.found import FoundVideo

FIRST_VIDEO = datetime(2005, 4, 23, tzinfo=UTC)
"""Before the first video on YouTube: what a feed without a watermark asks from."""

SEAM = timedelta(minutes=10)
"""How far behind its place in the order an answer may show a video."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Window:
    """Videos published from `after` to `before`; None is up to now."""

    after: datetime
    before: datetime | None = None


def rest_of(window: Window, page: Sequence[datetime], asked_at: datetime, *, is_stuck: bool) -> Window | None:
    """Return what is left of a window after a walk from its end down to a page with these moments, one at least.

    Answers go from the newest to the oldest, but not strictly: what has not come is taken to be newer than most of
    the page by no more than a seam, or half of what was walked where that is less, so that each walk leaves a smaller
    window. `is_stuck` tells that the search shows no more of this window: it is gone on with below the whole page where
    nothing else makes it smaller. None where nothing is left.
    """
    end, middle = window.before or asked_at, median_low(page)
    before = min(middle + _SECOND + min(SEAM, max(end - middle, _SECOND) / 2), end)
    if before >= end and is_stuck:
        before = min(page)
    return Window(window.after, before) if before > window.after else None


def merged(windows: Iterable[Window], *, since: datetime) -> list[Window]:
    """Return the same time in as few windows as it takes, the newest first, without what lies before `since`.

    All of `windows` have an end.
    """
    found: list[Window] = []
    for window in sorted(windows, key=lambda window: window.after):
        after, before = max(window.after, since), window.before
        if before is None or before <= after:
            continue
        last = found[-1] if found else None
        if last is not None and last.before is not None and after <= last.before:
            found[-1] = Window(last.after, max(last.before, before))
        else:
            found.append(Window(after, before))
    return found[::-1]


def settled_moments(videos: Iterable[FoundVideo]) -> list[datetime]:
    """Return when the videos were published, without what is rough, unknown or may still move."""
    settled = [video for video in videos if not video.is_published_approximate and video.live_state == "none"]
    return [video.published_at for video in settled if video.published_at is not None]
