"""Schedules: jobs that are queued once a period, whichever workers are up."""

from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy as sa

from .jobs import Arguments
from .settings import Settings


def _always(_: object) -> bool:
    return True


@dataclass(frozen=True)
class Schedule:
    """A job of `kind` for each moment of `cron`, five fields in UTC, as long as the settings want it.

    At a moment at which `has_work` finds nothing to do, none is queued.
    """

    name: str
    cron: Callable[[Settings], str]
    kind: str
    arguments: Arguments = field(default_factory=dict)
    is_wanted: Callable[[Settings], bool] = _always
    has_work: Callable[[sa.Connection], bool] = _always


_SCHEDULES: dict[str, Schedule] = {}


def register(schedule: Schedule) -> None:
    """Make a schedule known to this process; the module that does so stands in worker.JOB_MODULES."""
    _SCHEDULES[schedule.name] = schedule


def known() -> list[Schedule]:
    """Return every schedule, wanted or not."""
    return list(_SCHEDULES.values())
