"""A download in as many attempts as it takes: what has come is kept, and the rest is asked for."""

import logging
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from .bounds import Deadline, bounded, check_size, too_large
from .calls import HttpError, Limits, public_url
from .exchange import attempt
from .partial import PartialFile
from .representation import Representation, range_of
from .transport import answer_of, client

ATTEMPTS = 5
"""Attempts in a row that may bring nothing new."""

BASE_SECONDS = 1.0
"""The longest wait after the first failure; it doubles with each that follows."""

LONGEST_SECONDS = 30.0
LONGEST_RETRY_AFTER = 120.0
"""The longest wait that a server may ask for; what wants more is left for another run."""

Progress = Callable[[int, int, int | None], None]
"""Takes the bytes that are here, those of them that were here before, and the announced length or None."""

_TRY_AGAIN = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS)
_CONDITIONS = {"If-None-Match", "If-Modified-Since"}
_log = logging.getLogger(__name__)


class Resumable:
    """One download: what it has by now, and how it goes on."""

    def __init__(
        self, url: str, target: Path, limits: Limits, conditions: Mapping[str, str], progress: Progress | None
    ) -> None:
        self._url, self._name, self._limits = url, public_url(url), limits
        self._conditions, self._progress = conditions, progress
        self._file = PartialFile(url, target)
        # All of these came before this call.
        self._before = self._file.size

    def run(self, deadline: Deadline) -> Representation | None:
        """Return what the stored file was announced as; None where the conditions given still hold."""
        try:
            return self._attempts(deadline)
        except OSError:
            # The disk may be full: its space is wanted elsewhere.
            self._file.discard()
            raise
        finally:
            self._file.discard_unless_useful()

    def _attempts(self, deadline: Deadline) -> Representation | None:
        most, fruitless = self._file.size, 0
        while True:
            try:
                return attempt(self._name, deadline, self._attempt)
            except HttpError as error:
                failure = error
            size = self._file.size
            most, fruitless = max(most, size), 0 if size > most else fruitless + 1
            wait = _wait(failure, fruitless)
            if not failure.is_transient or fruitless >= ATTEMPTS or not _is_worth(wait, failure, deadline):
                # Not raised where it was caught: it carries no chain.
                break
            _log.info("%s; trying again in %.1f seconds from byte %d on", failure, wait, size)
            time.sleep(wait)
        raise failure

    def _attempt(self, deadline: Deadline) -> Representation | None:
        """Ask once; raises HttpError where that brought no whole file."""
        headers, start = self._asked()
        with client(self._limits, deadline) as http, answer_of(http, self._url, headers) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED and headers.keys() & _CONDITIONS:
                return self._unchanged()
            return self._received(answer, start, deadline)

    def _asked(self) -> tuple[dict[str, str], int]:
        """Return the headers to ask with, and the byte from which on they ask."""
        known = self._file.representation
        if known and self._file.is_complete:
            if known.conditions():
                return known.conditions(), 0
            # Nothing can tell whether it is still the same.
            self._file.discard()
        start = self._file.size
        if known and known.if_range and start:
            return {**self._conditions, "Range": f"bytes={start}-", "If-Range": known.if_range}, start
        return dict(self._conditions), 0

    def _unchanged(self) -> Representation | None:
        kept = self._file.representation if self._file.is_complete else None
        if kept is None or kept.conditions() == self._conditions:
            return None
        self._tell(kept.total or 0, kept.total or 0)
        return kept

    def _received(self, answer: httpx.Response, start: int, deadline: Deadline) -> Representation:
        if start and answer.status_code == httpx.codes.PARTIAL_CONTENT:
            end = self._continue(answer, start)
        elif start and answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise self._started_over("says that the file ends before what has come of it")
        else:
            end = self._begin(answer)
        self._store(answer, end, deadline)
        total = self._file.representation.total if self._file.representation else None
        if total is not None and self._file.size != total:
            raise HttpError(f"{self._name} sent less than it announced", is_transient=True)
        return self._file.finish()

    def _continue(self, answer: httpx.Response, start: int) -> int | None:
        """Return the length that the file has after a 206; raises HttpError where that is no part of the same file."""
        known, found = self._file.representation, range_of(answer.headers)
        if known is None or found is None or not known.is_continued_by(answer.headers, start):
            raise self._started_over("sent another part than the rest of the file")
        if max(found[1] + 1, found[2] or 0) > self._limits.max_bytes:
            raise too_large(self._name, self._limits)
        self._file.expect(found[2])
        return found[1] + 1

    def _started_over(self, what: str) -> HttpError:
        self._file.discard()
        self._before = 0
        return HttpError(f"{self._name} {what}", is_transient=True)

    def _begin(self, answer: httpx.Response) -> int | None:
        """Await the whole file of a 200; raises HttpError on any other answer, and keeps what is here then."""
        status = answer.status_code
        if status != httpx.codes.OK:
            raise HttpError(
                f"{self._name} answered {status} {answer.reason_phrase}".rstrip(),
                is_transient=status >= 500 or status in _TRY_AGAIN,
                retry_after=_retry_after(answer.headers),
            )
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise HttpError(f"{self._name} answered with a web page instead of a file")
        check_size(answer.headers, self._name, self._limits)
        self._before = 0
        announced = Representation.announced(self._url, answer.headers)
        self._file.begin(announced)
        return announced.total

    def _store(self, answer: httpx.Response, end: int | None, deadline: Deadline) -> None:
        """Append the body, which reaches as far as byte `end`; raises HttpError where it goes beyond."""
        size = self._file.size
        self._tell(size, self._before)
        try:
            with self._file.opened() as file:
                for chunk in bounded(answer.iter_raw(), self._name, self._limits, deadline, already=size):
                    size += len(chunk)
                    if end is not None and size > end:
                        break
                    file.write(chunk)
                    # Whoever kills the process finds what has been told.
                    file.flush()
                    self._tell(size, self._before)
        except HttpError as error:
            if error.reason == "too-large":
                self._file.discard()
            raise
        if end is not None and size > end:
            raise self._started_over("sent more than it announced")

    def _tell(self, size: int, before: int) -> None:
        known = self._file.representation
        if self._progress is not None:
            self._progress(size, before, known.total if known else None)


def _wait(failure: HttpError, fruitless: int) -> float:
    """Return the seconds to wait: at random up to a bound that doubles, so that many who failed come back apart."""
    wait = random.uniform(0, min(LONGEST_SECONDS, BASE_SECONDS * 2.0 ** max(fruitless - 1, 0)))  # noqa: S311 - no secret
    return wait + (failure.retry_after or 0.0)


def _is_worth(wait: float, failure: HttpError, deadline: Deadline) -> bool:
    return wait < deadline.seconds_left and (failure.retry_after or 0.0) <= LONGEST_RETRY_AFTER


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait (RFC 9110, 10.2.3), None where it does not, or not readably."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text) if text.isascii() else None
    except (ValueError, OverflowError):
        return None
    if moment is None:
        return None
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
