"""Apply sql-scripts/0006_harvest.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0006_harvest.sql")
