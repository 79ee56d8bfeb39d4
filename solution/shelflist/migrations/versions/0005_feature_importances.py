"""Apply sql-scripts/0005_feature_importances.sql."""

from alembic import op

from shelflist.migrations import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the script."""
    run_script(op, "0005_feature_importances.sql")
