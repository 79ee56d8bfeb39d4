"""Operations of links to share posts, and of what everybody sees who has one."""

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.auth import Person
from shelflist.shared.idempotency import Answer
from shelflist.shared.responses import bodiless, created, json_answer
from shelflist.shared.session import reading, writing
from shelflist.shared.settings import Settings

from ..content_handlers import content_answer
from ..store import Store
from . import commands, queries, representations


def create_post_link(post_id: str, user: Person) -> ResponseReturnValue:
    """POST /posts/{post_id}/link."""
    with writing() as connection:
        link_id, is_new = commands.add_link(connection, post_id, user.id)
    link = representations.link(link_id, _settings().public_url)
    return created(Answer(201 if is_new else 200, {"Location": f"/shared/{link_id}"}, orjson.dumps(link)))


def delete_post_link(post_id: str, user: Person) -> ResponseReturnValue:
    """DELETE /posts/{post_id}/link."""
    with writing() as connection:
        commands.delete_link(connection, post_id, user.id)
    return bodiless(204)


def get_shared_post(link_id: str) -> ResponseReturnValue:
    """GET /shared/{link_id}."""
    with reading() as connection:
        row = queries.get_shared_post(connection, link_id)
        beside = queries.read_beside(connection, [row], None)
    return json_answer(representations.shared_post(row, beside, link_id))


def get_shared_post_content(link_id: str, size: str) -> ResponseReturnValue:
    """GET /shared/{link_id}/content."""
    with reading() as connection:
        variant = queries.get_shared_variant(connection, link_id, size)
    # Not for caches that others share: the link may be revoked.
    return content_answer(variant, _store(), is_public=False, name=f"shared-{size}")


def _store() -> Store:
    found: Store = flask.current_app.extensions["shelflist.image_store"]()
    return found


def _settings() -> Settings:
    found: Settings = flask.current_app.extensions["shelflist.settings"]
    return found
