"""The ledger's tables: one row per load of each dataset, and the rows that loads left out."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from shelflist.shared.database import metadata


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


dataset_loads = sa.Table(
    "dataset_loads",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("load_id", UUID(as_uuid=False), nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("sha256", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("is_current", sa.Boolean, nullable=False, server_default="false"),
    _count("rows_read"),
    _count("rows_kept"),
    _count("rows_rejected"),
    _count("rows_shadowed"),
    _count("rows_inserted"),
    _count("rows_updated"),
    _count("rows_deleted"),
    sa.Column("rejected_sample", JSONB, nullable=False, server_default="[]"),
    sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.Column("served_at", sa.DateTime(timezone=True)),
    sa.Column("visible_at", sa.DateTime(timezone=True)),
    sa.Column("shadowed_ids", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("phases", JSONB, nullable=False, server_default="[]"),
    sa.Column("overridden_gates", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("rejected_counts", JSONB, nullable=False, server_default="{}"),
    sa.CheckConstraint("outcome IN ('running', 'loaded', 'unchanged', 'failed', 'interrupted')", name="outcome"),
)

sa.Index("dataset_loads_started_at_idx", dataset_loads.c.started_at, dataset_loads.c.id)
sa.Index("dataset_loads_current_idx", dataset_loads.c.dataset, unique=True, postgresql_where=dataset_loads.c.is_current)

rejected_rows = sa.Table(
    "rejected_rows",
    metadata,
    sa.Column(
        "dataset_load_id",
        UUID(as_uuid=False),
        sa.ForeignKey(dataset_loads.c.id, ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("column", sa.Text),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
)
