"""Cursors as most would write them: the key and the id of a page's last row, as JSON in base64."""

import base64
import json
from typing import Any


def write_cursor(key: Any, row_id: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([key, str(row_id)], default=str).encode()).decode()


def read_cursor(cursor: str) -> tuple[Any, str]:
    """Return the key, None among the rows without one, and the id; raises ValueError for anything else."""
    key, row_id = json.loads(base64.urlsafe_b64decode(cursor))
    return key, row_id
