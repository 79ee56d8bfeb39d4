"""The ledger: what each load read, kept and changed, and which load is being served."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from .rejections import Rejections
from .tables import dataset_loads, rejected_rows

Outcome = Literal["loaded", "unchanged", "failed", "interrupted"]


@dataclass(frozen=True)
class Validators:
    """What a server says to ask for a file by again: its ETag and its Last-Modified (RFC 9110, 8.8)."""

    etag: str | None = None
    last_modified: str | None = None

    def conditions(self) -> dict[str, str]:
        """Return the headers with which a server answers 304 where the file is still the same."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass
class DatasetLoad:
    """What one load knows of one dataset by now; the ledger gets all of it when the load ends, however it ends."""

    load_id: str
    dataset: str
    source: str
    id: str = field(default_factory=lambda: str(uuid7()))
    validators: Validators = Validators()
    sha256: str | None = None
    rows_read: int = 0
    rows_kept: int = 0
    shadowed_ids: list[str] = field(default_factory=list)
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    rejections: Rejections = field(default_factory=Rejections)
    phases: list[dict[str, object]] = field(default_factory=list)
    """The seconds that each phase took so far: {"phase", "seconds"}; the loads of one run share them."""
    overridden_gates: list[str] = field(default_factory=list)
    """The gates that would have refused this load, had it not been forced."""

    @property
    def rows_shadowed(self) -> int:
        """How many rows gave way to users' rows."""
        return len(self.shadowed_ids)


KEPT_LOADS = 30
"""Loads of a dataset whose rejected rows are kept."""


def begin(connection: sa.Connection, loads: Iterable[DatasetLoad]) -> None:
    """Record that `loads` run, and that whatever else still seems to run was interrupted; commits.

    Only for the holder of the load lock: nothing else can be running then.
    """
    interrupt_running(connection)
    rows = [{"id": load.id, "load_id": load.load_id, "dataset": load.dataset, "source": load.source} for load in loads]
    connection.execute(sa.insert(dataset_loads).values(outcome="running"), rows)
    connection.commit()


def interrupt_running(connection: sa.Connection) -> None:
    """Record that whatever seems to run was interrupted. Only for the holder of the load lock, who commits."""
    connection.execute(
        sa.update(dataset_loads)
        .where(dataset_loads.c.outcome == "running")
        .values(
            outcome="interrupted",
            reason="the loader stopped before its end",
            finished_at=sa.func.clock_timestamp(),
        )
    )


def finish(
    connection: sa.Connection, loads: Iterable[DatasetLoad], outcome: Outcome, reason: str | None = None
) -> None:
    """Record how `loads` ended; `loaded` ones become the current ones. The caller commits, with the data.

    A load that has ended stays as it ended.
    """
    for load in loads:
        if outcome == "loaded":
            _retire_current(connection, load.dataset)
        connection.execute(
            sa.update(dataset_loads)
            .where(dataset_loads.c.id == load.id, dataset_loads.c.outcome == "running")
            .values(
                outcome=outcome,
                reason=reason,
                is_current=outcome == "loaded",
                finished_at=sa.func.clock_timestamp(),
                # The start of the transaction: what its rows carry as updated_at.
                served_at=sa.func.now() if outcome == "loaded" else None,
                **_findings(load),
            )
        )
        _keep_rejected(connection, load)


def _keep_rejected(connection: sa.Connection, load: DatasetLoad) -> None:
    rows = [{"dataset_load_id": load.id, **vars(row)} for row in load.rejections.kept]
    if rows:
        connection.execute(insert(rejected_rows).on_conflict_do_nothing(), rows)
    past = (
        sa.select(dataset_loads.c.id)
        .where(dataset_loads.c.dataset == load.dataset)
        .order_by(dataset_loads.c.started_at.desc(), dataset_loads.c.id.desc())
        .offset(KEPT_LOADS)
    )
    connection.execute(sa.delete(rejected_rows).where(rejected_rows.c.dataset_load_id.in_(past)))


def mark_visible(connection: sa.Connection, loads: Iterable[DatasetLoad]) -> None:
    """Note that what `loads` wrote is visible; to be called after the commit that made it so, and commits itself."""
    for load in loads:
        connection.execute(
            sa.update(dataset_loads).where(dataset_loads.c.id == load.id).values(visible_at=sa.func.clock_timestamp())
        )
    connection.commit()


def _retire_current(connection: sa.Connection, dataset: str) -> None:
    connection.execute(
        sa.update(dataset_loads)
        .where(dataset_loads.c.dataset == dataset, dataset_loads.c.is_current)
        .values(is_current=False)
    )


def _findings(load: DatasetLoad) -> dict[str, object]:
    return {
        "etag": load.validators.etag,
        "last_modified": load.validators.last_modified,
        "sha256": load.sha256,
        "rows_read": load.rows_read,
        "rows_kept": load.rows_kept,
        "rows_rejected": load.rejections.count,
        "rejected_sample": load.rejections.sample,
        "rejected_counts": load.rejections.counts,
        "phases": load.phases,
        "overridden_gates": load.overridden_gates,
        "rows_shadowed": load.rows_shadowed,
        "shadowed_ids": load.shadowed_ids,
        "rows_inserted": load.rows_inserted,
        "rows_updated": load.rows_updated,
        "rows_deleted": load.rows_deleted,
    }


@dataclass(frozen=True)
class Current:
    """The load of a dataset that is being served."""

    source: str
    sha256: str | None
    rows_read: int
    rows_kept: int
    shadowed_ids: list[str]

    @property
    def rows_shadowed(self) -> int:
        """How many rows gave way to users' rows."""
        return len(self.shadowed_ids)


def current(connection: sa.Connection, dataset: str) -> Current | None:
    """Return the load of `dataset` that is being served, None before the first."""
    served = dataset_loads.c
    columns = (served.source, served.sha256, served.rows_read, served.rows_kept, served.shadowed_ids)
    row = connection.execute(
        sa.select(*columns).where(dataset_loads.c.dataset == dataset, dataset_loads.c.is_current)
    ).one_or_none()
    return Current(*row) if row else None


def known_validators(connection: sa.Connection, load: DatasetLoad) -> Validators:
    """Return the validators under which the source of `load` last gave what is being served, else empty ones.

    Loads that found those bytes unchanged count too: a server may give the same bytes a new ETag.
    """
    served = current(connection, load.dataset)
    row = connection.execute(
        sa.select(dataset_loads.c.etag, dataset_loads.c.last_modified)
        .where(
            dataset_loads.c.dataset == load.dataset,
            dataset_loads.c.source == load.source,
            dataset_loads.c.sha256 == (served and served.sha256),
            dataset_loads.c.outcome.in_(("loaded", "unchanged")),
        )
        .order_by(dataset_loads.c.started_at.desc(), dataset_loads.c.id.desc())
        .limit(1)
    ).one_or_none()
    return Validators(*row) if row else Validators()
