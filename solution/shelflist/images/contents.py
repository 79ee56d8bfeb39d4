"""Contents that nobody's image shows any more: their blobs leave the store, their rows the database."""

from datetime import timedelta

import sqlalchemy as sa

from shelflist.shared import schedules
from shelflist.shared.jobs import Arguments, JobContext, JobKind, enqueue, register
from shelflist.shared.schedules import Schedule

from .blob_locks import removing_blobs
from .store import Store, open_store
from .tables import image_contents, image_variants, images

KIND = "remove-unused-contents"
UPLOAD_TIME = timedelta(minutes=10)
"""How long after the last upload of a content its image may still be on its way."""


def request_removal(connection: sa.Connection) -> None:
    """Queue the removal of what nobody uses, in the transaction that removes an image or a person."""
    enqueue(connection, KIND, {})


def run(context: JobContext, _arguments: Arguments) -> Arguments:
    """Remove the contents without images, one transaction each."""
    store = open_store(context.settings)
    removed = 0
    # Looked for without the lock, which uploads wait for, and then once more each.
    with context.engine.connect() as connection:
        candidates = connection.scalars(sa.select(image_contents.c.sha256).where(_is_unused())).all()
    for content in candidates:
        with context.engine.begin() as connection:
            removing_blobs(connection)
            still = sa.select(image_contents.c.sha256).where(image_contents.c.sha256 == content, _is_unused())
            if connection.execute(still.with_for_update()).first() is not None:
                _remove(connection, store, content)
                removed += 1
        context.progress(removed / len(candidates))
    return {"removed": removed}


def _is_unused() -> sa.ColumnElement[bool]:
    has_image = sa.exists().where(images.c.content_sha256 == image_contents.c.sha256)
    return ~has_image & (image_contents.c.touched_at < sa.func.now() - UPLOAD_TIME)


def _remove(connection: sa.Connection, store: Store, content: str) -> None:
    mine = sa.select(image_variants.c.sha256).where(image_variants.c.content_sha256 == content)
    others = sa.select(image_variants.c.sha256).where(image_variants.c.content_sha256 != content)
    blobs = connection.scalars(mine.where(image_variants.c.sha256.not_in(others)).distinct()).all()
    connection.execute(image_contents.delete().where(image_contents.c.sha256 == content))
    # Before the end of the transaction: an upload that waits for it finds the store without them.
    for blob in blobs:
        store.delete(blob)


def has_unused(connection: sa.Connection) -> bool:
    """Return whether there is anything to remove."""
    return bool(connection.scalar(sa.select(sa.exists().where(_is_unused()))))


register(JobKind(KIND, run))
schedules.register(Schedule("remove-unused-contents", lambda _: "7 * * * *", KIND, has_work=has_unused))
