"""Every write of images and their contents by people, one transaction each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from uuid6 import uuid7

from shelflist.shared.auth import Person

from .blob_locks import adding_references
from .contents import request_removal
from .label_names import label_names
from .label_requests import request_labels
from .people.queries import lock_person
from .posts.tables import posts
from .posts.terms import index_posts
from .problems import ImagePosted
from .queries import check_owner, get_image
from .tables import image_contents, image_files, image_variants, images


@dataclass(frozen=True)
class Variant:
    """One size of a picture; `sha256` is what the store knows its bytes by."""

    size: str
    sha256: str
    media_type: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True)
class Picture:
    """What became of a file: its content, known by its original, in three sizes."""

    file_sha256: str
    format: str
    frames: int
    variants: tuple[Variant, ...]

    @property
    def content_sha256(self) -> str:
        """The SHA-256 of the original as it is stored."""
        return next(variant.sha256 for variant in self.variants if variant.size == "original")


def touch_content(connection: sa.Connection, content_sha256: str) -> sa.Row[Any] | None:
    """Keep a content from being removed while it is uploaded again; return it, None where it is gone."""
    touched = image_contents.update().where(image_contents.c.sha256 == content_sha256)
    return connection.execute(touched.values(touched_at=sa.func.now()).returning(image_contents)).first()


def announce_content(connection: sa.Connection, picture: Picture) -> None:
    """Make a content known whose variants are about to be stored."""
    values = {"sha256": picture.content_sha256, "format": picture.format, "frames": picture.frames}
    new = insert(image_contents).values(**values)
    connection.execute(new.on_conflict_do_update(index_elements=["sha256"], set_={"touched_at": sa.func.now()}))
    # Now already: the removal of a content that comes to nothing has to know its blobs.
    rows = insert(image_variants).values(_variant_rows(picture.content_sha256, picture.variants))
    connection.execute(rows.on_conflict_do_nothing())


def add_image(connection: sa.Connection, owner: Person, picture: Picture) -> tuple[str, bool]:
    """Make a picture whose variants are in the store an image of the person; return its id and whether it is new.

    The same content uploaded before by the same person is the same image. Raises InvalidToken where the person has just
    been removed.
    """
    lock_person(connection, owner.id)
    adding_references(connection)
    labelling = _keep_content(connection, picture)
    if labelling == "pending":
        request_labels(connection, picture.content_sha256)
    values = {"owner_id": owner.id, "content_sha256": picture.content_sha256}
    # No row of an image is waited for: labelling locks images before their content, which is ours already.
    new = insert(images).values(id=str(uuid7()), **values).on_conflict_do_nothing().returning(images.c.id)
    there = sa.select(images.c.id).filter_by(**values)
    while True:
        if (added := connection.scalar(new)) is not None:
            return added, True
        # None where it was removed between the two statements.
        if (found := connection.scalar(there)) is not None:
            return found, False


def _keep_content(connection: sa.Connection, picture: Picture) -> str:
    """Store what is known of a picture and return how far its labelling is."""
    whole: dict[str, Any] = {"stored_at": sa.func.now(), "lost_at": None, "touched_at": sa.func.now()}
    # What could not be labelled gets another chance.
    is_failed = image_contents.c.labelling == "failed"
    again = {
        **whole,
        "labelling": sa.case((is_failed, "pending"), else_=image_contents.c.labelling),
        "labelling_error": sa.case((is_failed, sa.null()), else_=image_contents.c.labelling_error),
    }
    values = {"sha256": picture.content_sha256, "format": picture.format, "frames": picture.frames}
    content = insert(image_contents).values(**values, **whole)
    content = content.on_conflict_do_update(index_elements=["sha256"], set_=again)
    labelling = connection.scalar(content.returning(image_contents.c.labelling))
    keep_variants(connection, picture.content_sha256, picture.variants)
    file = insert(image_files).values(sha256=picture.file_sha256, content_sha256=picture.content_sha256)
    same = {"content_sha256": file.excluded.content_sha256}
    connection.execute(file.on_conflict_do_update(index_elements=["sha256"], set_=same))
    return str(labelling)


def keep_variants(connection: sa.Connection, content_sha256: str, variants: Sequence[Variant]) -> None:
    """Store what is known of variants, in the place of what was."""
    rows = insert(image_variants).values(_variant_rows(content_sha256, variants))
    columns = ("sha256", "media_type", "width", "height", "bytes")
    same = {name: rows.excluded[name] for name in columns}
    connection.execute(rows.on_conflict_do_update(index_elements=["content_sha256", "size"], set_=same))


def _variant_rows(content_sha256: str, variants: Sequence[Variant]) -> list[dict[str, Any]]:
    return [{"content_sha256": content_sha256, **vars(variant)} for variant in variants]


def change_labels(connection: sa.Connection, image_id: str, person: Person, names: Sequence[str] | None) -> None:
    """Put the owner's names in the place of the model's, or go back to those by None.

    Raises NotFound, NotYours, Unprocessable.
    """
    labels = None if names is None else label_names(names)
    _lock(connection, image_id, person, key_share=True)
    changed = images.update().where(images.c.id == image_id)
    connection.execute(changed.values(owner_labels=labels, updated_at=sa.func.clock_timestamp()))
    index_posts(connection, [image_id])


def delete_image(connection: sa.Connection, image_id: str, person: Person) -> None:
    """Remove an image that no post shows, and have what nobody uses removed; raises NotFound, NotYours, ImagePosted."""
    # Against the keys that new posts hold on it: none can come between the look and the removal.
    _lock(connection, image_id, person, key_share=False)
    if connection.scalar(sa.select(sa.exists().where(posts.c.image_id == image_id))):
        raise ImagePosted("a post shows this image")
    connection.execute(images.delete().where(images.c.id == image_id))
    request_removal(connection)


def _lock(connection: sa.Connection, image_id: str, person: Person, *, key_share: bool) -> None:
    check_owner(get_image(connection, image_id, person), person)
    locked = sa.select(images.c.id).where(images.c.id == image_id).with_for_update(key_share=key_share)
    if connection.execute(locked).first() is None:
        # Removed while we waited for it: says so.
        get_image(connection, image_id, person)
