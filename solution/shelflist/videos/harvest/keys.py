"""The YouTube keys: what each has used today and which may be used now, known to all workers and over restarts."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared.settings import Settings

from .tables import feeds, youtube_keys

_PACIFIC = ZoneInfo("America/Los_Angeles")


def quota_day(now: datetime) -> date:
    """Return the day that a call at `now` counts for: YouTube's begin at midnight in California."""
    return now.astimezone(_PACIFIC).date()


def next_reset(now: datetime) -> datetime:
    """Return the next midnight in California, in UTC."""
    return datetime.combine(quota_day(now) + timedelta(days=1), time(), _PACIFIC).astimezone(UTC)


def quota_begin(now: datetime) -> datetime:
    """Return the midnight in California at which the day of `now` began, in UTC."""
    return datetime.combine(quota_day(now), time(), _PACIFIC).astimezone(UTC)


def digest_of(secret: str) -> str:
    """Return what the database knows a secret by: its SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class Key:
    """One key of GOOGLE_API_KEYS."""

    secret: str
    digest: str

    @property
    def label(self) -> str:
        """What people and logs know the key by; it says nothing of the key itself."""
        return f"key-{self.digest[:8]}"

    def __repr__(self) -> str:
        return f"Key({self.label})"


@dataclass(frozen=True)
class KeyState:
    """What is known of a key: `usable`, `parked` (for a while), `spent` (for today) or `disabled` (until enabled)."""

    label: str
    state: str
    calls_used: int
    calls_left: int
    parked_until: datetime | None
    reason: str | None


def configured(settings: Settings) -> tuple[Key, ...]:
    """Return the keys of the settings, in their order, each once."""
    secrets = dict.fromkeys(key.get_secret_value() for key in settings.google_api_keys)
    return tuple(Key(secret, digest_of(secret)) for secret in secrets)


def take(engine: sa.Engine, settings: Settings, now: datetime) -> Key | None:
    """Count one call against the first key that may be used at `now`, and return it; None where there is none.

    The call is counted before it is sent: a worker that is killed in between leaves a call unused, never one too many.
    """
    keys = configured(settings)
    day = quota_day(now)
    with engine.begin() as connection:
        _introduce(connection, keys, day)
        rows = _rows(connection, keys, lock=True)
        for key in keys:
            row = rows[key.digest]
            if _state(row, settings, now) != "usable":
                continue
            used = {"calls_used": _used(row, day) + 1, "quota_day": row.quota_day if _is_current(row, day) else day}
            free = {"parked_until": None, "reason": None}
            connection.execute(youtube_keys.update().where(youtube_keys.c.digest == key.digest).values(**used, **free))
            return key
    return None


def give_back(engine: sa.Engine, key: Key, taken_at: datetime) -> None:
    """Count a call less that was taken at `taken_at`: it never left this machine."""
    is_same = (youtube_keys.c.digest == key.digest, youtube_keys.c.quota_day == quota_day(taken_at))
    one_less = sa.func.greatest(youtube_keys.c.calls_used - 1, 0)
    with engine.begin() as connection:
        connection.execute(youtube_keys.update().where(*is_same).values(calls_used=one_less))


def park(engine: sa.Engine, key: Key, until: datetime, reason: str) -> None:
    """Let nobody use the key before `until`, or a later moment that it is parked until already."""
    is_longer = sa.or_(youtube_keys.c.parked_until.is_(None), youtube_keys.c.parked_until < until)
    with engine.begin() as connection:
        longer = youtube_keys.update().where(youtube_keys.c.digest == key.digest, is_longer)
        connection.execute(longer.values(parked_until=until, reason=reason))


def disable(engine: sa.Engine, key: Key, now: datetime, reason: str) -> None:
    """Let nobody use the key until a person enables it."""
    with engine.begin() as connection:
        _introduce(connection, [key], quota_day(now))
        refused = {"disabled_at": now, "reason": reason}
        connection.execute(youtube_keys.update().where(youtube_keys.c.digest == key.digest).values(**refused))


def enable(connection: sa.Connection, settings: Settings, label: str, now: datetime) -> bool:
    """Let the key with this label be used again, and at once; False where the settings hold none such."""
    found = [key.digest for key in configured(settings) if key.label == label]
    free = {"disabled_at": None, "parked_until": None, "reason": None}
    connection.execute(youtube_keys.update().where(youtube_keys.c.digest.in_(found)).values(**free))
    if found:
        connection.execute(feeds.update().where(feeds.c.next_poll_at > now).values(next_poll_at=now))
    return bool(found)


def key_states(connection: sa.Connection, settings: Settings, now: datetime) -> tuple[KeyState, ...]:
    """Return what is known of each key of the settings, in their order."""
    rows = _rows(connection, configured(settings))
    day = quota_day(now)
    return tuple(_known(key, rows.get(key.digest), settings, now, day) for key in configured(settings))


def _known(key: Key, row: Any, settings: Settings, now: datetime, day: date) -> KeyState:
    budget = settings.youtube_daily_calls
    if row is None:
        return KeyState(key.label, "usable", 0, budget, None, None)
    state, used = _state(row, settings, now), _used(row, day)
    is_parked = state == "parked"
    # A key that is parked until its quota is new has none left, whatever we have counted.
    is_spent = state == "disabled" or (is_parked and row.parked_until >= next_reset(now))
    left = 0 if is_spent else max(0, budget - used)
    until = row.parked_until if is_parked else None
    return KeyState(key.label, state, used, left, until, row.reason if state in ("parked", "disabled") else None)


def _state(row: Any, settings: Settings, now: datetime) -> str:
    if row.disabled_at is not None:
        return "disabled"
    if row.parked_until is not None and row.parked_until > now:
        return "parked"
    return "usable" if _used(row, quota_day(now)) < settings.youtube_daily_calls else "spent"


def _used(row: Any, day: date) -> int:
    return int(row.calls_used) if _is_current(row, day) else 0


def _is_current(row: Any, day: date) -> bool:
    # Another worker's clock may be in the next day already; further on, a clock was wrong.
    return bool(day <= row.quota_day <= day + timedelta(days=1))


def _introduce(connection: sa.Connection, keys: Collection[Key], day: date) -> None:
    rows = [{"digest": key.digest, "quota_day": day} for key in sorted(keys, key=lambda key: key.digest)]
    if rows:
        connection.execute(insert(youtube_keys).values(rows).on_conflict_do_nothing())


def _rows(connection: sa.Connection, keys: Collection[Key], *, lock: bool = False) -> Mapping[str, Any]:
    digests = [key.digest for key in keys]
    # In one order, so that two workers do not wait for each other.
    found = sa.select(youtube_keys).where(youtube_keys.c.digest.in_(digests)).order_by(youtube_keys.c.digest)
    return {row.digest: row for row in connection.execute(found.with_for_update() if lock else found)}
