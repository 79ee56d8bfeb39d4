"""Rows of jobs as API bodies."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from shelflist.shared.job_bodies import job_body as job

__all__ = ["job", "jobs"]


def jobs(rows: Sequence[sa.Row[Any]]) -> list[dict[str, Any]]:
    """Return jobs as the API shows them."""
    return [job(row) for row in rows]
