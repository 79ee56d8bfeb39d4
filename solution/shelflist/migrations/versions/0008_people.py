"""Apply sql-scripts/0008_people.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0008_people.sql")
