"""The videos whose vectors point most nearly the same way as one video's: cosine similarity."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from .problems import NoDirection
from .queries import SHOWN, get_video
from .tables import VECTOR_LENGTH, feature_vectors, videos

Found = list[tuple[sa.Row[Any], float]]
Vector = np.ndarray[tuple[int, ...], np.dtype[Any]]

# The scan in half precision is right to about three digits: what it finds beyond the limit makes up for that.
_SPARE = 40
_READ_ROWS = 4_096

# PostgreSQL's binary form of float4[]: without it, reading sixty vectors as text takes longer than finding them.
_ARRAY = np.dtype([("head", "V20"), ("values", [("length", "V4"), ("value", ">f4")], VECTOR_LENGTH)])
# A row of COPY BINARY (https://www.postgresql.org/docs/current/sql-copy.html): video_id and the array.
_COPIED_ROW = np.dtype([("head", "V6"), ("video_id", ">i8"), ("length", "V4"), ("array", _ARRAY)])
_COPY_HEAD = 19


def similar_videos(connection: sa.Connection, content_id: str, limit: int) -> Found:
    """Return up to `limit` other videos with their similarity, the nearest first.

    Raises NotFound, and NoDirection where the video has no vector or one of zeros.
    """
    video = get_video(connection, content_id)
    if video.feature_vector is None or not any(video.feature_vector):
        raise NoDirection(f"the video {content_id} has no vector with a direction")
    wanted = np.array(video.feature_vector)
    has_directions = connection.scalar(sa.select(sa.func.to_regclass("similarity.directions"))) is not None
    nearest = _scan if has_directions else _read_all
    candidates = nearest(connection, wanted, video.id, limit + _SPARE)
    return _exactly(connection, wanted, candidates, limit)


def _scan(connection: sa.Connection, wanted: Vector, video_id: int, count: int) -> list[int]:
    """Return the ids of the nearest by pgvector, roughly."""
    direction = (wanted / np.linalg.norm(wanted)).tolist()
    statement = sa.text(
        "SELECT video_id FROM similarity.directions WHERE video_id <> :video_id"
        " ORDER BY direction <#> CAST(:direction AS halfvec(256)) LIMIT :count"
    )
    rows = connection.execute(statement, {"video_id": video_id, "direction": str(direction), "count": count})
    return list(rows.scalars())


def _read_all(connection: sa.Connection, wanted: Vector, video_id: int, count: int) -> list[int]:
    """Return the ids of the nearest by reading every vector: the way for a server without pgvector."""
    best = _Best(wanted, video_id, count)
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        cursor.copy_expert("COPY (SELECT video_id, feature_vector FROM feature_vectors) TO STDOUT BINARY", best)
    return best.ids()


class _Best(io.RawIOBase):
    """Takes what COPY writes and keeps the nearest, so that memory does not grow with the table."""

    def __init__(self, wanted: Vector, video_id: int, count: int) -> None:
        self._wanted = wanted / np.linalg.norm(wanted)
        self._video_id, self._count = video_id, count
        self._rest = bytearray()
        self._seen_head = False
        self._ids = np.empty(0, np.int64)
        self._similarities = np.empty(0)

    def writable(self) -> bool:
        """Say that COPY may write here."""
        return True

    def write(self, data: Any) -> int:
        """Take some bytes."""
        self._rest += data
        if not self._seen_head and len(self._rest) >= _COPY_HEAD:
            del self._rest[:_COPY_HEAD]
            self._seen_head = True
        if len(self._rest) > _COPIED_ROW.itemsize * _READ_ROWS:
            self._compare()
        return len(data)

    def ids(self) -> list[int]:
        """Return the ids, the nearest first."""
        self._compare()
        found: list[int] = self._ids.tolist()
        return found

    def _compare(self) -> None:
        count = len(self._rest) // _COPIED_ROW.itemsize
        rows = np.frombuffer(bytes(self._rest[: count * _COPIED_ROW.itemsize]), _COPIED_ROW)
        del self._rest[: count * _COPIED_ROW.itemsize]
        vectors = rows["array"]["values"]["value"].astype(np.float64)
        norms = np.linalg.norm(vectors, axis=1)
        usable = (norms > 0) & (rows["video_id"] != self._video_id)
        similarities = vectors[usable] @ self._wanted / norms[usable]
        ids = np.concatenate([self._ids, rows["video_id"][usable].astype(np.int64)])
        similarities = np.concatenate([self._similarities, similarities])
        best = np.argsort(-similarities, kind="stable")[: self._count]
        self._ids, self._similarities = ids[best], similarities[best]


def _exactly(connection: sa.Connection, wanted: Vector, candidates: Sequence[int], limit: int) -> Found:
    """Return the nearest of the candidates, compared in double precision; ties by when the videos came."""
    joined = videos.join(feature_vectors, feature_vectors.c.video_id == videos.c.id)
    binary = sa.func.array_send(feature_vectors.c.feature_vector).label("binary_vector")
    statement: sa.Select[Any] = sa.select(*SHOWN, binary).select_from(joined)
    rows = connection.execute(statement.where(videos.c.id.in_(candidates))).all()
    compared = sorted(_compared(rows, wanted), key=lambda pair: (-pair[1], pair[0].id))
    return compared[:limit]


def _compared(rows: Sequence[sa.Row[Any]], wanted: Vector) -> Iterator[tuple[sa.Row[Any], float]]:
    for row in rows:
        vector = np.frombuffer(row.binary_vector, _ARRAY)["values"]["value"][0].astype(np.float64)
        norm = float(np.linalg.norm(vector))
        if norm > 0:
            cosine = float(vector @ wanted) / norm / float(np.linalg.norm(wanted))
            yield row, min(1.0, max(-1.0, cosine))
