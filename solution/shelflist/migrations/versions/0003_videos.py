"""Apply sql-scripts/0003_videos.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0003_videos.sql")
