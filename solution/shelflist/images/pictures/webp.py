"""WebP: found without decoding what a file says of itself, stripped to what paints its pixels, and written anew.

The chunks are those of the WebP container specification (RFC 9649). An animation keeps its frames one by one: their
places, durations and ways of mixing are copied, and only their pixels are encoded again.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from .codec import encoded, opened
from .colours import in_srgb, upright
from .limits import Broken, Shape, check_metadata

START = (b"RIFF", b"WEBP")
QUALITY = 92
QUICK_PIXELS = 16_000_000
"""From as many pixels on, less effort is made to save bytes: it takes time and, without loss, memory."""

_HEADER = struct.Struct("<4sI")
_BITSTREAMS = (b"VP8 ", b"VP8L")
_PIXELS = frozenset((b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"))
_MEANING = frozenset((b"ICCP", b"EXIF"))
_HAS_ALPHA, _IS_ANIMATED = 0x10, 0x02
_ENDS = "the image ends before its last pixel"


def is_webp(data: bytes) -> bool:
    """Return whether the content begins as a WebP."""
    return data[:4] == START[0] and data[8:12] == START[1]


def chunks(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the chunks between two places; raises Broken where one reaches beyond the end."""
    while position + _HEADER.size <= end:
        kind, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if position + length > end:
            raise Broken(_ENDS)
        yield kind, data[position : position + length]
        position += length + length % 2


def strip(data: bytes) -> tuple[Shape, bytes]:
    """Return the shape, and the file without all that paints no pixel: texts, unknown chunks, bytes behind its end.

    Raises Broken for a file that ends early or contradicts itself, and TooLarge for too much metadata.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise Broken(_ENDS)
    kept, metadata, frames, stills, canvas = [], 0, 0, [], (0, 0)
    for kind, content in chunks(data, 12, end):
        if kind == b"VP8X":
            canvas = _canvas(content)
        elif kind == b"ANMF":
            frames += 1
            _check_frame(content, canvas)
        elif kind in _BITSTREAMS:
            stills.append(_size(kind, content))
        if kind in _PIXELS or kind in _MEANING:
            kept.append((kind, content))
        if kind not in _PIXELS:
            metadata += len(content)
    check_metadata(metadata)
    if len(stills) != (0 if frames else 1) or (stills and canvas not in ((0, 0), stills[0])):
        raise Broken("the image contradicts itself about its frames")
    size = canvas if frames else stills[0]
    return Shape(*size, max(frames, 1)), _file(kept)


def _canvas(content: bytes) -> tuple[int, int]:
    if len(content) < 10:
        raise Broken(_ENDS)
    return int.from_bytes(content[4:7], "little") + 1, int.from_bytes(content[7:10], "little") + 1


def _size(kind: bytes, content: bytes) -> tuple[int, int]:
    """Return width and height of a bitstream (RFC 6386, 9.1; RFC 9649, 3.4)."""
    if kind == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and len(content) >= 10 and content[3:6] == b"\x9d\x01\x2a":
        return int.from_bytes(content[6:8], "little") & 0x3FFF, int.from_bytes(content[8:10], "little") & 0x3FFF
    raise Broken("a frame of the image is damaged")


def _check_frame(content: bytes, canvas: tuple[int, int]) -> None:
    if len(content) < 16:
        raise Broken(_ENDS)
    left, top, width, height = _place(content)
    inside = left + width <= canvas[0] and top + height <= canvas[1]
    sizes = [_size(kind, part) for kind, part in chunks(content, 16, len(content)) if kind in _BITSTREAMS]
    if not inside or sizes != [(width, height)]:
        raise Broken("the image contradicts itself about its frames")


def _place(content: bytes) -> tuple[int, int, int, int]:
    left, top, width, height = (int.from_bytes(content[at : at + 3], "little") for at in (0, 3, 6, 9))
    return 2 * left, 2 * top, width + 1, height + 1


def rewrite(data: bytes, target: Path) -> None:
    """Write the pixels of a stripped file as a new one, in sRGB and, but for animations, upright.

    What was lossless stays so, pixel for pixel; an animation may mix both kinds.
    """
    parts = list(chunks(data, 12, len(data)))
    frames = [content for kind, content in parts if kind == b"ANMF"]
    if not frames:
        image = upright(_decoded(data))
        is_quick = image.width * image.height >= QUICK_PIXELS
        target.write_bytes(_file(_encoded(image, _is_lossless(parts), is_quick=is_quick)))
        return
    single = dict(parts)
    sides = [_place(frame)[2:] for frame in frames]
    is_quick = sum(width * height for width, height in sides) >= QUICK_PIXELS
    written = [_rewritten(frame, single.get(b"ICCP"), is_quick=is_quick) for frame in frames]
    canvas, loop = single[b"VP8X"], single.get(b"ANIM", b"")
    head = [
        (b"VP8X", bytes([_IS_ANIMATED | canvas[0] & _HAS_ALPHA, 0, 0, 0]) + canvas[4:10]),
        (b"ANIM", loop.ljust(6, b"\x00")[:6]),
    ]
    target.write_bytes(_file(head + [(b"ANMF", frame) for frame in written]))


def _is_lossless(parts: list[tuple[bytes, bytes]]) -> bool:
    return any(kind == b"VP8L" for kind, _ in parts)


def _rewritten(content: bytes, profile: bytes | None, *, is_quick: bool) -> bytes:
    """Return the content of a frame's chunk with its pixels encoded anew."""
    parts = [(kind, part) for kind, part in chunks(content, 16, len(content)) if kind in (*_BITSTREAMS, b"ALPH")]
    _, _, width, height = _place(content)
    head = [(b"VP8X", _extended(width, height, _HAS_ALPHA))] if any(kind == b"ALPH" for kind, _ in parts) else []
    image = _decoded(_file(head + parts))
    if profile is not None:
        image.info["icc_profile"] = profile
    written = _encoded(image, _is_lossless(parts), is_quick=is_quick)
    bitstream = b"".join(_chunk(kind, part) for kind, part in written if kind != b"VP8X")
    # Of the last byte two bits have a meaning: how to mix and what to leave behind.
    return content[:15] + bytes([content[15] & 3]) + bitstream


def _decoded(data: bytes) -> Image.Image:
    # A copy: behind the picture itself stands a decoder with three more of its size.
    return opened(data, "WEBP").copy()


def _encoded(image: Image.Image, is_lossless: bool, *, is_quick: bool) -> list[tuple[bytes, bytes]]:
    image = in_srgb(image)
    if is_lossless:
        # Here the quality is an effort, too.
        quality, method = (0, 0) if is_quick else (50, 4)
        data = encoded(image, "WEBP", lossless=True, exact=True, quality=quality, method=method)
    else:
        # Not 0 or 1: with less effort the first partition of a large picture overflows.
        data = encoded(image, "WEBP", quality=QUALITY, method=2 if is_quick else 4)
    return list(chunks(data, 12, len(data)))


def _extended(width: int, height: int, flags: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes([flags, 0, 0, 0]) + sides


def _chunk(kind: bytes, content: bytes) -> bytes:
    return _HEADER.pack(kind, len(content)) + content + b"\x00" * (len(content) % 2)


def _file(parts: list[tuple[bytes, bytes]]) -> bytes:
    inner = b"".join(_chunk(kind, content) for kind, content in parts)
    return _HEADER.pack(START[0], len(inner) + 4) + START[1] + inner
