"""The count of transactions that changed what the analysis reads."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from .tables import video_revisions


def advance(connection: sa.Connection) -> None:
    """Count the open transaction; call it last in it, because whoever changes videos next waits here for its end."""
    statement = insert(video_revisions).values(is_only=True, revision=1)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["is_only"], set_={"revision": video_revisions.c.revision + 1})
    )


def current(connection: sa.Connection) -> int:
    """Return the number of changes so far; 0 where nothing was counted yet."""
    return connection.scalar(sa.select(video_revisions.c.revision)) or 0
