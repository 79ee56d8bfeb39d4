"""What a post may say, and where its link may lead."""

import re
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlsplit

from shelflist.shared.problems import FieldError, InvalidRequest, Unprocessable

CAPTION_LENGTH = 100
"""Characters of a caption (Unicode code points, as PostgreSQL and JSON Schema count them), without spaces around it."""

LINK = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
"""The characters of RFC 3986, section 2; anything else is percent-encoded by whoever makes a link."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def shown_by(body: Mapping[str, Any]) -> dict[str, str]:
    """Return the one of image_id and image_url that the body names; raises InvalidRequest, Unprocessable."""
    given = {name: body[name] for name in ("image_id", "image_url") if name in body}
    if len(given) != 1:
        code, rule = ("exclusive", "go not together") if given else ("missing", "are both missing: one is needed")
        errors = [FieldError(name, code, f"give one of the two: {rule}") for name in ("image_id", "image_url")]
        raise InvalidRequest(f"image_id and image_url {rule}", errors=errors)
    if "image_url" in given:
        _check_link(given["image_url"])
    return given


def caption_of(text: str | None) -> str | None:
    """Return the caption without spaces around it, None where nothing is left; raises Unprocessable."""
    caption = (text or "").strip()
    if _CONTROL.search(caption):
        _refuse("caption", "control-character", "must hold no control characters")
    if len(caption) > CAPTION_LENGTH:
        _refuse("caption", "out-of-bounds", f"must have at most {CAPTION_LENGTH} characters")
    return caption or None


def _check_link(url: str) -> None:
    """Raise Unprocessable for what is no http or https address, or carries a user or a password."""
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or LINK.fullmatch(url) is None:
        _refuse("image_url", "wrong-form", "must be an http or https address with a host")
    if "@" in parts.netloc:
        _refuse("image_url", "wrong-form", "must hold no user and no password")


def _refuse(name: str, code: str, rule: str) -> NoReturn:
    raise Unprocessable(f"{name} {rule}", errors=[FieldError(name, code, rule)])
