"""Rows of feeds and runs, the counts and the quota as API bodies."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from marshmallow import fields

from shelflist.shared.representing import RowSchema
from shelflist.shared.timestamps import Timestamp

from .queries import FeedStatistics
from .quota import Quota

Body = dict[str, Any]

SOURCES = ("youtube", "invidious")


class FeedSchema(RowSchema):
    """One feed."""

    id = fields.String()
    query = fields.String()
    interval_seconds = fields.Integer()
    enabled = fields.Boolean()
    watermark = Timestamp()
    next_poll_at = Timestamp()
    last_success_at = Timestamp()
    last_error = fields.String()
    failures = fields.Integer()
    created_at = Timestamp()
    updated_at = Timestamp()


class FeedRunSchema(RowSchema):
    """One row of the ledger."""

    id = fields.String()
    feed_id = fields.String()
    started_at = Timestamp()
    finished_at = Timestamp()
    outcome = fields.String()
    source = fields.String()
    key_label = fields.String()
    published_after = Timestamp()
    published_before = Timestamp()
    calls = fields.Integer()
    pages = fields.Integer()
    new = fields.Integer()
    updated = fields.Integer()
    duplicates = fields.Integer()
    skipped = fields.Integer()
    errors = fields.Raw()


class PublishedSchema(RowSchema):
    """When the oldest and the newest video of a feed were published."""

    first_published_at = Timestamp()
    newest_published_at = Timestamp()


class KeyStateSchema(RowSchema):
    """One key of YouTube."""

    label = fields.String()
    state = fields.String()
    calls_used = fields.Integer()
    calls_left = fields.Integer()
    parked_until = Timestamp()
    reason = fields.String()


class FeedPlanSchema(RowSchema):
    """What is planned for one feed."""

    feed_id = fields.String()
    planned_interval_seconds = fields.Float()


class InstanceStateSchema(RowSchema):
    """One instance of Invidious."""

    name = fields.String()
    state = fields.String()
    failures = fields.Integer()
    open_until = Timestamp()
    reason = fields.String()


class QuotaSchema(RowSchema):
    """What the harvest may still ask today."""

    keys = fields.List(fields.Nested(KeyStateSchema))
    calls_per_day = fields.Integer()
    calls_left = fields.Integer()
    resets_at = Timestamp()
    planned_interval_seconds = fields.Float()
    feeds = fields.List(fields.Nested(FeedPlanSchema))
    instances = fields.List(fields.Nested(InstanceStateSchema))


_FEED = FeedSchema()
_RUN = FeedRunSchema()
_PUBLISHED = PublishedSchema()
_QUOTA = QuotaSchema()


def feed(row: sa.Row[Any]) -> Body:
    """Return one feed; what is disabled has no next poll, whatever its row keeps."""
    body: Body = dict(_FEED.dump(row))
    return body if row.enabled else {**body, "next_poll_at": None}


def feeds(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return feeds as lists show them."""
    return [feed(row) for row in rows]


def runs(rows: Sequence[sa.Row[Any]]) -> list[Body]:
    """Return rows of the ledger."""
    return list(_RUN.dump(rows, many=True))


def statistics(counted: FeedStatistics, first: date, last: date) -> Body:
    """Return the counts with every day from `last` back to `first`."""
    span = (last - first).days + 1
    days = [last - timedelta(days=number) for number in range(span)]
    return {
        "feed_id": counted.feed_id,
        "total": sum(counted.sources.values()),
        "sources": {source: counted.sources.get(source, 0) for source in SOURCES},
        **_PUBLISHED.dump(counted),
        "days": [_day(day, counted) for day in days],
    }


def quota(found: Quota) -> Body:
    """Return the quota and the plan."""
    return dict(_QUOTA.dump(found))


def _day(day: date, counted: FeedStatistics) -> Body:
    found = counted.days.get(day, {})
    by_source = {source: found.get(source, 0) for source in SOURCES}
    return {"day": day.isoformat(), "total": sum(by_source.values()), **by_source}
