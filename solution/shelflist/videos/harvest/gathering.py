"""One poll's way through the sources: YouTube as long as a key may be used, Invidious otherwise; nothing is stored."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from shelflist.shared import clock
from shelflist.shared.settings import Settings

from . import instances, keys
from .sources import invidious, youtube
from .sources.found import (
    Answer,
    BadAnswer,
    FoundVideo,
    KeyRefused,
    QuotaSpent,
    RateLimited,
    SourceError,
)
from .windows import FIRST_VIDEO, Window, merged, rest_of, settled_moments

log = structlog.get_logger(__name__)

MOST_PAGES = 10
"""Pages of one poll of YouTube: 500 videos, after which its searches end as well."""
MOST_FALLBACK_PAGES = 3
SEARCH_ENDS_AT = 450
"""Results after which a search that has no further page may have been cut off rather than ended."""
SLOW_DOWN_SECONDS = 60.0
"""How long a key rests that was told to slow down, but not for how long."""
SECOND_TRY_SECONDS = 0.5
NEW_DAY = timedelta(minutes=30)
"""How far YouTube's midnight may be from ours."""
NEVER_SENT = ("connect", "dns")
"""Reasons for which YouTube cannot have counted a call."""


@dataclass
class Harvest:
    """What one poll brought, and what it left."""

    window: Window
    """What YouTube was asked for first, or would have been."""
    source: str | None = None
    key_label: str | None = None
    calls: int = 0
    pages: int = 0
    skipped: int = 0
    videos: list[FoundVideo] = field(default_factory=list)
    gaps: list[Window] = field(default_factory=list)
    """All that is left to be asked for, besides what comes after the watermark."""
    watermark: datetime | None = None
    looks_from: datetime | None = None
    """Where the newest window of the next poll begins, if that is earlier than the watermark less the overlap."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    failure: SourceError | None = None
    """Why the poll ended before its time; None also where only the keys' quotas did."""

    @property
    def is_without_source(self) -> bool:
        """Whether there was nobody to ask: no key may be used, and no instance."""
        return self.pages == 0 and self.failure is None

    def note(self, source: str, error: SourceError, key_label: str | None = None) -> None:
        """Remember what went wrong on the way."""
        told = {"source": source, "key_label": key_label, "reason": error.reason, "detail": str(error)}
        self.errors.append(told)
        log.warning("a source did not answer", **told)


@dataclass(frozen=True)
class Feed:
    """What a poll needs to know of its feed."""

    query: str
    since: datetime
    """What was published before its time is nothing that the feed owes."""
    watermark: datetime | None
    looks_from: datetime | None
    last_success_at: datetime | None
    gaps: Sequence[Window] = ()


def begun(settings: Settings, feed: Feed) -> Harvest:
    """Return what a poll has before anybody is asked: its newest window, and what earlier polls have left."""
    after = FIRST_VIDEO
    if feed.watermark is not None:
        after = feed.watermark - timedelta(seconds=settings.harvest_overlap_seconds)
        after = min(after, feed.looks_from or after)
    return Harvest(Window(after), gaps=list(feed.gaps), watermark=feed.watermark, looks_from=feed.looks_from)


def gather(engine: sa.Engine, settings: Settings, feed: Feed) -> Harvest:
    """Ask the sources for what is new, then for what earlier polls have left, and return all that came."""
    harvest = begun(settings, feed)
    _YouTube(engine, settings, feed, harvest).walk_all()
    if harvest.is_without_source:
        _ask_invidious(engine, settings, feed, harvest)
    return harvest


class _NoKey(Exception):
    """No key may be used now."""


@dataclass(frozen=True)
class _Walked:
    """How far a walk through a window went."""

    rest: Window | None
    """What has not come; None where all has."""
    reached: datetime | None
    """The newest moment on the last page; None where no page said any."""
    is_ended: bool = False
    """Whether that is the end of the poll, too."""
    is_full: bool = False
    """Whether there was more than one walk can reach."""


class _YouTube:
    """The walk through the windows of one poll."""

    def __init__(self, engine: sa.Engine, settings: Settings, feed: Feed, harvest: Harvest) -> None:
        self._engine = engine
        self._settings = settings
        self._feed = feed
        self._harvest = harvest

    def walk_all(self) -> None:
        """Walk the newest window, then the gaps from the newest to the oldest, as far as pages and keys reach."""
        harvest, waiting = self._harvest, list(self._feed.gaps)
        walked = self._walk(harvest.window, self._is_enough)
        left = [walked.rest]
        if walked.rest is None:
            harvest.looks_from = None
        elif walked.reached is None:
            # Nothing has come: the watermark keeps it all.
            pass
        elif walked.is_full or self._feed.watermark is None or walked.reached >= self._feed.watermark:
            harvest.looks_from = None
        else:
            # All that is new has come. The rest is looked through for late videos by a poll that gets that far.
            left, harvest.looks_from = [], harvest.window.after
        while waiting and not walked.is_ended:
            walked = self._walk(waiting.pop(0), lambda _: False)
            left.append(walked.rest)
        harvest.gaps = merged([*filter(None, left), *waiting], since=self._feed.since)

    def _is_enough(self, page: Answer) -> bool:
        """Return whether the newest window is left for the gaps: what is owed comes before what may be late."""
        moments = settled_moments(page.videos)
        known = self._feed.watermark
        return bool(self._feed.gaps and known is not None and moments and max(moments) < known)

    def _walk(self, window: Window, is_enough: Callable[[Answer], bool]) -> "_Walked":
        """Walk one window from its newest page to its oldest, or as far as it goes."""
        harvest = self._harvest
        asked_at = clock.now()
        rest: Window | None = window
        reached, page, shown, seen = None, None, 0, frozenset[str]()
        while harvest.pages < MOST_PAGES:
            wanted = youtube.Search(self._feed.query, window.after, window.before, page)
            try:
                answer = self._ask(wanted)
            except _NoKey:
                return _Walked(rest, reached, is_ended=True)
            except SourceError as error:
                harvest.failure = error
                return _Walked(rest, reached, is_ended=True)
            self._keep(answer, is_newest=window == harvest.window)
            page, shown = answer.next_page, shown + len(answer.content_ids)
            if page is None and shown < SEARCH_ENDS_AT:
                return _Walked(None, reached)
            is_stuck = page is None or bool(answer.content_ids and answer.content_ids <= seen)
            seen |= answer.content_ids
            moments = settled_moments(answer.videos)
            if moments:
                reached = max(moments)
                rest = rest_of(window, moments, asked_at, is_stuck=is_stuck)
            if is_stuck or is_enough(answer):
                return _Walked(rest, reached, is_full=is_stuck)
        return _Walked(rest, reached, is_ended=True, is_full=True)

    def _keep(self, answer: Answer, *, is_newest: bool) -> None:
        harvest = self._harvest
        harvest.source = "youtube"
        harvest.pages += 1
        harvest.skipped += answer.skipped
        harvest.videos += answer.videos
        if is_newest:
            # A date in the future would hide whatever is published until then.
            now = clock.now()
            settled = [moment for moment in settled_moments(answer.videos) if moment <= now]
            known = [harvest.watermark] if harvest.watermark is not None else []
            harvest.watermark = max([*settled, *known], default=None)

    def _ask(self, wanted: youtube.Search) -> Answer:
        """Ask with one key after the other; raises _NoKey, or SourceError where another key does not help."""
        is_second = False
        while True:
            key = keys.take(self._engine, self._settings, clock.now())
            if key is None:
                raise _NoKey
            taken_at = clock.now()
            self._harvest.calls += 1
            self._harvest.key_label = key.label
            try:
                return youtube.search(self._settings.youtube_api_url, key.secret, wanted)
            except SourceError as error:
                self._harvest.note("youtube", error, key.label)
                if isinstance(error, BadAnswer) and not is_second:
                    # One that was cut off, or a page of an error that the next server does not have.
                    is_second = True
                    time.sleep(SECOND_TRY_SECONDS)
                elif not self._put_aside(key, error, taken_at):
                    raise

    def _put_aside(self, key: keys.Key, error: SourceError, taken_at: datetime) -> bool:
        """Park or disable the key that the error speaks of; False where it speaks of none."""
        now = clock.now()
        if isinstance(error, QuotaSpent):
            # Just after midnight it may be the day before that is spent, by YouTube's clock.
            is_new_day = now - keys.quota_begin(now) < NEW_DAY
            until = now + NEW_DAY / 3 if is_new_day else keys.next_reset(taken_at)
            keys.park(self._engine, key, until, error.reason)
        elif isinstance(error, RateLimited):
            seconds = max(error.retry_after or 0, SLOW_DOWN_SECONDS)
            keys.park(self._engine, key, now + timedelta(seconds=seconds), error.reason)
        elif isinstance(error, KeyRefused):
            keys.disable(self._engine, key, now, error.reason)
        else:
            if error.reason in NEVER_SENT:
                keys.give_back(self._engine, key, taken_at)
                self._harvest.calls -= 1
            return False
        return True


def _ask_invidious(engine: sa.Engine, settings: Settings, feed: Feed, harvest: Harvest) -> None:
    """Ask one instance after the other until one answers; the gaps and the watermark stay, being YouTube's."""
    recent = clock.now() - timedelta(hours=1)
    date = "hour" if feed.last_success_at is not None and feed.last_success_at > recent else "today"
    for instance in instances.usable(engine, settings, clock.now()):
        try:
            answers = _fallback_pages(instance.url, feed.query, date)
        except SourceError as error:
            harvest.note("invidious", error)
            harvest.failure = error
            instances.record_failure(engine, instance, clock.now(), error.reason, error.retry_after)
            continue
        instances.record_success(engine, instance)
        harvest.source, harvest.failure, harvest.key_label = "invidious", None, None
        harvest.pages = len(answers)
        harvest.skipped = sum(answer.skipped for answer in answers)
        harvest.videos = [video for answer in answers for video in answer.videos]
        return


def _fallback_pages(url: str, query: str, date: str) -> list[Answer]:
    answers: list[Answer] = []
    seen: set[str] = set()
    for page in range(1, MOST_FALLBACK_PAGES + 1):
        try:
            answer = invidious.search(url, query, date, page)
        except SourceError:
            if not answers:
                raise
            # What has come is worth keeping; the next poll asks for all of it again.
            break
        answers.append(answer)
        found = {video.content_id for video in answer.videos}
        if answer.next_page is None or found <= seen:
            break
        seen |= found
    return answers
