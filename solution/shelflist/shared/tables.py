"""The plumbing's tables, equal to the migrated database (a test compares)."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from .database import metadata


def _created_at() -> sa.Column[datetime]:
    return sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


server_secrets = sa.Table(
    "server_secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.LargeBinary, nullable=False),
    _created_at(),
)

clients = sa.Table(
    "clients",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    _created_at(),
    sa.Column("revoked_at", sa.DateTime(timezone=True)),
    sa.CheckConstraint("scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0", name="scopes"),
)

client_secrets = sa.Table(
    "client_secrets",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("client_id", sa.Text, sa.ForeignKey(clients.c.id, ondelete="CASCADE"), nullable=False),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    _created_at(),
    sa.Column("expires_at", sa.DateTime(timezone=True)),
    sa.Index("client_secrets_client_id_idx", "client_id"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("caller", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    _created_at(),
    sa.Index("idempotency_keys_created_at_idx", "created_at"),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("arguments", JSONB, nullable=False),
    sa.Column("owner", sa.Text),
    sa.Column("state", sa.Text, nullable=False, server_default="queued"),
    sa.Column("progress", sa.REAL, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("result", JSONB(none_as_null=True)),
    sa.Column("problem", JSONB(none_as_null=True)),
    _created_at(),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
    sa.Column("finished_at", sa.DateTime(timezone=True)),
    sa.CheckConstraint("state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="state"),
    sa.CheckConstraint("progress BETWEEN 0 AND 1", name="progress"),
    sa.Index("jobs_created_at_idx", "created_at", "id"),
    sa.Index(
        "jobs_pending_idx",
        "kind",
        "arguments",
        unique=True,
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    ),
)
