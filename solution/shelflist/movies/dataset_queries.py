"""Every SELECT of the ledger: the loads of the datasets, the rows they left out, and the version that is served."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shelflist.ingest.tables import dataset_loads, rejected_rows
from shelflist.shared.paging import Keyset, Page, Position, Sort
from shelflist.shared.problems import NotFound

# The name of imdb_files.py again, which would bring the whole load engine into every process that serves.
BASICS = "title.basics"
"""The dataset whose loads are the versions of the catalogue: no movie is there without it."""

DATASET_SORTS = {"started_at": Sort(dataset_loads.c.started_at, datetime, is_nullable=False)}
REJECTED_SORTS = {"line": Sort(rejected_rows.c.line, int, is_nullable=False)}
REJECTED_FILTERS: dict[str, Callable[[Any], sa.ColumnElement[bool]]] = {
    "code": lambda value: rejected_rows.c.code == value,
}

VERSION = (
    sa.select(dataset_loads.c.load_id)
    .where(dataset_loads.c.dataset == BASICS, dataset_loads.c.is_current)
    .scalar_subquery()
    .label("dataset_version")
)
"""The version that is served, as a column: read by the statement that reads movies, it is exactly theirs."""


def current_version(connection: sa.Connection) -> str | None:
    """Return the version that is served; None before the first load."""
    version: str | None = connection.scalar(sa.select(VERSION))
    return version


def list_datasets(connection: sa.Connection, *, sort: str, desc: bool, after: Position | None, page_size: int) -> Page:
    """Return the page of the ledger behind `after`."""
    keyset = Keyset(DATASET_SORTS[sort], dataset_loads.c.id, desc)
    return keyset.fetch(connection, sa.select(dataset_loads), after, page_size)


def current_datasets(connection: sa.Connection) -> Sequence[sa.Row[Any]]:
    """Return the load of each dataset that is served now."""
    return connection.execute(
        sa.select(dataset_loads).where(dataset_loads.c.is_current).order_by(dataset_loads.c.dataset)
    ).all()


def list_rejected(
    connection: sa.Connection,
    dataset_load_id: str,
    filters: Mapping[str, Any],
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page behind `after` of the rows that one load left out of one dataset; raises NotFound."""
    if connection.scalar(sa.select(dataset_loads.c.id).where(dataset_loads.c.id == dataset_load_id)) is None:
        raise NotFound(f"there is no load {dataset_load_id} of a dataset")
    conditions = [REJECTED_FILTERS[name](value) for name, value in filters.items() if value is not None]
    statement = sa.select(rejected_rows).where(rejected_rows.c.dataset_load_id == dataset_load_id, *conditions)
    # A line is rejected once: the id is the same for all rows, and there only for the form of a position.
    return Keyset(REJECTED_SORTS[sort], rejected_rows.c.dataset_load_id, desc).fetch(
        connection, statement, after, page_size
    )
