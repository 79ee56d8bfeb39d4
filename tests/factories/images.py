"""Images as tests need them: uploaded through the API, or rows alone where the pixels do not matter."""

import hashlib
from typing import Any

import httpx
import sqlalchemy as sa
from uuid6 import uuid7

from shelflist.images.posts.tables import posts
from shelflist.images.tables import image_contents, image_inferences, image_variants, images
from tests.factories.pictures import jpeg
from tests.fixtures.api import Api, Headers

MODEL = "efficientnet-lite0"


def upload(api: Api, person: Headers, file: bytes | None = None, name: str = "picture.jpg") -> httpx.Response:
    """Upload a file as a person and return the answer."""
    headers, content = person, jpeg() if file is None else file
    return api.post("/images", headers=headers, files={"file": (name, content)})


def add_image(connection: sa.Connection, owner_id: str, seed: object = 1, **values: Any) -> str:
    """Store rows of an image whose pixels no store holds; return its id. Each seed is another content.

    `labels` are the model's, [{class_name, score}]; `caption` is what it suggests; others are columns of images.
    """
    content, image_id = hashlib.sha256(str(seed).encode()).hexdigest(), values.pop("id", None) or str(uuid7())
    labels, caption = values.pop("labels", None), values.pop("caption", None)
    known = connection.scalar(sa.select(image_contents.c.sha256).where(image_contents.c.sha256 == content))
    if known is None:
        _add_content(connection, content, labels, caption)
    connection.execute(images.insert().values(id=image_id, owner_id=owner_id, content_sha256=content, **values))
    return image_id


def _add_content(
    connection: sa.Connection, content: str, labels: list[dict[str, Any]] | None, caption: str | None
) -> None:
    row = {"sha256": content, "format": "jpeg", "frames": 1, "stored_at": sa.func.now()}
    if labels is not None:
        row |= {"labelling": "done", "model": MODEL}
    connection.execute(image_contents.insert().values(**row))
    for size, width, height in (("original", 4032, 3024), ("medium", 1280, 960), ("thumb", 320, 240)):
        media_type = "image/jpeg" if size == "original" else "image/webp"
        variant = {"size": size, "media_type": media_type, "width": width, "height": height, "bytes": width * 10}
        blob = hashlib.sha256(f"{content} {size}".encode()).hexdigest() if size != "original" else content
        connection.execute(image_variants.insert().values(content_sha256=content, sha256=blob, **variant))
    if labels is not None:
        seen = {"labels": labels, "caption": caption, "caption_source": "labels" if caption else None}
        connection.execute(image_inferences.insert().values(content_sha256=content, model=MODEL, **seen))


def add_post(connection: sa.Connection, user_id: str, image_id: str) -> str:
    """Store a post that shows the image; return its id."""
    post_id = str(uuid7())
    connection.execute(posts.insert().values(id=post_id, user_id=user_id, image_id=image_id))
    return post_id
