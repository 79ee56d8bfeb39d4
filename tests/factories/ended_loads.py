"""Loads of both datasets, as if they had ended some hours ago."""

from typing import Any

import sqlalchemy as sa
from uuid6 import uuid7

from shelflist.ingest.tables import dataset_loads

DATASETS = ("title.basics", "title.ratings")


def add_load(engine: sa.Engine, outcome: str, hours_ago: float = 0, **values: Any) -> str:
    """Store a load that took a minute and ended so many hours ago, and return its load_id.

    A loaded one is served from then on; one that is running has begun then and has no end.
    """
    load_id = str(uuid7())
    ended_at = sa.func.now() - sa.text(f"interval '{hours_ago} hours'")
    row = dataset_loads.insert().values(
        load_id=load_id,
        source="test",
        outcome=outcome,
        is_current=outcome == "loaded",
        started_at=ended_at - sa.text("interval '1 minute'"),
        finished_at=None if outcome == "running" else ended_at,
        **values,
    )
    with engine.begin() as connection:
        if outcome == "loaded":
            connection.execute(dataset_loads.update().values(is_current=False))
        for dataset in DATASETS:
            connection.execute(row.values(id=str(uuid7()), dataset=dataset))
    return load_id
