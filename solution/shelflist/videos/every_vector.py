"""The videos nearest to a vector by reading all vectors: the way for a server without pgvector."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from .tables import VECTOR_LENGTH

_READ_ROWS = 4_096

# PostgreSQL's binary form of float4[].
_ARRAY = np.dtype([("head", "V20"), ("values", [("length", "V4"), ("value", ">f4")], VECTOR_LENGTH)])
# A row of COPY BINARY (https://www.postgresql.org/docs/current/sql-copy.html): video_id and the array.
_COPIED_ROW = np.dtype([("head", "V6"), ("video_id", ">i8"), ("length", "V4"), ("array", _ARRAY)])
_COPY_HEAD = 19


def nearest(connection: sa.Connection, wanted: Sequence[float], video_id: int, count: int) -> list[int]:
    """Return the ids of the videos nearest to a vector that has a direction, but for one video's, the nearest first."""
    best = _Best(wanted, video_id, count)
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        cursor.copy_expert("COPY (SELECT video_id, feature_vector FROM feature_vectors) TO STDOUT BINARY", best)
    return best.ids()


class _Best(io.RawIOBase):
    """Takes what COPY writes and keeps the nearest, so that memory does not grow with the table."""

    def __init__(self, wanted: Sequence[float], video_id: int, count: int) -> None:
        vector = np.array(wanted)
        self._wanted = vector / np.linalg.norm(vector)
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
