"""Operations of images: one function per operationId."""

from typing import Any

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.auth import Person, person_of
from shelflist.shared.idempotency import Answer, Attempt, answered, once
from shelflist.shared.lists import answer_page, cursors
from shelflist.shared.paging import Listing
from shelflist.shared.responses import attempt, bodiless, created, json_answer
from shelflist.shared.session import db, reading, writing
from shelflist.shared.settings import Settings
from shelflist.shared.uploads import receive_upload

from . import commands, queries, representations
from .content_handlers import content_answer
from .pictures.limits import PictureLimits
from .receiving import PATIENCE_SECONDS, RECEIVING, check_size, fetch_picture, one_of_few
from .store import Store
from .storing import Received, Storage, folder_to_work_in, receive

_CREATE = "POST /images"


def create_image(user: Person) -> ResponseReturnValue:
    """POST /images."""
    # Not by `body`: for its sake Flask would take a form apart in memory.
    with one_of_few(user.id), folder_to_work_in(flask.current_app.extensions["shelflist.uploads"]) as folder:
        if flask.request.mimetype != "application/json":
            received = _sent(folder)
            tried = _attempt(user, received.sha256)
            return created(_before(tried) or _stored(received, tried, user))
        url = orjson.loads(flask.request.get_data())["image_url"]
        tried = _attempt(user, {"image_url": url})
        return created(_before(tried) or _stored(receive(fetch_picture(url, _settings()), folder), tried, user))


def list_images(
    *, page_size: int, sort: str, desc: bool, user: Person, cursor: str | None = None, **parameters: Any
) -> ResponseReturnValue:
    """GET /images."""
    filters = {name: parameters.get(name) for name in queries.FILTERS}
    listing = Listing("images", sort, desc, {**filters, "owner": user.id})
    after = cursors().read(listing, cursor, queries.SORTS[sort].key_type) if cursor is not None else None
    with reading() as connection:
        page = queries.list_images(connection, user.id, filters, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.images)


def get_image(image_id: str, user: object = None) -> ResponseReturnValue:
    """GET /images/{image_id}."""
    with reading() as connection:
        row = queries.get_image(connection, image_id, person_of(user))
    return json_answer(representations.image(row))


def get_image_content(image_id: str, size: str, user: object = None) -> ResponseReturnValue:
    """GET /images/{image_id}/content."""
    with reading() as connection:
        variant = queries.get_variant(connection, image_id, size, person_of(user))
    is_public = variant.is_posted and _settings().public_reads
    return content_answer(variant, _store(), is_public=is_public, name=f"{image_id}-{size}")


def update_image(image_id: str, body: dict[str, Any], user: Person) -> ResponseReturnValue:
    """PATCH /images/{image_id}."""
    with writing() as connection:
        commands.change_labels(connection, image_id, user, body["labels"])
        row = queries.get_image(connection, image_id, user)
    return json_answer(representations.image(row))


def delete_image(image_id: str, user: Person) -> ResponseReturnValue:
    """DELETE /images/{image_id}."""
    with writing() as connection:
        commands.delete_image(connection, image_id, user)
    return bodiless(204)


def _before(tried: Attempt | None) -> Answer | None:
    """Return what was answered under the same key, before anything is fetched, decoded or stored."""
    with reading() as connection:
        return answered(connection, tried)


def _attempt(user: Person, asked: Any) -> Attempt | None:
    return attempt(_CREATE, f"person:{user.id}", asked)


def _sent(folder: Any) -> Received:
    """Return the file of the form, whose name counts as little as its media type."""
    # Not Flask's stream, which is empty where the body has no announced length.
    stream: Any = flask.request.environ["wsgi.input"]
    directory = flask.current_app.extensions["shelflist.uploads"]
    content_type = flask.request.content_type or ""
    with receive_upload(stream, content_type, directory, patience=PATIENCE_SECONDS, places=RECEIVING) as upload:
        check_size(upload, _settings())
        return receive(upload, folder)


def _stored(received: Received, tried: Attempt | None, user: Person) -> Answer:
    def keep(picture: commands.Picture) -> Answer:
        with writing() as connection:

            def create() -> Answer:
                image_id, is_new = commands.add_image(connection, user, picture)
                body = representations.image(queries.images_by_id(connection, [image_id])[image_id])
                return Answer(201 if is_new else 200, {"Location": f"/images/{image_id}"}, orjson.dumps(body))

            return once(connection, tried, create)

    limits = PictureLimits(max_pixels=_settings().max_image_pixels)
    return Storage(db.engine, _store(), limits).take_in(received, keep)


def _store() -> Store:
    found: Store = flask.current_app.extensions["shelflist.image_store"]()
    return found


def _settings() -> Settings:
    found: Settings = flask.current_app.extensions["shelflist.settings"]
    return found
