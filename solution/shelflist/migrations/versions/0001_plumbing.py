"""Apply sql-scripts/0001_plumbing.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0001_plumbing.sql")
