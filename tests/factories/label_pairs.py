"""Videos with both labels, many at once, for what counts them or learns from their vectors."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from shelflist.videos.tables import feature_vectors, videos

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Labelled(NamedTuple):
    """What the analysis reads of a video."""

    actual: str | None
    predicted: str | None
    tvshow: str | None = "Evening News"
    created_at: datetime = START


def add_labelled(engine: sa.Engine, rows: Iterable[Labelled | tuple[str | None, ...]], *, prefix: str = "p") -> None:
    """Store videos without vectors."""
    values = [
        {
            "content_id": f"{prefix}{number:06}",
            "source": "upload",
            "actual_label": row.actual,
            "predicted_label": row.predicted,
            "tvshow": row.tvshow,
            "created_at": row.created_at,
        }
        for number, row in enumerate(Labelled(*row) for row in rows)  # type: ignore[arg-type]
    ]
    with engine.begin() as connection:
        connection.execute(videos.insert(), values)


def add_vectors(engine: sa.Engine, *, seed: int = 1) -> None:
    """Give every labelled video that has none a vector from which its predicted label can be guessed."""
    chooser = random.Random(seed)
    with engine.begin() as connection:
        rows = connection.execute(
            sa.select(videos.c.id, videos.c.predicted_label)
            .where(videos.c.predicted_label.is_not(None), videos.c.id.not_in(sa.select(feature_vectors.c.video_id)))
            .order_by(videos.c.content_id)
        ).all()
        values = []
        for row in rows:
            vector = [chooser.gauss(0, 1) for _ in range(256)]
            vector[7] += 3 * (sum(map(ord, row.predicted_label)) % 5)
            values.append({"video_id": row.id, "feature_vector": vector})
        connection.execute(feature_vectors.insert(), values)


def random_pairs(rows: int, labels: int, *, seed: int, right: float = 0.6) -> list[tuple[str, str]]:
    """Return actual and predicted labels; some labels are only actual, some only predicted."""
    chooser = random.Random(seed)
    actual = [f"label {chooser.randrange(labels)}" for _ in range(rows)]
    return [
        (label, label if chooser.random() < right else f"label {chooser.randrange(2 * labels)}") for label in actual
    ]
