"""Videos for tests, with what they do not care about filled in."""

import random
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from shelflist.shared.folding import fold
from shelflist.videos.commands import search_key
from shelflist.videos.tables import videos

LABELS = ("Sport", "Music", "News & Politics", "Undefined")
SHOWS = ("The Late Hour", "Morning, again")


def vector(seed: int = 1) -> list[float]:
    """Return 256 numbers, each with few enough digits to be kept as they are."""
    pick = random.Random(seed)
    return [round(pick.uniform(-1, 1), 5) for _ in range(256)]


def new_video(content_id: str = "v1", **fields: Any) -> dict[str, Any]:
    """Return a body for POST /videos."""
    return {
        "content_id": content_id,
        "actual_label": "Sport",
        "predicted_label": "Music",
        "tvshow": "The Late Hour",
        "feature_vector": vector(),
        **fields,
    }


def harvested(content_id: str, **fields: Any) -> dict[str, Any]:
    """Return the columns of a video as a harvest would find it: without labels and vector."""
    return {"content_id": content_id, "title": f"Video {content_id}", "source": "youtube", **fields}


def add_rows(engine: sa.Engine, rows: Iterable[dict[str, Any]]) -> list[int]:
    """Store rows of the table videos and return their ids."""
    with engine.begin() as connection:
        ids = []
        for row in rows:
            title = row.get("title")
            keys = {
                "title_key": fold(title) if title else None,
                "search_key": search_key(title, row.get("description")),
            }
            statement = videos.insert().values(**{"source": "upload", **keys, **row}).returning(videos.c.id)
            ids.append(int(connection.scalar(statement) or 0))
        return ids
