"""GIF: found without decoding what a file says of itself, and written anew frame by frame.

The blocks are those of the GIF89a specification. Palettes, places, durations, disposal and the loop are copied, and the
pixels of each frame are decoded and encoded again, so that no colour changes. Pillow's own way to write animations
would fit each frame to a new palette, and join frames that are alike.
"""

import struct
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from .codec import encoded, opened
from .limits import Broken, Shape, check_metadata

STARTS = (b"GIF87a", b"GIF89a")

_SCREEN = struct.Struct("<HHBBB")
_PLACE = struct.Struct("<HHHHB")
_CONTROL = struct.Struct("<BHB")
_FRAME, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_GRAPHIC_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_HAS_TABLE, _INTERLACED, _TRANSPARENT, _DISPOSAL = 0x80, 0x40, 0x01, 0x1C
_GREYS = bytes(level for level in range(256) for _ in range(3))


@dataclass(frozen=True)
class _Frame:
    left: int
    top: int
    width: int
    height: int
    is_interlaced: bool
    table: bytes | None
    compressed: bytes
    """The size of the first code, and the blocks up to and with the empty one."""
    control: tuple[int, int, int] = (0, 0, 0)
    """Flags, hundredths of a second, transparent index."""


@dataclass
class Gif:
    """A file as its blocks tell."""

    width: int
    height: int
    background: int
    table: bytes | None
    frames: list[_Frame] = field(default_factory=list)
    loop: int | None = None
    metadata: int = 0

    def shape(self) -> Shape:
        """Return what the canvas has to hold, every frame included."""
        width = max([self.width, *(frame.left + frame.width for frame in self.frames)])
        height = max([self.height, *(frame.top + frame.height for frame in self.frames)])
        return Shape(width, height, len(self.frames))


class _Reader:
    """A place in the file; reading beyond the end is Broken."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 6

    def take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise Broken("the image ends before its last pixel")
        part, self._position = self._data[self._position : end], end
        return part

    def byte(self) -> int:
        return self.take(1)[0]

    def table(self, flags: int) -> bytes | None:
        return self.take(3 * 2 ** ((flags & 7) + 1)) if flags & _HAS_TABLE else None

    def blocks(self) -> bytes:
        """Return blocks with their lengths, the empty one at their end included."""
        start = self._position
        while length := self.byte():
            self.take(length)
        return self._data[start : self._position]


def parse(data: bytes) -> Gif:
    """Return the blocks of a file; raises Broken where it ends early, TooLarge where it carries too much metadata."""
    reader = _Reader(data)
    width, height, flags, background, _ = _SCREEN.unpack(reader.take(_SCREEN.size))
    gif = Gif(width, height, background, reader.table(flags))
    control = (0, 0, 0)
    while (kind := reader.byte()) != _TRAILER:
        if kind == _FRAME:
            frame = _frame(reader, control)
            control = (0, 0, 0)
            if frame.width and frame.height:
                gif.frames.append(frame)
        elif kind == _EXTENSION:
            label, blocks = reader.byte(), reader.blocks()
            if label == _GRAPHIC_CONTROL and len(blocks) >= 5:
                flags, duration, transparent = _CONTROL.unpack_from(blocks, 1)
                control = (flags & (_DISPOSAL | _TRANSPARENT), duration, transparent)
            elif label == _APPLICATION and blocks[1:12] in _LOOPS:
                gif.loop = int.from_bytes(blocks[14:16], "little") if blocks[12:14] == b"\x03\x01" else gif.loop
            else:
                gif.metadata += len(blocks)
        else:
            raise Broken("the image is damaged between its frames")
    check_metadata(gif.metadata)
    return gif


def _frame(reader: _Reader, control: tuple[int, int, int]) -> _Frame:
    left, top, width, height, flags = _PLACE.unpack(reader.take(_PLACE.size))
    table = reader.table(flags)
    compressed = reader.take(1) + reader.blocks()
    return _Frame(left, top, width, height, bool(flags & _INTERLACED), table, compressed, control)


def rewrite(gif: Gif, target: Path) -> None:
    """Write the pixels as a new file; each frame is in memory by itself."""
    shape = gif.shape()
    used: set[int] = set()
    parts = []
    for frame in gif.frames:
        indices = _decoded(frame, gif.table)
        seen = {index for index, count in enumerate(indices.histogram()) if count}
        if frame.table is None:
            used |= seen
        own = None if frame.table is None else _kept(frame.table, seen)
        parts.append(_encoded(replace(frame, table=own), indices))
    table = _kept(gif.table or _GREYS, used)
    bits = _bits(table)
    background = gif.background if gif.background in used else 0
    with target.open("wb") as file:
        file.write(STARTS[1] + _SCREEN.pack(shape.width, shape.height, _HAS_TABLE | bits - 1, background, 0))
        file.write(table)
        if gif.loop is not None:
            file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + gif.loop.to_bytes(2, "little") + b"\x00")
        file.writelines(parts)
        file.write(bytes([_TRAILER]))


def _decoded(frame: _Frame, table: bytes | None) -> Image.Image:
    """Return the indices of a frame as a grey picture, by way of a file that holds nothing else."""
    colours = frame.table or table or _GREYS
    size = _PLACE.pack(0, 0, frame.width, frame.height, _INTERLACED if frame.is_interlaced else 0)
    screen = _SCREEN.pack(frame.width, frame.height, _HAS_TABLE | _bits(colours) - 1, 0, 0)
    picture = opened(b"".join((STARTS[1], screen, colours, b"\x2c", size, frame.compressed, b"\x3b")), "GIF")
    return Image.frombytes("L", picture.size, picture.tobytes())


def _encoded(frame: _Frame, indices: Image.Image) -> bytes:
    """Return all blocks of a frame."""
    written = parse(encoded(indices, "GIF", optimize=False, interlace=0)).frames[0]
    flags = 0 if frame.table is None else _HAS_TABLE | _bits(frame.table) - 1
    control = b"\x21\xf9\x04" + _CONTROL.pack(*frame.control) + b"\x00" if any(frame.control) else b""
    place = _PLACE.pack(frame.left, frame.top, frame.width, frame.height, flags)
    return b"".join((control, b"\x2c", place, frame.table or b"", written.compressed))


def _kept(table: bytes, used: set[int]) -> bytes:
    """Return a palette of the used colours at their places, black elsewhere and where the file has none."""
    entries = 2 ** max(1, max(used, default=0).bit_length())
    colours = (table[3 * index : 3 * index + 3] if index in used else b"" for index in range(entries))
    return b"".join(colour.ljust(3, b"\x00") for colour in colours)


def _bits(table: bytes) -> int:
    """Return how many bits an index into the palette has."""
    return max(1, (len(table) // 3 - 1).bit_length())
