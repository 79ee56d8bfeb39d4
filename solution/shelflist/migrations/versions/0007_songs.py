"""Apply sql-scripts/0007_songs.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0007_songs.sql")
