"""How a load tells what it does: a progress bar on a terminal, JSON lines elsewhere, both on standard error."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn, TextIO

from tqdm import tqdm

LINE_SECONDS = 5.0
"""The least time between two progress lines of one phase."""


class Reporter:
    """Tells nothing; the others tell what they are told by these calls."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._rows = 0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Name what is done inside the block; phases follow each other."""
        self._started, self._rows = time.monotonic(), 0
        self._begin(name)
        try:
            yield
        finally:
            self._end(name)

    def advance(self, rows: int) -> None:
        """Count `rows` more as done in this phase."""
        self._rows += rows
        self._progress(rows)

    def finish(self, line: str) -> None:
        """Say how the load ended."""

    def _begin(self, name: str) -> None:
        pass

    def _progress(self, rows: int) -> None:
        pass

    def _end(self, name: str) -> None:
        pass

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started


class TerminalReporter(Reporter):
    """A progress bar for each phase."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._bar: tqdm[NoReturn] | None = None

    def finish(self, line: str) -> None:
        """Print the line below the bars."""
        print(line, file=self._stream, flush=True)

    def _begin(self, name: str) -> None:
        self._bar = tqdm(desc=name, unit=" rows", unit_scale=True, file=self._stream, mininterval=0.2)

    def _progress(self, rows: int) -> None:
        if self._bar is not None:
            self._bar.update(rows)

    def _end(self, name: str) -> None:  # noqa: ARG002 - the bar carries it
        if self._bar is not None:
            self._bar.close()


class JsonReporter(Reporter):
    """A JSON line when a phase begins and ends, and at most one every LINE_SECONDS between."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._name = ""
        self._last_line = 0.0

    def finish(self, line: str) -> None:
        """Write the line as an event."""
        self._write("load ended", summary=line)

    def _begin(self, name: str) -> None:
        self._name, self._last_line = name, time.monotonic()
        self._write("load phase started", phase=name)

    def _progress(self, rows: int) -> None:  # noqa: ARG002 - the sum is told
        now = time.monotonic()
        if now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            self._write("load phase progress", phase=self._name, **self._figures())

    def _end(self, name: str) -> None:
        self._write("load phase ended", phase=name, **self._figures())

    def _figures(self) -> dict[str, object]:
        seconds = self._seconds
        figures: dict[str, object] = {"seconds": round(seconds, 3)}
        if self._rows:
            figures |= {"rows": self._rows, "rows_per_second": round(self._rows / max(seconds, 0.001))}
        return figures

    def _write(self, event: str, **fields: object) -> None:
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"event": event, "level": "info", "logger": "shelflist.load", "timestamp": timestamp, **fields}
        print(json.dumps(line, ensure_ascii=False), file=self._stream, flush=True)


def standard_reporter(stream: TextIO | None = None) -> Reporter:
    """Return the reporter that suits `stream` (standard error): bars for a person, lines for a log."""
    stream = stream or sys.stderr
    return TerminalReporter(stream) if stream.isatty() else JsonReporter(stream)
