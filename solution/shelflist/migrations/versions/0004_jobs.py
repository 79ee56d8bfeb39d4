"""Apply sql-scripts/0004_jobs.sql, and the schema of the queue as its library brings it."""

import sqlalchemy as sa
from alembic import op
from procrastinate.schema import SchemaManager

from shelflist.migrations import run_script
from shelflist.shared.job_queue import SCHEMA, queue_schema

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the script, then the library's own SQL in a schema of its own."""
    run_script(op, "0004_jobs.sql")
    connection: sa.Connection = op.get_bind()
    connection.execute(sa.schema.CreateSchema(SCHEMA))
    with queue_schema(connection):
        connection.exec_driver_sql(SchemaManager.get_schema().replace("%", "%%"))
