"""The log of calls: in memory, and as lines of JSON in a file that outlives the process."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One call: `at` in simulated time, `monotonic` in real seconds of this machine's monotonic clock.

    `status` is null where the fault leaves the call without an answer; `shown` are the ids in the answer, none where
    the answer cannot be read.
    """

    number: int
    at: str
    monotonic: float
    target: str
    path: str
    key: str | None
    params: Mapping[str, str]
    status: int | None
    fault: str | None
    shown: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as the log file and the control address write it."""
        return asdict(self)


class CallLog:
    """Every call so far in the order of arrival; safe to be used by several threads."""

    def __init__(self, path: Path | None = None) -> None:
        self._entries: list[Entry] = []
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8") if path is not None else None

    def add(
        self,
        at: datetime,
        *,
        target: str,
        path: str,
        key: str | None,
        params: Mapping[str, str],
        status: int | None,
        fault: str | None = None,
        shown: Iterable[str] = (),
    ) -> Entry:
        """Append a call; the line has left this process when this returns."""
        moment = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            number = len(self._entries) + 1
            entry = Entry(
                number, moment, round(time.monotonic(), 6), target, path, key, params, status, fault, tuple(shown)
            )
            self._entries.append(entry)
            if self._file is not None:
                self._file.write(f"{json.dumps(entry.as_json())}\n")
                self._file.flush()
            return entry

    def entries(self, target: str | None = None) -> tuple[Entry, ...]:
        """Return the calls of one target: youtube, invidious (every instance), an instance; None is all."""
        with self._lock:
            entries = tuple(self._entries)
        if target == "invidious":
            return tuple(entry for entry in entries if entry.target not in ("youtube", "other"))
        return tuple(entry for entry in entries if target in (None, entry.target))

    def close(self) -> None:
        """Close the file; nothing more is written to it."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
