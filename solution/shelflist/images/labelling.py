"""Labelling: jobs that ask the vision service what is on an image, whose failure never fails an upload."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared import schedules
from shelflist.shared.jobs import Arguments, JobContext, JobKind, JobPostponed, register
from shelflist.shared.problems import NotFound, ServiceUnavailable, Unprocessable
from shelflist.shared.schedules import Schedule

from .label_requests import KIND, request_labels
from .posts.terms import index_posts
from .store import BlobMissing, open_store
from .tables import image_contents, image_inferences, image_variants, images
from .vision import Caption, ImageRefused, Picture, Seen, VisionBusy, VisionResting, VisionUnavailable, service_of

log = structlog.get_logger(__name__)

WAITING_KIND = "label-waiting-images"
BATCH = 500
"""Contents that one look for those without labels queues."""
BUSY_SECONDS = 5.0
"""How long to wait for a service that has too much to do and does not say how long."""

REFUSED = "refused"
"""The error of what the service will never label."""
MISSING = "image-missing"
"""The error of what the store has lost; it is labelled when somebody uploads it again."""
LONGEST_REST = timedelta(hours=6)
"""How long what has failed often rests at most before it is tried again."""


def label(context: JobContext, arguments: Arguments) -> Arguments:
    """Label one content, and have its caption written; what the service has answered before is not asked again."""
    content = str(arguments["content"])
    try:
        return _label(context, content)
    except ImageRefused:
        _fail(context.engine, content, REFUSED, is_final=True)
        raise Unprocessable("the vision service does not read this image") from None
    except VisionBusy as error:
        raise JobPostponed(error.retry_after or BUSY_SECONDS) from None
    except VisionResting as error:
        # Not tried again one by one: who looks for what waits queues it when the service is back.
        return {"labelled": False, "reason": error.reason}
    except VisionUnavailable as error:
        _fail(context.engine, content, error.reason, is_final=context.is_last_attempt)
        raise ServiceUnavailable(str(error)) from None
    except BlobMissing:
        _fail(context.engine, content, MISSING, is_final=True)
        raise NotFound("the image is not in the store") from None


def _label(context: JobContext, content: str) -> Arguments:
    variant = _variant(context.engine, content)
    if variant is None or not context.settings.has_vision():
        return {"labelled": False}
    service = service_of(context.settings)
    model = service.model()
    known = _inference(context.engine, content, model)
    if known is not None and known.caption_source is not None:
        return _shown(context, content, model)
    image = b"".join(open_store(context.settings).read(variant.sha256))
    picture = Picture(image, variant.media_type)
    if known is None:
        seen = service.classify(picture)
        model = seen.model
        _keep(context.engine, content, seen)
    answer = _shown(context, content, model)
    try:
        caption = service.caption(picture)
    except ImageRefused:
        caption = None
    _caption(context.engine, content, model, caption)
    return answer


def _shown(context: JobContext, content: str, model: str) -> Arguments:
    return {"labelled": True, "model": model, "changed": show(context.engine, content, model)}


def _variant(engine: sa.Engine, content: str) -> sa.Row[Any] | None:
    """Return the variant that is looked at: large enough for any model, and without the original's size."""
    statement: sa.Select[Any] = (
        sa.select(image_variants.c.sha256, image_variants.c.media_type)
        .join(image_contents)
        .where(
            image_contents.c.sha256 == content,
            image_contents.c.stored_at.is_not(None),
            image_variants.c.size == "medium",
        )
    )
    with engine.connect() as connection:
        return connection.execute(statement).first()


def _inference(engine: sa.Engine, content: str, model: str) -> sa.Row[Any] | None:
    statement = sa.select(image_inferences).where(
        image_inferences.c.content_sha256 == content, image_inferences.c.model == model
    )
    with engine.connect() as connection:
        return connection.execute(statement).first()


def _keep(engine: sa.Engine, content: str, seen: Seen) -> None:
    values = {"labels": seen.labels, "created_at": sa.func.now()}
    # Nothing where the content has been removed meanwhile.
    there = sa.select(
        image_contents.c.sha256, sa.literal(seen.model), sa.literal(seen.labels, image_inferences.c.labels.type)
    )
    source = there.where(image_contents.c.sha256 == content).with_for_update(key_share=True)
    statement = insert(image_inferences).from_select(["content_sha256", "model", "labels"], source)
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["content_sha256", "model"], set_=values))


def show(engine: sa.Engine, content: str, model: str) -> bool:
    """Make the inference of `model` the one that images and searches show; return whether that changes anything."""
    done = {"labelling": "done", "labelling_error": None, "labelling_failures": 0, "model": model}
    with engine.begin() as connection:
        # The images first and in order, as everybody does who changes what is said of an image.
        owned = sa.select(images.c.id).where(images.c.content_sha256 == content).order_by(images.c.id)
        owned = owned.with_for_update(key_share=True)
        connection.execute(owned).all()
        changed = connection.execute(
            image_contents.update()
            .where(
                image_contents.c.sha256 == content,
                sa.or_(image_contents.c.labelling != "done", image_contents.c.model.is_distinct_from(model)),
            )
            .values(**done)
        )
        if changed.rowcount:
            # Once more: while we waited for the content, somebody may have uploaded it and shown it in a post.
            index_posts(connection, connection.scalars(owned).all())
    return bool(changed.rowcount)


def _caption(engine: sa.Engine, content: str, model: str, caption: Caption | None) -> None:
    values = {"caption": caption and caption.text, "caption_source": caption.source if caption else "none"}
    with engine.begin() as connection:
        connection.execute(
            image_inferences.update()
            .where(image_inferences.c.content_sha256 == content, image_inferences.c.model == model)
            .values(**values)
        )


def _fail(engine: sa.Engine, content: str, reason: str, *, is_final: bool) -> None:
    """Say why there are no labels; what has some keeps them."""
    values: dict[str, Any] = {"labelling_error": reason, "labelling_tried_at": sa.func.now()}
    values["labelling"] = "failed" if is_final else "pending"
    if is_final:
        values["labelling_failures"] = image_contents.c.labelling_failures + 1
    waits = (image_contents.c.sha256 == content, image_contents.c.labelling != "done")
    with engine.begin() as connection:
        connection.execute(image_contents.update().where(*waits).values(**values))


def _waiting() -> sa.Subquery:
    """Return the contents that have no labels, or no caption, yet and may get some now."""
    is_there = image_contents.c.stored_at.is_not(None) & image_contents.c.lost_at.is_(None)
    columns = (image_contents.c.sha256, image_contents.c.touched_at, image_contents.c.labelling_tried_at)
    contents = sa.select(*columns).where(is_there)
    # Two branches, since PostgreSQL uses the index of each only where they are not one condition.
    unlabelled = contents.where(
        image_contents.c.labelling != "done",
        sa.func.coalesce(image_contents.c.labelling_error, "").not_in((REFUSED, MISSING)),
        _has_rested(),
    )
    uncaptioned = contents.join(image_inferences, image_inferences.c.content_sha256 == image_contents.c.sha256).where(
        image_inferences.c.caption_source.is_(None), image_inferences.c.model == image_contents.c.model
    )
    return sa.union_all(unlabelled, uncaptioned).subquery("waiting")


def _has_rested() -> sa.ColumnElement[bool]:
    """Return whether the time since the last try is long enough: a minute, doubled by each final failure."""
    doubled = sa.func.power(2, sa.func.least(image_contents.c.labelling_failures, 10) - 1) * timedelta(minutes=1)
    rest = sa.func.least(sa.cast(doubled, sa.Interval), sa.cast(LONGEST_REST, sa.Interval))
    return sa.or_(image_contents.c.labelling_failures == 0, image_contents.c.labelling_tried_at < sa.func.now() - rest)


def label_waiting(context: JobContext, _arguments: Arguments) -> Arguments:
    """Queue what has no labels, if the service is there to make them."""
    service = service_of(context.settings)
    try:
        service.model()
    except VisionUnavailable as error:
        return {"queued": 0, "reason": error.reason}
    # Where it has failed at images, one of them shows whether it does so still.
    most = BATCH if service.is_trusted() else 1
    waiting = _waiting()
    # What was tried last comes last: one image that always fails must not stand before all others.
    order = (waiting.c.labelling_tried_at.nulls_first(), waiting.c.touched_at)
    oldest = sa.select(waiting.c.sha256).order_by(*order).limit(most)
    with context.engine.begin() as connection:
        contents = connection.scalars(oldest).all()
        is_failed = image_contents.c.labelling == "failed"
        again = {
            "labelling": sa.case((is_failed, "pending"), else_=image_contents.c.labelling),
            "labelling_tried_at": sa.func.now(),
        }
        connection.execute(image_contents.update().where(image_contents.c.sha256.in_(contents)).values(again))
        for content in contents:
            request_labels(connection, content)
    return {"queued": len(contents)}


def relabel(connection: sa.Connection, model: str | None) -> int:
    """Queue every content that `model` has not labelled, all of them where it is None; return how many."""
    wanted: list[sa.ColumnElement[bool]] = [image_contents.c.stored_at.is_not(None), image_contents.c.lost_at.is_(None)]
    if model is not None:
        wanted.append(image_contents.c.model.is_distinct_from(model))
    contents = connection.scalars(sa.select(image_contents.c.sha256).where(*wanted)).all()
    for content in contents:
        request_labels(connection, content)
    return len(contents)


def recaption(connection: sa.Connection, model: str) -> int:
    """Forget the captions that were made of labels beside `model`, and queue their images; return how many."""
    forgotten = (
        image_inferences.update()
        .where(image_inferences.c.model == model, image_inferences.c.caption_source.in_(("labels", "none")))
        .values(caption=None, caption_source=None)
    )
    contents = connection.scalars(forgotten.returning(image_inferences.c.content_sha256)).all()
    for content in contents:
        request_labels(connection, content)
    return len(contents)


def has_waiting(connection: sa.Connection) -> bool:
    """Return whether anything has waited for its labels for a while: its own job is not on its way any more."""
    waiting = _waiting()
    is_old = waiting.c.touched_at < sa.func.now() - timedelta(minutes=1)
    return bool(connection.scalar(sa.select(sa.exists().where(is_old))))


register(JobKind(KIND, label))
register(JobKind(WAITING_KIND, label_waiting, max_attempts=1))
schedules.register(
    Schedule(
        "label-waiting-images",
        lambda _: "* * * * *",
        WAITING_KIND,
        is_wanted=lambda settings: settings.has_vision(),
        has_work=has_waiting,
    )
)
