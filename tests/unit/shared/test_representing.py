"""Rows as bodies: what the short way gives is what marshmallow gives."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from marshmallow import Schema, fields
from sqlalchemy.engine.result import result_tuple

from shelflist.shared.representing import Derived, RowSchema
from shelflist.shared.timestamps import Timestamp

FIELDS: dict[str, Any] = {
    "text": fields.String(),
    "number": fields.Integer(),
    "share": fields.Float(),
    "is_on": fields.Boolean(),
    "words": fields.List(fields.String()),
    "counts": fields.List(fields.Integer()),
    "anything": fields.Raw(),
    "moment": Timestamp(),
    "renamed": fields.String(attribute="text", dump_only=True),
    "made": Derived(lambda text: f"<{text}>", attribute="text"),
    "whole": fields.Function(lambda row: row.number),
    "absent": fields.String(),
}
WHOLE = {
    "text": "Ä",
    "number": Decimal(7),
    "share": Decimal("8.5"),
    "is_on": True,
    "words": ["a", None, "b"],
    "counts": [Decimal(1), None],
    "anything": {"a": [1]},
    "moment": datetime(2026, 11, 21, 9, 30, 1, 234_567, timezone(timedelta(hours=2))),
}
ROWS = {
    "whole": WHOLE,
    "of nulls": dict.fromkeys(WHOLE),
    "in another order": dict(reversed(WHOLE.items())),
    "of other types": {**WHOLE, "text": 5, "number": "12", "moment": datetime(1999, 12, 31, tzinfo=UTC)},
    "empty": {**WHOLE, "text": "", "words": [], "is_on": False, "number": 0},
}


@pytest.fixture
def rows() -> dict[str, sa.Row[Any]]:
    return {name: result_tuple(list(row))(list(row.values())) for name, row in ROWS.items()}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_becomes_what_marshmallow_makes_of_it(name: str, rows: dict[str, sa.Row[Any]]) -> None:
    ours, theirs = (kind.from_dict(FIELDS)() for kind in (RowSchema, Schema))
    expected = theirs.dump(rows[name])
    assert ours.dump(rows[name]) == expected
    assert list(ours.dump(rows[name])) == list(expected)
    assert "absent" not in expected
    assert ours.dump([rows[name]] * 2, many=True) == [expected, expected]


def test_rows_of_two_statements_follow_each_other(rows: dict[str, sa.Row[Any]]) -> None:
    ours, theirs = (kind.from_dict(FIELDS)() for kind in (RowSchema, Schema))
    both = [rows["whole"], rows["empty"], rows["in another order"], rows["in another order"]]
    assert ours.dump(both, many=True) == theirs.dump(both, many=True)


def test_what_is_no_row_is_left_to_marshmallow() -> None:
    of_objects = {name: field for name, field in FIELDS.items() if name != "whole"}
    ours, theirs = (kind.from_dict(of_objects)() for kind in (RowSchema, Schema))
    assert ours.dump(WHOLE) == theirs.dump(WHOLE) != {}
    assert ours.dump([], many=True) == []
