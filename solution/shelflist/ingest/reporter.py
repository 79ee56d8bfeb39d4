"""How a load tells what it does: a progress bar on a terminal, JSON lines elsewhere, both on standard error."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from tqdm import tqdm

from .phases import Clock, Phase

LINE_SECONDS = 5.0
"""The least time between two progress lines of one phase."""


class Reporter:
    """Tells nothing; the others tell what they are told by these calls.

    Phases follow each other; within one, several threads may tell what they have done.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.phases: list[dict[str, object]] = []
        """What each phase that has ended took, in order, also one that failed: {"phase", "seconds"}."""
        self._clock = clock
        self._phase = Phase("", clock)
        self._lock = threading.RLock()

    @contextmanager
    def phase(self, name: str, total: int | None = None, unit: str = "rows") -> Iterator[None]:
        """Name what is done inside the block.

        `total` is how much there is to do, in whatever `advance` counts as done; None where nobody knows, or not yet
        (`expect`). `unit` says what is counted for whoever reads along: rows, or else what is done ("bytes").
        """
        with self._lock:
            self._phase = Phase(name, self._clock, total, unit)
            self._begin(self._phase)
        try:
            yield
        finally:
            with self._lock:
                self.phases.append({"phase": name, "seconds": round(self._phase.seconds, 3)})
                self._end(self._phase)

    def phases_so_far(self) -> list[dict[str, object]]:
        """Return `phases` and what the one that is under way has taken by now."""
        with self._lock:
            return [*self.phases, {"phase": self._phase.name, "seconds": round(self._phase.seconds, 3)}]

    def expect(self, total: int | None, already: int = 0) -> None:
        """Say how much there is to do in this phase (None: nobody knows), and that `already` more was done before."""
        with self._lock:
            self._phase.expect(total, already)
            self._progress(self._phase)

    def advance(self, rows: int, done: int | None = None) -> None:
        """Count `rows` more, and `done` more of the total; without `done` it is the rows that the total counts.

        A negative `done` takes back what has to be done again.
        """
        with self._lock:
            self._phase.advance(rows, rows if done is None else done)
            self._progress(self._phase)

    def finish(self, line: str) -> None:
        """Say how the load ended."""

    def _begin(self, phase: Phase) -> None:
        pass

    def _progress(self, phase: Phase) -> None:
        pass

    def _end(self, phase: Phase) -> None:
        pass


if TYPE_CHECKING:
    _Tqdm = tqdm[NoReturn]
else:
    # It is generic for type checkers alone.
    _Tqdm = tqdm


class _Bar(_Tqdm):
    """A bar that is filled by the phase's share and says the phase's own figures beside it."""

    _COUNTING = "{desc}: {counted} [{elapsed}, {speed}]"
    _FILLING = "{desc}: {percentage:3.0f}%|{bar}| {counted} [{elapsed}<{left}, {speed}]"

    def __init__(self, phase: Phase, stream: TextIO) -> None:
        self._phase = phase
        # Each call may draw, as time allows: its own guess of how many calls to skip expects steps of one size.
        super().__init__(desc=phase.name, file=stream, mininterval=0.2, miniters=0)

    def follow(self) -> None:
        """Show how far the phase is by now."""
        self.total = self._phase.total
        self.update(self._phase.done - self.n)

    @property
    def format_dict(self) -> Any:  # tqdm's, with what its bar_format may name
        """See tqdm: the values of what is drawn."""
        phase, size = self._phase, self.format_sizeof
        left = phase.seconds_left
        return {
            **super().format_dict,
            "bar_format": self._COUNTING if phase.share is None else self._FILLING,
            "counted": f"{size(phase.counted)} {phase.unit}",
            "speed": f"{size(phase.counted_per_second)} {phase.unit}/s",
            "left": "?" if left is None else self.format_interval(left),
        }


class TerminalReporter(Reporter):
    """A progress bar for each phase."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._bar: _Bar | None = None

    def finish(self, line: str) -> None:
        """Print the line below the bars."""
        print(line, file=self._stream, flush=True)

    def _begin(self, phase: Phase) -> None:
        self._bar = _Bar(phase, self._stream)

    def _progress(self, phase: Phase) -> None:  # noqa: ARG002 - the bar knows it
        if self._bar is not None:
            self._bar.follow()

    def _end(self, phase: Phase) -> None:  # noqa: ARG002 - the bar knows it
        if self._bar is not None:
            self._bar.close()


class JsonReporter(Reporter):
    """A JSON line when a phase begins and ends, and at most one every LINE_SECONDS between."""

    def __init__(self, stream: TextIO, clock: Clock = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream
        self._last_line = 0.0

    def finish(self, line: str) -> None:
        """Write the line as an event."""
        self._write("load ended", summary=line)

    def _begin(self, phase: Phase) -> None:
        self._last_line = self._clock()
        self._write("load phase started", phase=phase.name)

    def _progress(self, phase: Phase) -> None:
        now = self._clock()
        if now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            self._write("load phase progress", phase=phase.name, **phase.figures())

    def _end(self, phase: Phase) -> None:
        figures = phase.figures()
        # It takes no longer than it took, whether all was done or not.
        figures.pop("seconds_left", None)
        self._write("load phase ended", phase=phase.name, **figures)

    def _write(self, event: str, **fields: object) -> None:
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"event": event, "level": "info", "logger": "shelflist.load", "timestamp": timestamp, **fields}
        print(json.dumps(line, ensure_ascii=False), file=self._stream, flush=True)


def standard_reporter(stream: TextIO | None = None) -> Reporter:
    """Return the reporter that suits `stream` (standard error): bars for a person, lines for a log."""
    stream = stream or sys.stderr
    return TerminalReporter(stream) if stream.isatty() else JsonReporter(stream)
