"""The budget of captions: calls of one UTC day, counted in a file that every process of this machine shares."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def _today() -> date:
    return datetime.now(UTC).date()


class Budget:
    """Counts calls before they are sent, in `captions.json` below `directory`, and refuses more than `per_day`.

    Whatever is wrong with the file counts as a day's budget spent, so no fault of it can spend without end: a file
    that cannot be read, of a future day or with another content is replaced by one that says so, and the next day
    begins at nothing. Where the disk refuses, nothing may be spent.
    """

    def __init__(self, directory: Path, per_day: int, today: Callable[[], date] = _today) -> None:
        self._path = directory / "captions.json"
        self._lock = directory / "captions.lock"
        self._per_day, self._today = per_day, today
        self._spent_on: date | None = None

    @property
    def is_spent(self) -> bool:
        """Whether this process has learnt that nothing is left today; asks no file."""
        return self._per_day <= 0 or self._spent_on == self._today()

    def spend(self) -> bool:
        """Count one call, and return whether it may be sent. Blocks for as long as other processes count theirs."""
        if self.is_spent:
            return False
        today = self._today()
        try:
            with self._locked():
                calls = self._calls(today)
                may = calls < self._per_day
                if may:
                    self._write(today, calls + 1)
        except OSError as error:
            log.error("captions cannot be counted, so none are asked for", error=error.strerror)
            return False
        if not may:
            self._spent_on = today
            log.warning("the captions of this day are spent", per_day=self._per_day)
        return may

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        # A file of its own: the lock on one that is replaced would be a lock on what is no longer there.
        with self._lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _calls(self, today: date) -> int:
        try:
            kept = json.loads(self._path.read_bytes())
            day, calls = date.fromisoformat(kept["day"]), kept["calls"]
            if type(calls) is not int or calls < 0 or day > today:
                raise ValueError
        except FileNotFoundError:
            return 0
        except (ValueError, TypeError, KeyError, RecursionError):
            log.error("the count of captions is damaged, so this day's are taken to be spent", file=self._path.name)
            self._write(today, self._per_day)
            return self._per_day
        return calls if day == today else 0

    def _write(self, today: date, calls: int) -> None:
        partial = self._path.with_suffix(".part")
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"day": today.isoformat(), "calls": calls}, file)
            file.flush()
            # Without it a power cut may leave an empty file, which would count as spent.
            os.fsync(file.fileno())
        partial.replace(self._path)
