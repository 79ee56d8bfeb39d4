"""Jobs as the API shows them, for every operation that answers with one."""

from typing import Any

import sqlalchemy as sa

from .timestamps import Timestamp

_TIMESTAMP = Timestamp()


def job_body(row: sa.Row[Any]) -> dict[str, Any]:
    """Return one job as the API shows it, without its arguments and its owner."""
    moments = ("created_at", "started_at", "next_attempt_at", "finished_at")
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "progress": round(row.progress, 4),
        "attempts": row.attempts,
        "result": row.result,
        "problem": row.problem,
        **{name: _TIMESTAMP.serialize(name, row) for name in moments},
    }
