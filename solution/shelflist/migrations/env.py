"""Alembic's environment: one transaction for all pending revisions, on the caller's connection."""

from alembic import context

from shelflist.shared.database import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
