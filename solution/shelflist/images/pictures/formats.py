"""The four formats that are taken, told apart by how the content begins and by nothing else."""

from collections.abc import Callable
from pathlib import Path

from . import gif, jpeg, png, webp
from .limits import Broken, PictureLimits, Shape, Unsupported, check

MEDIA_TYPES = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
"""Format -> media type."""

Rewrite = Callable[[Path], None]


def format_of(data: bytes) -> str:
    """Return the format; raises Unsupported for any other content, and Broken for none at all."""
    if not data:
        raise Broken("the file is empty")
    if data.startswith(jpeg.START):
        return "jpeg"
    if data.startswith(png.START):
        return "png"
    if webp.is_webp(data):
        return "webp"
    if data.startswith(gif.STARTS):
        return "gif"
    raise Unsupported("the content is no JPEG, PNG, WebP or GIF")


def inspected(data: bytes, limits: PictureLimits) -> tuple[Shape, Rewrite]:
    """Return the shape of a picture within the limits, and what writes it anew; nothing is decoded before that."""
    kind = format_of(data)
    if kind == "gif":
        parsed = gif.parse(data)
        check(parsed.shape(), limits)
        return parsed.shape(), lambda target: gif.rewrite(parsed, target)
    module = {"jpeg": jpeg, "png": png, "webp": webp}[kind]
    shape, stripped = module.strip(data)
    check(shape, limits)
    return shape, lambda target: module.rewrite(stripped, target)
