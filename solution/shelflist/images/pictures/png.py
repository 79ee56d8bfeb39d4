"""PNG: found without decoding what a file says of itself, stripped to what paints its pixels, and written anew.

The chunks are those of the PNG specification (W3C, third edition). Of an animated PNG the still picture remains.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from .codec import encoded, opened
from .colours import in_srgb, upright
from .limits import MAX_UNFOLDED_BYTES, Broken, Shape, TooLarge, check_metadata

START = b"\x89PNG\r\n\x1a\n"

_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_MEANING = frozenset((b"iCCP", b"eXIf"))
_ANIMATION = frozenset((b"acTL", b"fcTL", b"fdAT"))


def strip(data: bytes) -> tuple[Shape, bytes]:
    """Return the shape, and the file without all that paints no pixel: texts, times, frames, bytes behind its end.

    Raises Broken for a file that ends early or whose checksums are wrong, and TooLarge for too much metadata.
    """
    kept, metadata, shape = [START], 0, None
    for kind, content, raw in _chunks(data):
        if (kind == b"IHDR") != (shape is None):
            raise Broken("the image does not begin with its size")
        if shape is None:
            if len(content) != 13:
                raise Broken("the image does not begin with its size")
            shape = Shape(int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big"))
        if kind in _PIXELS or kind in _MEANING:
            is_whole = zlib.crc32(kind + content).to_bytes(4, "big") == raw[-4:]
            if kind in _PIXELS and not is_whole:
                raise Broken("the image is damaged: a checksum is wrong")
            kept.append(raw if is_whole else b"")
        if kind not in _PIXELS and kind not in _ANIMATION:
            metadata += len(content)
            _check_unfolded(kind, content)
        if kind == b"IEND":
            check_metadata(metadata)
            return shape, b"".join(kept)
    raise Broken("the image ends before its last pixel")


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield kind, content and the whole chunk, until the file ends, in a whole chunk or within one."""
    position = len(START)
    while True:
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            return
        yield data[position + 4 : position + 8], data[position + 8 : end - 4], data[position:end]
        position = end


def _check_unfolded(kind: bytes, content: bytes) -> None:
    """Raise TooLarge for a compressed text or profile that unfolds to more than any program writes."""
    rest = content.partition(b"\x00")[2]
    if kind in (b"zTXt", b"iCCP"):
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] == b"\x01":
        packed = rest[2:].partition(b"\x00")[2].partition(b"\x00")[2]
    else:
        return
    unfolding = zlib.decompressobj()
    try:
        unfolding.decompress(packed, MAX_UNFOLDED_BYTES)
    except zlib.error:
        return
    if unfolding.unconsumed_tail:
        raise TooLarge(f"a text or profile in the image unfolds to more than {MAX_UNFOLDED_BYTES} bytes")


def rewrite(data: bytes, target: Path) -> None:
    """Write the pixels of a stripped file as a new one, upright, in sRGB and with eight bits a channel."""
    image = opened(data, "PNG")
    image.load()
    image = in_srgb(_with_eight_bits(upright(image), bits=data[24]))
    transparency = image.info.get("transparency")
    image.info = {} if transparency is None else {"transparency": transparency}
    target.write_bytes(encoded(image, "PNG"))


def _with_eight_bits(image: Image.Image, bits: int) -> Image.Image:
    """Return the picture with the upper halves of its 16-bit values; Pillow drops the lower ones of colours itself."""
    if bits != 16:
        return image
    info = image.info
    if image.mode.startswith("I"):
        image = Image.frombytes("L", image.size, image.tobytes("raw", "I;16B")[::2])
    image.info = info
    # The one transparent value has 16 bits still.
    value = info.get("transparency")
    if isinstance(value, int):
        info["transparency"] = value >> 8
    elif isinstance(value, tuple):
        info["transparency"] = tuple(part >> 8 for part in value)
    return image
