"""The videos whose vectors point most nearly the same way as one video's: cosine similarity."""

import struct
from collections.abc import Iterator, Sequence
from math import hypot
from operator import mul
from typing import Any

import sqlalchemy as sa

from .problems import NoDirection
from .queries import SHOWN, get_video
from .tables import VECTOR_LENGTH, feature_vectors, videos

Found = list[tuple[sa.Row[Any], float]]
Vector = Sequence[float]

# The scan in half precision is right to about three digits: what it finds beyond the limit makes up for that.
_SPARE = 40

# PostgreSQL's binary form of float4[]: without it, reading sixty vectors as text takes longer than finding them.
_ARRAY = struct.Struct(">20x" + "4xf" * VECTOR_LENGTH)


def similar_videos(connection: sa.Connection, content_id: str, limit: int) -> Found:
    """Return up to `limit` other videos with their similarity, the nearest first.

    Raises NotFound, and NoDirection where the video has no vector or one of zeros.
    """
    video = get_video(connection, content_id)
    if video.feature_vector is None or not any(video.feature_vector):
        raise NoDirection(f"the video {content_id} has no vector with a direction")
    wanted = video.feature_vector
    has_directions = connection.scalar(sa.select(sa.func.to_regclass("similarity.directions"))) is not None
    nearest = _scan if has_directions else _read_all
    candidates = nearest(connection, wanted, video.id, limit + _SPARE)
    return _exactly(connection, wanted, candidates, limit)


def _scan(connection: sa.Connection, wanted: Vector, video_id: int, count: int) -> list[int]:
    """Return the ids of the nearest by pgvector, roughly."""
    length = hypot(*wanted)
    direction = [value / length for value in wanted]
    statement = sa.text(
        "SELECT video_id FROM similarity.directions WHERE video_id <> :video_id"
        " ORDER BY direction <#> CAST(:direction AS halfvec(256)) LIMIT :count"
    )
    rows = connection.execute(statement, {"video_id": video_id, "direction": str(direction), "count": count})
    return list(rows.scalars())


def _read_all(connection: sa.Connection, wanted: Vector, video_id: int, count: int) -> list[int]:
    """Return the ids of the nearest by reading every vector."""
    # Here, since numpy takes 12 MB in a server process, which needs it where pgvector is missing and for this alone.
    from .every_vector import nearest

    return nearest(connection, wanted, video_id, count)


def _exactly(connection: sa.Connection, wanted: Vector, candidates: Sequence[int], limit: int) -> Found:
    """Return the nearest of the candidates, compared in double precision; ties by when the videos came."""
    joined = videos.join(feature_vectors, feature_vectors.c.video_id == videos.c.id)
    binary = sa.func.array_send(feature_vectors.c.feature_vector).label("binary_vector")
    statement: sa.Select[Any] = sa.select(*SHOWN, binary).select_from(joined)
    rows = connection.execute(statement.where(videos.c.id.in_(candidates))).all()
    compared = sorted(_compared(rows, wanted), key=lambda pair: (-pair[1], pair[0].id))
    return compared[:limit]


def _compared(rows: Sequence[sa.Row[Any]], wanted: Vector) -> Iterator[tuple[sa.Row[Any], float]]:
    length = hypot(*wanted)
    for row in rows:
        vector = _ARRAY.unpack(row.binary_vector)
        norm = hypot(*vector)
        if norm > 0:
            cosine = sum(map(mul, vector, wanted)) / norm / length
            yield row, min(1.0, max(-1.0, cosine))
