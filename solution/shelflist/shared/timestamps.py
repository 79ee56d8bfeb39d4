"""Timestamps as callers write and read them: RFC 3339, in UTC."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from marshmallow import fields

from .problems import FieldError, InvalidRequest


def parse_timestamp(text: str, name: str) -> datetime:
    """Return the moment that `text` names, in UTC; raises InvalidRequest naming the parameter or field `name`."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or "T" not in text.upper():
            raise ValueError(text)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        rule = "must be a moment with its zone, such as 2026-11-21T09:30:00Z"
        raise InvalidRequest(f"{name} {rule}", errors=[FieldError(name, "wrong-form", rule)]) from error


class Timestamp(fields.Field[datetime]):
    """An RFC 3339 timestamp in UTC with milliseconds, such as 2026-11-21T09:30:00.000Z."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:  # noqa: ARG002
        return as_text(value) if value is not None else None


# Rows that came together carry the same moment.
@lru_cache(1024)
def as_text(moment: datetime | str) -> str:
    """Return the moment as answers write it; text is PostgreSQL's, such as `2026-11-21 09:30:00+00`."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
