"""The two ways between the bytes of a file and pixels, by Pillow, with one format named."""

import io
from typing import Any

from PIL import Image

from .limits import TooLarge


def opened(data: bytes, kind: str) -> Image.Image:
    """Return the picture, its pixels not decoded yet; no format but `kind` is tried."""
    return Image.open(io.BytesIO(data), formats=(kind,))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the picture as a file of the format `kind`; raises TooLarge where that cannot hold it.

    In memory: where Pillow writes to a disk that is full, its error does not tell that from a broken picture.
    """
    file = io.BytesIO()
    try:
        image.save(file, kind, **options)
    except (OSError, ValueError):
        raise TooLarge("the image is larger than its format can hold") from None
    return file.getvalue()
