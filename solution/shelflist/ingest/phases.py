"""How far a phase of a load is: its rows, its share of what there is to do, and the time that it still needs."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds from some moment on."""

ROWS = "rows"


class Phase:
    """One phase, counted from the moment that this is made; nothing here is told to anybody."""

    def __init__(self, name: str, clock: Clock, total: int | None = None, unit: str = ROWS) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.rows = 0
        self.done = 0
        self._already = 0
        self._clock, self._started = clock, clock()

    def expect(self, total: int | None, already: int) -> None:
        """Set what there is to do; `already` more of it was done before, and tells nothing of the speed."""
        self.total = total
        self.done += already
        self._already += already

    def advance(self, rows: int, done: int) -> None:
        """Count; what is taken back by a negative `done` may be of what was there already."""
        self.rows += rows
        self.done = max(0, self.done + done)
        self._already = min(self._already, self.done)

    @property
    def seconds(self) -> float:
        """The time since it began."""
        return self._clock() - self._started

    @property
    def share(self) -> float | None:
        """How much of the total is done, 0 to 1; None where there is no total."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """The time that the rest takes at the speed so far; None where that is unknown."""
        own = self.done - self._already
        if not self.total or own <= 0:
            return None
        return max(0, self.total - self.done) * self.seconds / own

    @property
    def counted(self) -> int:
        """What whoever reads along is told in `unit`: the rows, or else what is done."""
        return self.rows if self.unit == ROWS else self.done

    @property
    def counted_per_second(self) -> float:
        """The speed so far, without what was there already."""
        own = self.rows if self.unit == ROWS else self.done - self._already
        return own / max(self.seconds, 0.001)

    def figures(self) -> dict[str, object]:
        """Return what is known: seconds, rows (or another unit) and their speed, share and seconds_left."""
        figures: dict[str, object] = {"seconds": round(self.seconds, 3)}
        if self.counted:
            speed = self.counted_per_second
            figures |= {
                self.unit: self.counted,
                f"{self.unit}_per_second": round(speed) if speed >= 10 else round(speed, 2),
            }
        if self.share is not None:
            figures["share"] = round(self.share, 4)
        if self.seconds_left is not None:
            figures["seconds_left"] = round(self.seconds_left, 1)
        return figures
