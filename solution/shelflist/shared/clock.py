"""The time of day, from one place: only here can another clock be put in, as an hour that passes in a minute."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class SimulatedClock:
    """A clock that showed `start` at the moment `anchor` (seconds since 1970) and runs `speed` times as fast.

    Processes that are given the same three figures agree on the time.
    """

    start: datetime
    speed: float = 1
    anchor: float = field(default_factory=time.time)

    def now(self) -> datetime:
        """Return the simulated moment, in UTC."""
        return (self.start + timedelta(seconds=(time.time() - self.anchor) * self.speed)).astimezone(UTC)


_simulated: SimulatedClock | None = None


def now() -> datetime:
    """Return the moment, in UTC: the machine's, unless this process simulates another."""
    return datetime.now(UTC) if _simulated is None else _simulated.now()


def simulate(clock: SimulatedClock | None) -> None:
    """Let `now` follow `clock` in this process from here on; None gives the machine's time back."""
    global _simulated  # noqa: PLW0603 - one time of day for the whole process is the point
    _simulated = clock
