"""Every write of single videos, one transaction each."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared.folding import fold
from shelflist.shared.problems import FieldError, NotFound, Unprocessable
from shelflist.shared.timestamps import parse_timestamp

from . import revisions
from .problems import VideoExists
from .queries import SHOWN, get_video
from .rules import CONTROL
from .tables import VECTOR_LENGTH, feature_vectors, videos

_LABELS = ("actual_label", "predicted_label", "tvshow")


def add_video(connection: sa.Connection, body: Mapping[str, Any]) -> sa.Row[Any]:
    """Store a labelled video and return it with its vector; raises VideoExists, Unprocessable."""
    values = {"content_id": body["content_id"], "source": "upload", **_columns(body)}
    vector = single_precision(body["feature_vector"])
    statement = insert(videos).values(**values).on_conflict_do_nothing(index_elements=["content_id"])
    video_id = connection.scalar(statement.returning(videos.c.id))
    if video_id is None:
        raise VideoExists(f"a video with the content_id {body['content_id']} is in the catalogue")
    connection.execute(feature_vectors.insert().values(video_id=video_id, feature_vector=vector))
    revisions.advance(connection)
    return get_video(connection, body["content_id"])


def change_video(connection: sa.Connection, content_id: str, body: Mapping[str, Any]) -> sa.Row[Any]:
    """Change the given fields and return the video with its vector; null empties. Raises NotFound, Unprocessable."""
    row = _lock(connection, content_id)
    values = _columns(body, row)
    changed = {**values, "updated_at": sa.func.clock_timestamp()}
    connection.execute(videos.update().where(videos.c.id == row.id).values(**changed))
    if "feature_vector" in body:
        _replace_vector(connection, row.id, body["feature_vector"])
    if "feature_vector" in body or values.keys() & set(_LABELS):
        revisions.advance(connection)
    return get_video(connection, content_id)


def delete_video(connection: sa.Connection, content_id: str) -> None:
    """Remove a video with its vector; raises NotFound."""
    row = _lock(connection, content_id)
    connection.execute(videos.delete().where(videos.c.id == row.id))
    revisions.advance(connection)


def single_precision(values: Sequence[float]) -> list[float]:
    """Return the numbers rounded to single precision, as they are kept; raises Unprocessable where one does not fit."""
    try:
        return list(struct.unpack(f"{VECTOR_LENGTH}f", struct.pack(f"{VECTOR_LENGTH}f", *values)))
    except OverflowError:
        rule = "must hold numbers that fit single precision"
        raise Unprocessable(
            f"feature_vector {rule}", errors=[FieldError("feature_vector", "out-of-range", rule)]
        ) from None


def _columns(body: Mapping[str, Any], before: Any = None) -> dict[str, Any]:
    """Return the columns that a request body sets; `before` is the video that it changes."""
    values: dict[str, Any] = {name: _label(name, body[name]) for name in _LABELS if name in body}
    if "title" in body:
        values["title"] = _stripped(body["title"])
        values["title_key"] = None if values["title"] is None else fold(values["title"])
    if "description" in body:
        values["description"] = _stripped(body["description"])
    if body.get("published_at") is not None:
        values["published_at"] = parse_timestamp(body["published_at"], "published_at")
    elif "published_at" in body:
        values["published_at"] = None
    if "published_at" in body:
        values["is_published_approximate"] = False
    if "thumbnails" in body:
        blank = {"url": None, "width": None, "height": None}
        values["thumbnails"] = {name: {**blank, **picture} for name, picture in body["thumbnails"].items()}
    if "title" in body or "description" in body:
        values["search_key"] = search_key(
            values.get("title", before and before.title), values.get("description", before and before.description)
        )
    return values


def search_key(title: str | None, description: str | None) -> str | None:
    """Return what searches look at: title and description folded, None where there is neither."""
    lines = [line for text in (title, description) if text for line in text.splitlines()]
    # Folding keeps a limited length, so longer texts are folded in pieces; words stay whole.
    words = [fold(word) for line in lines for word in line.split()]
    return " ".join(words) or None


def _label(name: str, text: str | None) -> str | None:
    label = _stripped(text)
    if text is not None and label is None:
        rule = "must hold more than spaces"
        raise Unprocessable(f"{name} {rule}", errors=[FieldError(name, "out-of-bounds", rule)])
    if label is not None and CONTROL.search(label):
        rule = "must hold no control characters"
        raise Unprocessable(f"{name} {rule}", errors=[FieldError(name, "control-character", rule)])
    return label


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None


def _replace_vector(connection: sa.Connection, video_id: int, vector: Sequence[float] | None) -> None:
    if vector is None:
        connection.execute(feature_vectors.delete().where(feature_vectors.c.video_id == video_id))
        return
    values = {"feature_vector": single_precision(vector)}
    statement = insert(feature_vectors).values(video_id=video_id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["video_id"], set_=values))


def _lock(connection: sa.Connection, content_id: str) -> sa.Row[Any]:
    row = connection.execute(sa.select(*SHOWN).where(videos.c.content_id == content_id).with_for_update()).first()
    if row is None:
        raise NotFound(f"there is no video {content_id}")
    return row
