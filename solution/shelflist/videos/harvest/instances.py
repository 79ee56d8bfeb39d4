"""The Invidious instances: which may be asked now, by a circuit breaker that all workers share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared.backoff import backoff_seconds
from shelflist.shared.settings import Settings

from .keys import digest_of
from .tables import invidious_instances

FIRST_REST = 60.0
"""Seconds for which an instance that has failed once is not asked."""


@dataclass(frozen=True)
class Instance:
    """One address of INVIDIOUS_API."""

    url: str
    digest: str

    @property
    def name(self) -> str:
        """The address without what may be secret."""
        # Here, since the server processes load this module too: the client takes 7 MB in each.
        from shelflist_http import public_url

        return public_url(self.url)

    def __repr__(self) -> str:
        return f"Instance({self.name})"


@dataclass(frozen=True)
class InstanceState:
    """The breaker of an instance: `open` while it is not asked, `closed` otherwise."""

    name: str
    state: str
    failures: int
    open_until: datetime | None
    reason: str | None


def configured(settings: Settings) -> tuple[Instance, ...]:
    """Return the instances of the settings, in their order, each once."""
    urls = dict.fromkeys(url.get_secret_value() for url in settings.invidious_api)
    return tuple(Instance(url, digest_of(url)) for url in urls)


def usable(engine: sa.Engine, settings: Settings, now: datetime) -> list[Instance]:
    """Return the instances whose breaker is closed, or has been open for long enough to try again."""
    with engine.begin() as connection:
        rows = _rows(connection)
    return [one for one in configured(settings) if _state(rows.get(one.digest), now) == "closed"]


def record_failure(engine: sa.Engine, one: Instance, now: datetime, reason: str, retry_after: float | None) -> None:
    """Open the breaker, for longer after each further failure."""
    with engine.begin() as connection:
        new = insert(invidious_instances).values(digest=one.digest, failures=1)
        more = {"failures": invidious_instances.c.failures + 1}
        counted = new.on_conflict_do_update(index_elements=["digest"], set_=more)
        failures = connection.scalar(counted.returning(invidious_instances.c.failures))
        rest = max(backoff_seconds(FIRST_REST, int(failures or 1)), retry_after or 0)
        values = {"open_until": now + timedelta(seconds=rest), "reason": reason}
        connection.execute(invidious_instances.update().where(_is(one)).values(**values))


def record_success(engine: sa.Engine, one: Instance) -> None:
    """Close the breaker."""
    with engine.begin() as connection:
        connection.execute(invidious_instances.delete().where(_is(one)))


def instance_states(connection: sa.Connection, settings: Settings, now: datetime) -> tuple[InstanceState, ...]:
    """Return the breaker of each instance of the settings, in their order."""
    rows = _rows(connection)
    states = []
    for one in configured(settings):
        row = rows.get(one.digest)
        state = _state(row, now)
        until = row.open_until if row is not None and state == "open" else None
        states.append(InstanceState(one.name, state, row.failures if row else 0, until, row.reason if row else None))
    return tuple(states)


def _is(one: Instance) -> sa.ColumnElement[bool]:
    return invidious_instances.c.digest == one.digest


def _rows(connection: sa.Connection) -> Mapping[str, Any]:
    return {row.digest: row for row in connection.execute(sa.select(invidious_instances))}


def _state(row: Any, now: datetime) -> str:
    is_open = row is not None and row.open_until is not None and row.open_until > now
    return "open" if is_open else "closed"
