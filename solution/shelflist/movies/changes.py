"""What loads did to the catalogue since a version or a moment: one row a movie, with its newest state."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from shelflist.ingest.tables import dataset_loads
from shelflist.shared.paging import Keyset, Page, Position, Sort, page_of
from shelflist.shared.timestamps import parse_timestamp

from .dataset_queries import BASICS, VERSION
from .problems import UnknownVersion
from .tables import movies, removed_movies

CHANGE_SORTS = {"changed_at": Sort(movies.c.updated_at, datetime, is_nullable=False)}
_REMOVED = Sort(removed_movies.c.removed_at, datetime, is_nullable=False)

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)

_SHOWN = tuple(column for column in movies.c if column.name != "title_key")


@dataclass(frozen=True)
class Start:
    """Where a caller stands: it has what was written until this moment; `version` is what is served now."""

    moment: datetime
    version: str | None


def find_start(connection: sa.Connection, since: str) -> Start:
    """Return where `since` is, a version or an RFC 3339 timestamp.

    A moment stands for the last load that surely was visible by then. Rows carry the time at which their load began
    to write, and are seen when it ends: a moment between the two has seen nothing of that load.

    Raises UnknownVersion for what never was a version, InvalidRequest for a timestamp that is none.
    """
    served = sa.select(sa.func.max(dataset_loads.c.served_at)).where(dataset_loads.c.dataset == BASICS)
    if _is_uuid(since):
        found = served.where(dataset_loads.c.load_id == since)
    else:
        found = served.where(dataset_loads.c.visible_at <= parse_timestamp(since.upper(), "since"))
    moment, version = connection.execute(sa.select(found.scalar_subquery(), VERSION)).one()
    if moment is None and _is_uuid(since):
        raise UnknownVersion(since)
    return Start(moment or _BEFORE_ALL, version)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def list_changes(
    connection: sa.Connection, since: datetime, *, sort: str, desc: bool, after: Position | None, page_size: int
) -> Page:
    """Return the page behind `after` of IMDb's movies that were written after `since`, and of those removed after it.

    Two walks along an index, of which each reads no more rows than the page has, and one merge of them: a page
    costs the same at any depth. Each row is of the version in its column `dataset_version`.
    """
    limit = page_size + 1
    written = Keyset(CHANGE_SORTS[sort], movies.c.id, desc, is_bursty=True)
    removed = Keyset(_REMOVED, removed_movies.c.id, desc, is_bursty=True)
    both = sa.union_all(
        sa.select(written.walk(_written(written.bound(since)), after, limit).subquery("written")),
        sa.select(removed.walk(_removed(removed.bound(since)), after, limit).subquery("removed")),
    ).subquery("changes")
    statement = sa.select(both, VERSION).order_by(*written.order(both.c.page_key, both.c.page_id)).limit(limit)
    return page_of(connection.execute(statement).all(), page_size)


def _written(since: sa.ColumnElement[Any]) -> sa.Select[Any]:
    change = sa.case((movies.c.created_at > since, "added"), else_="changed").label("change")
    # In the statement's text, or the planner could not know that the index holds these rows.
    is_imdbs = movies.c.source == sa.literal("imdb", literal_execute=True)
    return sa.select(change, *_SHOWN).where(is_imdbs, movies.c.updated_at > since)


def _removed(since: sa.ColumnElement[Any]) -> sa.Select[Any]:
    known = {column.name: column for column in removed_movies.c}
    columns = [known.get(column.name, sa.cast(sa.null(), column.type).label(column.name)) for column in _SHOWN]
    change = sa.literal("removed", sa.Text).label("change")
    return sa.select(change, *columns).where(removed_movies.c.removed_at > since)
