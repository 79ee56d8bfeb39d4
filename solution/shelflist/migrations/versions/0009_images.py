"""Apply sql-scripts/0009_images.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0009_images.sql")
