"""The smaller sizes of a picture, made from its stored original: made again later, they are the same to the byte."""

from pathlib import Path

from PIL import Image

from .codec import encoded

SIDES = {"medium": 1280, "thumb": 320}
"""Size -> pixels of the longer side at most; the larger first."""
QUALITY = 80

_SPARE = 2
"""Pixels that are read for one that is written, both ways, where a JPEG can be read smaller than it is."""


def write_variants(original: Path, directory: Path) -> dict[str, tuple[Path, int, int]]:
    """Write the smaller sizes as WebP, an animation's first frame; return size -> file, width and height."""
    written = {}
    with Image.open(original, formats=("JPEG", "PNG", "WEBP", "GIF")) as image:
        largest = max(SIDES.values())
        image.draft(image.mode, (_SPARE * largest, _SPARE * largest))
        picture = image.convert("RGBA" if image.has_transparency_data else "RGB")
    for size, side in SIDES.items():
        picture = _fitting(picture, side)
        path = directory / size
        picture.info = {}
        path.write_bytes(encoded(picture, "WEBP", quality=QUALITY, method=4))
        written[size] = (path, picture.width, picture.height)
    return written


def _fitting(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(length * scale)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=_SPARE)
