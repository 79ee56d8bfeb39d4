"""The feed that the setting QUERY asks for."""

import sqlalchemy as sa
import structlog

from shelflist.shared.problems import Problem
from shelflist.shared.settings import Settings

from .commands import add_feed
from .problems import FeedExists

log = structlog.get_logger(__name__)


def ensure_first_feed(engine: sa.Engine, settings: Settings) -> None:
    """Make the feed of QUERY where no feed asks the same; a query that no feed can have is logged."""
    if not settings.query:
        return
    try:
        with engine.begin() as connection:
            add_feed(connection, {"query": settings.query})
        log.info("a feed was made of QUERY", query=settings.query)
    except FeedExists:
        pass
    except Problem as problem:
        log.error("QUERY makes no feed", reason=problem.detail)
