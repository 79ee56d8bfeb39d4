"""Every SELECT of the analysis of labels; videos without both labels are left out of all of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from .analysis import Counts
from .problems import NotEnoughVideos, TooManyGroups, TooManyLabels
from .tables import feature_importances, feature_vectors, is_labelled, videos

MAX_LABELS = 500
"""Labels of one matrix."""
MAX_GROUPS = 100
"""Groups of one comparison."""
MAX_CELLS = 500_000
"""Cells of all matrices of one answer."""
MIN_VIDEOS = 10
"""Videos with a vector from which trees can learn something."""


@dataclass(frozen=True)
class AnalysisFilters:
    """Which videos are counted; None where all are."""

    tvshow: str | None = None
    created_gte: datetime | None = None
    created_lt: datetime | None = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return the conditions, that of having both labels included."""
        return [is_labelled, *(FILTERS[name](value) for name, value in vars(self).items() if value is not None)]


FILTERS: Mapping[str, Any] = {
    "tvshow": lambda value: videos.c.tvshow == value,
    "created_gte": lambda value: videos.c.created_at >= value,
    "created_lt": lambda value: videos.c.created_at < value,
}
"""Filter name -> condition."""

_LABELS = (videos.c.actual_label, videos.c.predicted_label)
_COUNT = sa.func.count().label("videos")
_VECTORS = feature_vectors.join(videos, videos.c.id == feature_vectors.c.video_id)


def count_labels(connection: sa.Connection, filters: AnalysisFilters) -> Counts:
    """Return how many videos have each pair of labels; raises TooManyLabels."""
    statement: sa.Select[Any] = sa.select(*_LABELS, _COUNT).where(*filters.conditions()).group_by(*_LABELS)
    counts = {(row.actual_label, row.predicted_label): row.videos for row in _fetch(connection, statement)}
    _check_size([counts])
    return counts


def count_labels_by_show(
    connection: sa.Connection, filters: AnalysisFilters, shows: Sequence[str] | None
) -> tuple[Counts, dict[str, Counts]]:
    """Return the pairs of all videos, and those of each show of `shows`, of every show where that is None.

    Raises TooManyLabels and TooManyGroups. Videos without a show are in the first alone.
    """
    statement = (
        sa.select(videos.c.tvshow, *_LABELS, _COUNT).where(*filters.conditions()).group_by(videos.c.tvshow, *_LABELS)
    )
    counts: dict[tuple[str, str], int] = defaultdict(int)
    by_show: dict[str, dict[tuple[str, str], int]] = {show: {} for show in shows or ()}
    for row in _fetch(connection, statement):
        pair = (row.actual_label, row.predicted_label)
        counts[pair] += row.videos
        if row.tvshow in by_show or (shows is None and row.tvshow is not None):
            by_show.setdefault(row.tvshow, {})[pair] = row.videos
    if len(by_show) > MAX_GROUPS:
        raise TooManyGroups(len(by_show), MAX_GROUPS)
    _check_size([counts, *by_show.values()])
    return dict(counts), dict(by_show)


def check_trainable(connection: sa.Connection, target: str, filters: AnalysisFilters) -> None:
    """Raise NotEnoughVideos unless there are rows and classes enough to train on."""
    statement = sa.select(sa.func.count(), sa.func.count(videos.c[target].distinct())).select_from(_VECTORS)
    rows, classes = connection.execute(statement.where(*filters.conditions())).one()
    if rows < MIN_VIDEOS or classes < 2:
        raise NotEnoughVideos(rows, classes, MIN_VIDEOS)


def trainable_ids(connection: sa.Connection, filters: AnalysisFilters) -> list[int]:
    """Return the ids of the labelled videos that have a vector, in the order of their content_id."""
    statement = sa.select(videos.c.id).select_from(_VECTORS).where(*filters.conditions())
    return list(connection.scalars(statement.order_by(videos.c.content_id)))


def vectors(connection: sa.Connection, ids: Sequence[int], target: str) -> Sequence[sa.Row[Any]]:
    """Return `label` and `feature_vector` of these videos, in the order of their content_id."""
    columns: Sequence[sa.ColumnElement[Any]] = (videos.c[target].label("label"), feature_vectors.c.feature_vector)
    statement = sa.select(*columns).select_from(_VECTORS).where(videos.c.id.in_(ids))
    return connection.execute(statement.order_by(videos.c.content_id)).all()


def get_importance(
    connection: sa.Connection, arguments: Mapping[str, Any], data_version: int
) -> Mapping[str, Any] | None:
    """Return what was computed for these arguments from this version of the data; None where nothing was."""
    statement = sa.select(feature_importances.c.result).where(
        feature_importances.c.arguments == dict(arguments),
        feature_importances.c.data_version == data_version,
    )
    result: Mapping[str, Any] | None = connection.scalar(statement)
    return result


def _fetch(connection: sa.Connection, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    """Return the rows; raises TooManyLabels before there are more than any answer could show."""
    rows: Sequence[Any] = connection.execute(statement.limit(MAX_CELLS + 1)).all()
    if len(rows) > MAX_CELLS:
        raise TooManyLabels(f"there are more than {MAX_CELLS} different pairs of labels")
    return rows


def _check_size(matrices: Sequence[Counts]) -> None:
    sizes = [len({label for pair in counts for label in pair}) for counts in matrices]
    if sizes[0] > MAX_LABELS:
        raise TooManyLabels(f"there are {sizes[0]} different labels, more than {MAX_LABELS}")
    if sum(size**2 for size in sizes) > MAX_CELLS:
        raise TooManyLabels(f"the matrices of all groups have more than {MAX_CELLS} cells together")
