"""Apply sql-scripts/0002_movies.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0002_movies.sql")
