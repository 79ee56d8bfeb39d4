"""JPEG: found without decoding what a file says of itself, stripped to what paints its pixels, and written anew.

The markers are those of ITU-T T.81, Annex B.
"""

import re
from pathlib import Path

from PIL import JpegImagePlugin

from .codec import encoded, opened
from .colours import in_srgb, upright
from .limits import MAX_SCANS, Broken, Shape, TooLarge, check_metadata

START = b"\xff\xd8\xff"
QUALITY = 92

_LARGEST_SIDE = 65_500  # of what libjpeg writes; it reads up to 65,535
_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = (0x01, _START)
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")

# Applications' segments that say how pixels are painted: JFIF, EXIF (for the orientation), ICC profile, Adobe.
_KEPT = {0xE0: b"JFIF\x00", 0xE1: b"Exif\x00", 0xE2: b"ICC_PROFILE\x00", 0xEE: b"Adobe"}


def strip(data: bytes) -> tuple[Shape, bytes]:
    """Return the shape, and the file without all that paints no pixel: comments, thumbnails, bytes behind its end.

    Raises Broken for a file that ends early, and TooLarge for too much metadata or too many scans.
    """
    kept, metadata, scans, sides = [data[:2]], 0, 0, (0, 0)
    start, position = 2, 2
    while True:
        found = _MARKER.search(data, position)
        if found is None:
            raise Broken("the image ends before its last pixel")
        marker, position = found[1][0], found.end()
        if marker == _END:
            break
        if marker in _WITHOUT_LENGTH:
            continue
        end = position + int.from_bytes(data[position : position + 2], "big")
        if end < position + 2 or end > len(data):
            raise Broken("the image ends before its last pixel")
        if marker in _FRAMES:
            height, width = (int.from_bytes(data[at : at + 2], "big") for at in (position + 3, position + 5))
            sides = max(sides[0], width), max(sides[1], height)
        elif marker == _SCAN:
            scans += 1
        elif marker == _COMMENT or 0xE0 <= marker <= 0xEF:
            metadata += end - position
            if marker not in _KEPT or not data.startswith(_KEPT[marker], position + 2):
                kept.append(data[start : found.start()])
                start = end
        position = end
    check_metadata(metadata)
    if scans > MAX_SCANS:
        raise TooLarge(f"the image is painted in {scans} scans; {MAX_SCANS} is the most")
    if max(sides) > _LARGEST_SIDE:
        raise TooLarge(f"a side of the image has {max(sides)} pixels; {_LARGEST_SIDE} is the most")
    return Shape(*sides), b"".join((*kept, data[start:position]))


def rewrite(data: bytes, target: Path) -> None:
    """Write the pixels of a stripped file as a new one, upright and in sRGB."""
    source = opened(data, "JPEG")
    # libjpeg's numbers of 4:4:4, 4:2:2 and 4:2:0; others, and those of no YCbCr, give -1.
    sampling = JpegImagePlugin.get_sampling(source) if source.mode == "RGB" else 0
    source.load()
    size, image = source.size, upright(source)
    # Each picture of 50 megapixels takes 200 MB.
    del source
    image = in_srgb(image)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    # 4:2:2 has half as many columns of colour; turned by 90 degrees that would have to be rows.
    if sampling not in (0, 1, 2) or (sampling == 1 and image.size != size):
        sampling = 0
    image.info = {}
    options = {"quality": QUALITY, "subsampling": sampling, "progressive": True, "optimize": True}
    target.write_bytes(encoded(image, "JPEG", **options))
