"""The bytes of pictures as answers: whole, in ranges, or not again for those who have them."""

from itertools import chain
from typing import Any

import flask
import sqlalchemy as sa
import structlog

from shelflist.shared.responses import bodiless, is_head, leave_body

from .problems import ImageMissing
from .ranges import wanted_bytes
from .store import BlobMissing, Store

log = structlog.get_logger(__name__)

WHOLE_BYTES = 1 << 20
"""Up to here an answer is read at once; a longer one goes out as its reader takes it, from outside of our threads."""

_YEAR = 31_536_000
_DAY = 86_400
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/gif": "gif"}
# What a browser is shown alone must not do anything, whatever it holds beside its pixels.
_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def content_answer(variant: sa.Row[Any], store: Store, *, is_public: bool, name: str) -> flask.Response:
    """Answer GET or HEAD with the bytes of a variant, a row with its `sha256`, `media_type` and `bytes`.

    `is_public`: whether anybody may see it, so that caches between us may keep it. `name` is what it is saved as, less
    its extension. Ranges, If-Range and If-None-Match are followed. Raises ImageMissing, RangeNotSatisfiable.
    """
    headers = _headers(variant, is_public=is_public, name=name)
    if flask.request.if_none_match.contains_weak(variant.sha256):
        return bodiless(304, headers)
    part = _wanted(variant)
    asked = part or range(variant.bytes)
    response = _without_body(variant, store) if is_head() else _with_bytes(variant, store, asked)
    response.status_code = 200 if part is None else 206
    response.mimetype = variant.media_type
    response.headers.update({**headers, "Content-Length": str(len(asked))})
    if part is not None:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{variant.bytes}"
    return response


def _headers(variant: sa.Row[Any], *, is_public: bool, name: str) -> dict[str, str]:
    scope, seconds = ("public", _YEAR) if is_public else ("private", _DAY)
    headers = {
        "ETag": f'"{variant.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": f"{scope}, max-age={seconds}, immutable",
        "Content-Disposition": f'inline; filename="{name}.{_EXTENSIONS[variant.media_type]}"',
        "Content-Security-Policy": _POLICY,
    }
    # Two people may use one browser.
    return headers if is_public else {**headers, "Vary": "Authorization"}


def _wanted(variant: sa.Row[Any]) -> range | None:
    # Ranges are defined for GET alone (RFC 9110, section 14.2); and no date is ever right, as we tell none.
    only_if = flask.request.headers.get("If-Range")
    if is_head() or only_if not in (None, f'"{variant.sha256}"'):
        return None
    return wanted_bytes(flask.request.headers.get("Range"), variant.bytes)


def _without_body(variant: sa.Row[Any], store: Store) -> flask.Response:
    if store.size(variant.sha256) is None:
        raise _missing(variant)
    return flask.Response(iter(()))


def _with_bytes(variant: sa.Row[Any], store: Store, asked: range) -> flask.Response:
    try:
        chunks = store.read(variant.sha256, asked.start, len(asked))
        if len(asked) > WHOLE_BYTES:
            # The first of them now: that there are none can still be said.
            leave_body(chain([next(chunks)], chunks))
            return flask.Response(iter(()))
        body = b"".join(chunks)
    except (BlobMissing, StopIteration):
        raise _missing(variant) from None
    if len(body) < len(asked):
        raise _missing(variant)
    return flask.Response(body)


def _missing(variant: sa.Row[Any]) -> ImageMissing:
    log.error("image missing in the store", blob=variant.sha256, bytes=variant.bytes)
    return ImageMissing()
