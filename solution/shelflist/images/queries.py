"""Every SELECT of images, of their contents, and of what people say is on them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from shelflist.shared.auth import Person
from shelflist.shared.paging import Keyset, Page, Position, Sort
from shelflist.shared.problems import NotFound

from .people.tables import users
from .posts.tables import posts
from .posts.terms import LEAST_SCORE, fold_term, terms_of
from .problems import NotYours
from .tables import image_contents, image_files, image_inferences, image_variants, images

Condition = sa.ColumnElement[bool]

SIZES = ("thumb", "medium", "original")

SORTS: dict[str, Sort] = {"created_at": Sort(images.c.created_at, datetime, is_nullable=False)}

_is_posted = sa.exists().where(posts.c.image_id == images.c.id)
_original = (image_variants.c.content_sha256 == images.c.content_sha256) & (image_variants.c.size == "original")
_shown = (image_inferences.c.content_sha256 == image_contents.c.sha256) & (
    image_inferences.c.model == image_contents.c.model
)
_joined = images.join(users).join(image_contents).join(image_variants, _original).outerjoin(image_inferences, _shown)
_IMAGES: sa.Select[Any] = sa.select(
    images.c.id,
    images.c.owner_id,
    users.c.username.label("owner"),
    image_contents.c.format,
    image_variants.c.width,
    image_variants.c.height,
    image_contents.c.frames,
    image_variants.c.bytes,
    images.c.owner_labels,
    image_inferences.c.labels.label("model_labels"),
    image_contents.c.labelling,
    image_contents.c.model,
    image_inferences.c.caption,
    image_inferences.c.caption_source,
    images.c.created_at,
    # Null never wins.
    sa.func.greatest(images.c.updated_at, image_inferences.c.created_at).label("updated_at"),
    _is_posted.label("is_posted"),
).select_from(_joined)


def images_by_id(connection: sa.Connection, ids: Collection[str]) -> dict[str, sa.Row[Any]]:
    """Return id -> image for those that there are, as `representations.image` takes it; nothing is hidden here."""
    if not ids:
        return {}
    return {row.id: row for row in connection.execute(_IMAGES.where(images.c.id.in_(ids)))}


def get_image(connection: sa.Connection, image_id: str, viewer: Person | None) -> sa.Row[Any]:
    """Return the image; raises NotFound where there is none, or no post shows it and it is not the viewer's."""
    row = connection.execute(_IMAGES.where(images.c.id == image_id, _is_visible(viewer))).first()
    if row is None:
        raise NotFound(f"there is no image {image_id}")
    return row


def check_owner(row: sa.Row[Any], person: Person) -> None:
    """Raise NotYours unless the image, which the person may see, is the person's own."""
    if row.owner_id != person.id:
        raise NotYours("only its owner may change an image")


def get_variant(connection: sa.Connection, image_id: str, size: str, viewer: Person | None) -> sa.Row[Any]:
    """Return the variant of an image with `is_posted`; raises NotFound as `get_image` does."""
    joined = images.join(image_variants, image_variants.c.content_sha256 == images.c.content_sha256)
    columns = (image_variants.c.sha256, image_variants.c.media_type, image_variants.c.bytes)
    statement: sa.Select[Any] = sa.select(*columns, _is_posted.label("is_posted")).select_from(joined)
    wanted = (images.c.id == image_id, image_variants.c.size == size)
    row = connection.execute(statement.where(*wanted, _is_visible(viewer))).first()
    if row is None:
        raise NotFound(f"there is no image {image_id}")
    return row


def _is_visible(viewer: Person | None) -> Condition:
    return _is_posted if viewer is None else sa.or_(images.c.owner_id == viewer.id, _is_posted)


FILTERS = ("labelling", "label", "posted")
"""The parameters of GET /images."""


def list_images(
    connection: sa.Connection,
    owner_id: str,
    filters: Mapping[str, Any],
    *,
    sort: str,
    desc: bool,
    after: Position | None,
    page_size: int,
) -> Page:
    """Return the page of a person's images behind `after`; `filters` as the caller gave them, None where not given."""
    statement = _IMAGES.where(images.c.owner_id == owner_id)
    if filters.get("labelling") is not None:
        statement = statement.where(image_contents.c.labelling == filters["labelling"])
    if filters.get("label") is not None:
        statement = statement.where(_says_one_of(_spellings(connection, owner_id, filters["label"])))
    if filters.get("posted") is not None:
        statement = statement.where(_is_posted if filters["posted"] else ~_is_posted)
    return Keyset(SORTS[sort], images.c.id, desc).fetch(connection, statement, after, page_size)


def _spellings(connection: sa.Connection, owner_id: str, label: str) -> list[str]:
    """Return the labels of a person's images that `label` finds: only Python folds as searches for posts do."""
    own = sa.select(sa.func.unnest(images.c.owner_labels).label("name")).where(images.c.owner_id == owner_id)
    said = _said()
    seen = sa.select(said["class_name"].astext.label("name")).select_from(_joined)
    names = connection.scalars(sa.union(own, seen.where(images.c.owner_id == owner_id, _is_likely(said))))
    term = fold_term(label)
    return [name for name in names if term in terms_of([name])]


def _says_one_of(names: Sequence[str]) -> Condition:
    wanted = sa.literal(list(names), images.c.owner_labels.type)
    said = _said()
    is_seen = sa.select(said).where(said["class_name"].astext == sa.any_(wanted), _is_likely(said)).exists()
    return sa.case(
        (images.c.owner_labels.is_not(None), images.c.owner_labels.overlap(wanted)),
        else_=is_seen,
    )


def _said() -> Any:
    labels = image_inferences.c.labels
    return sa.func.jsonb_array_elements(labels, type_=labels.type).column_valued("said", joins_implicitly=True)


def _is_likely(said: Any) -> Condition:
    return sa.cast(said["score"].astext, sa.Float) >= LEAST_SCORE


def known_content(connection: sa.Connection, file_sha256: str) -> str | None:
    """Return the content that this very file became, if it was stored whole and is not known to be lost."""
    joined = image_files.join(image_contents)
    is_whole = (image_contents.c.stored_at.is_not(None), image_contents.c.lost_at.is_(None))
    statement = sa.select(image_contents.c.sha256).select_from(joined)
    return connection.scalar(statement.where(image_files.c.sha256 == file_sha256, *is_whole))


def variants_of(connection: sa.Connection, content_sha256: str) -> Sequence[sa.Row[Any]]:
    """Return the variants of a content, as their table has them."""
    statement = sa.select(image_variants).where(image_variants.c.content_sha256 == content_sha256)
    return connection.execute(statement.order_by(image_variants.c.size)).all()
