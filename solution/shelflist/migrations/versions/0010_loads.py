"""Apply sql-scripts/0010_loads.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0010_loads.sql")
