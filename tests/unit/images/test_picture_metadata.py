"""Nothing but pixels leaves: the chunks of what is written are read here byte by byte, without any library."""

import struct
from collections.abc import Callable

import pytest
from PIL import Image
from tests.factories import pictures
from tests.factories.pictures import SECRET, encoded, image
from tests.fixtures.preparing import Prepare


def jpeg_parts(data: bytes) -> list[str]:
    """Return the markers of a JPEG; each application's segment must be JFIF's, without a thumbnail."""
    assert data[:2] == b"\xff\xd8"
    parts, position = [], 2
    while True:
        assert data[position] == 0xFF
        marker, position = data[position + 1], position + 2
        if marker == 0xD9:
            assert position == len(data)
            return [*parts, "end"]
        length = struct.unpack_from(">H", data, position)[0]
        content = data[position + 2 : position + length]
        if marker == 0xE0:
            assert content[:5] == b"JFIF\x00"
            assert (len(content), content[-2:]) == (14, b"\x00\x00")
        parts.append({0xE0: "JFIF", 0xDB: "tables", 0xC4: "tables", 0xDA: "scan"}.get(marker, f"{marker:02x}"))
        position += length
        if marker == 0xDA:
            while data[position] != 0xFF or data[position + 1] == 0:
                position += 1


def png_parts(data: bytes) -> list[str]:
    """Return the chunks of a PNG."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    parts, position = [], 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        parts.append(kind.decode())
        position += 12 + length
    assert position == len(data)
    return parts


def webp_parts(data: bytes) -> list[str]:
    """Return the chunks of a WebP, those of its frames included; its flags must promise no other ones."""
    assert (data[:4], data[8:12]) == (b"RIFF", b"WEBP")
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    return riff_parts(data[12:])


def riff_parts(data: bytes) -> list[str]:
    parts, position = [], 0
    while position < len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + length]
        parts.append(kind.decode())
        if kind == b"VP8X":
            assert content[0] & ~0x12 == 0
        if kind == b"ANMF":
            parts += riff_parts(content[16:])
        position += 8 + length + length % 2
    assert position == len(data)
    return parts


def gif_parts(data: bytes) -> list[str]:
    """Return the blocks of a GIF."""
    assert data[:6] == b"GIF89a"
    position, parts = 13 + (3 * 2 ** ((data[10] & 7) + 1) if data[10] & 0x80 else 0), []
    while True:
        kind = data[position]
        if kind == 0x3B:
            assert position + 1 == len(data)
            return [*parts, "end"]
        if kind == 0x2C:
            parts.append("frame")
            flags = data[position + 9]
            position += 11 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
        else:
            assert kind == 0x21
            label = data[position + 1]
            is_loop = label == 0xFF and data[position + 3 : position + 14] == b"NETSCAPE2.0"
            parts.append("control" if label == 0xF9 else "loop" if is_loop else f"{label:02x}")
            position += 2
        while length := data[position]:
            position += 1 + length
        position += 1


PARTS: dict[str, tuple[Callable[[bytes], list[str]], set[str]]] = {
    "jpeg": (jpeg_parts, {"JFIF", "tables", "scan", "c2", "end"}),
    "png": (png_parts, {"IHDR", "PLTE", "tRNS", "IDAT", "IEND"}),
    "webp": (webp_parts, {"VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF"}),
    "gif": (gif_parts, {"control", "loop", "frame", "end"}),
}

TELLING = {
    "JPEG": pictures.jpeg_with_gps(),
    "PNG": pictures.png_with_gps(),
    "WebP": pictures.webp_with_gps(),
    "lossless WebP": pictures.webp_with_gps(lossless=True),
    "GIF": pictures.gif_with_comment(3),
    "animated WebP": pictures.animated_webp(
        3, exif=b"Exif\x00\x00" + SECRET, xmp=SECRET, icc_profile=pictures.rotating_profile()
    ),
}

OTHERS = {
    "CMYK JPEG": encoded(image().convert("CMYK"), "JPEG", comment=SECRET),
    "grey JPEG": encoded(image().convert("L"), "JPEG", comment=SECRET),
    "JPEG with a thumbnail": encoded(image(), "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08" + SECRET),
    "PNG with a palette": encoded(image().quantize(8), "PNG", transparency=1, dpi=(72, 72)),
    "animated PNG": encoded(
        image(), "PNG", save_all=True, append_images=[pictures.noise(64, 48)], duration=50, default_image=True
    ),
    "transparent WebP": encoded(image().convert("RGBA"), "WEBP", exif=b"Exif\x00\x00" + SECRET),
}


@pytest.mark.parametrize("name", [*TELLING, *OTHERS])
def test_nothing_but_pixels_leaves(prepare: Prepare, name: str) -> None:
    data = {**TELLING, **OTHERS}[name]
    result = prepare(data)
    for size in result.variants:
        written = result.data(size)
        parts, allowed = PARTS[result.prepared.format if size == "original" else "webp"]
        assert set(parts(written)) <= allowed
        assert SECRET not in written
        assert SECRET.decode().encode("utf-16-le") not in written


@pytest.mark.parametrize("name", TELLING)
def test_what_is_to_be_removed_is_there_before(name: str) -> None:
    data = TELLING[name]
    assert SECRET in data
    kind = {"JP": "jpeg", "PN": "png", "GI": "gif"}.get(name[:2], "webp")
    parts, allowed = PARTS[kind]
    # Bytes behind the end stop the reading: the parts before them are enough.
    try:
        found = set(parts(data))
    except AssertionError:
        found = {"not even readable"}
    assert not found <= allowed


def test_a_picture_says_nothing_of_where_it_was_taken(prepare: Prepare) -> None:
    result = prepare(pictures.jpeg_with_gps())
    for size in result.variants:
        picture = result.picture(size)
        assert dict(picture.getexif()) == {}
        assert not {"exif", "xmp", "icc_profile", "comment", "photoshop", "mp"} & set(picture.info)


def test_an_animated_png_becomes_its_still_picture(prepare: Prepare) -> None:
    result = prepare(OTHERS["animated PNG"])
    assert result.prepared.frames == 1
    assert result.picture().tobytes() == image().tobytes()


def test_colours_of_a_gif_that_no_pixel_has_are_no_hiding_place(prepare: Prepare) -> None:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([10, 20, 30, 40, 50, 60, *SECRET[: len(SECRET) // 3 * 3]])
    data = encoded(picture, "GIF", optimize=False)
    assert SECRET[:12] in data
    written = prepare(data)
    assert SECRET[:12] not in written.data()
    assert written.picture().convert("RGB").getpixel((3, 3)) == (40, 50, 60)
