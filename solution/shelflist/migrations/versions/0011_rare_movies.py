"""Apply sql-scripts/0011_rare_movies.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0011_rare_movies.sql")
