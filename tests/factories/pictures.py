"""Pictures as people and attackers send them: whole ones, ones that say too much, and ones that are no pictures."""

import io
import random
import struct
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

SECRET = b"meet me behind the library"
"""What the metadata of every picture that says too much holds, as it is."""

Colour = tuple[int, ...]

RED, GREEN, BLUE, WHITE = (220, 30, 40), (30, 180, 60), (20, 60, 200), (250, 250, 250)


def photograph(name: str) -> bytes:
    """Return a photograph of scikit-image (coffee.png, chelsea.png, astronaut.png) or scikit-learn (china.jpg)."""
    for package, folder in (("skimage", "data"), ("sklearn", "datasets/images")):
        spec = find_spec(package)
        assert spec is not None and spec.origin is not None
        path = Path(spec.origin).parent / folder / name
        if path.exists():
            return path.read_bytes()
    raise FileNotFoundError(name)


def image(width: int = 64, height: int = 48, mode: str = "RGB") -> Image.Image:
    """Return four areas: red, green over blue, white; each corner tells which way up the picture is."""
    made = Image.new("RGB", (width, height), RED)
    made.paste(GREEN, (width // 2, 0, width, height // 2))
    made.paste(BLUE, (0, height // 2, width // 2, height))
    made.paste(WHITE, (width // 2, height // 2, width, height))
    return made if mode == "RGB" else made.convert(mode)


def noise(width: int, height: int, seed: int = 1) -> Image.Image:
    """Return a picture that no format can make small: each seed gives other bytes."""
    return Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(3 * width * height))


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the picture as a file of Pillow's format `kind`."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def jpeg(width: int = 64, height: int = 48, **exif: Any) -> bytes:
    """Return a JPEG; `exif` are tags by their names: jpeg(Orientation=6, Artist="Ann")."""
    return encoded(image(width, height), "JPEG", quality=95, subsampling=0, exif=_exif(**exif))


def png(width: int = 64, height: int = 48, mode: str = "RGB", **options: Any) -> bytes:
    """Return a PNG."""
    return encoded(image(width, height, mode), "PNG", **options)


def webp(width: int = 64, height: int = 48, **options: Any) -> bytes:
    """Return a WebP of one frame, lossy unless `lossless=True`."""
    return encoded(image(width, height), "WEBP", **options)


def gif(frames: int = 1, width: int = 64, height: int = 48, loop: int = 0) -> bytes:
    """Return a GIF; frame n lasts (n + 1) * 10 ms, and a square moves over it."""
    return encoded(_moving(0, width, height), "GIF", **_animation(frames, width, height, loop))


def animated_webp(frames: int = 3, width: int = 64, height: int = 48, loop: int = 0, **options: Any) -> bytes:
    """Return a WebP of several frames, like gif()."""
    first = _moving(0, width, height)
    return encoded(first, "WEBP", **_animation(frames, width, height, loop), minimize_size=True, **options)


def _animation(frames: int, width: int, height: int, loop: int) -> dict[str, Any]:
    others = [_moving(number, width, height) for number in range(1, frames)]
    durations = [(number + 1) * 10 for number in range(frames)]
    return {"save_all": True, "append_images": others, "duration": durations, "loop": loop}


def _moving(number: int, width: int, height: int) -> Image.Image:
    picture = image(width, height)
    left = number * 7 % (width - 8)
    picture.paste((number % 256, 0, 255 - number % 256), (left, 4, left + 8, 12))
    return picture


def jpeg_with_gps(width: int = 64, height: int = 48) -> bytes:
    """Return a JPEG that tells where it was taken, by whom, and more, in every place that a JPEG has for it."""
    exif = _exif(Artist=SECRET.decode(), ImageDescription=SECRET.decode(), Make="Lumen", Orientation=1)
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 12.5), 3: "E", 4: (13.0, 24.0, 18.1)})
    file = encoded(
        image(width, height),
        "JPEG",
        exif=exif,
        comment=SECRET,
        icc_profile=rotating_profile(),
        xmp=_xmp(),
        dpi=(72, 72),
    )
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", len(SECRET)) + SECRET
    own = _segment(0xED, iptc) + _segment(0xE2, b"MPF\x00" + SECRET) + _segment(0xEB, SECRET)
    return file[:2] + own + file[2:] + SECRET


def png_with_gps(width: int = 64, height: int = 48) -> bytes:
    """Return a PNG that tells as much, in every chunk that a PNG has for it."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", SECRET.decode())
    text.add_text("Comment", SECRET.decode() * 3, zip=True)
    text.add_itxt("XML:com.adobe.xmp", _xmp().decode())
    text.add(b"tIME", struct.pack(">HBBBBB", 2026, 11, 21, 9, 30, 0))
    text.add(b"prVt", SECRET)
    file = png(width, height, pnginfo=text, exif=_exif(Artist=SECRET.decode()), dpi=(72, 72))
    return file + SECRET


def webp_with_gps(width: int = 64, height: int = 48, **options: Any) -> bytes:
    """Return a WebP that tells as much."""
    exif = _exif(Artist=SECRET.decode()).tobytes()
    return webp(width, height, exif=exif, xmp=_xmp(), icc_profile=rotating_profile(), **options) + SECRET


def gif_with_comment(frames: int = 2) -> bytes:
    """Return a GIF with a comment, a program's block, and bytes behind its end."""
    file = gif(frames)
    table = 13 + 3 * 2 ** ((file[10] & 7) + 1)
    own = b"\x21\xfe" + bytes([len(SECRET)]) + SECRET + b"\x00" + b"\x21\xff\x0bXMP DataXMP" + SECRET_BLOCK
    return file[:table] + own + file[table:] + SECRET


SECRET_BLOCK = bytes([len(SECRET)]) + SECRET + b"\x00"


def _exif(**tags: Any) -> Image.Exif:
    made = Image.Exif()
    for name, value in tags.items():
        made[ExifTags.Base[name]] = value
    return made


def _xmp() -> bytes:
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>' + SECRET + b"</dc:creator></x:xmpmeta>"


def _segment(marker: int, payload: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(payload) + 2) + payload


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def riff(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a WebP."""
    return kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)


def rotating_profile() -> bytes:
    """Return an ICC profile whose red is sRGB's green, whose green is its blue, and whose blue is its red."""
    red, green, blue = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    gamma = b"curv" + struct.pack(">IIH", 0, 1, int(2.2 * 256)) + b"\x00\x00"
    description = b"desc" + struct.pack(">II", 0, 8) + b"rotates\x00" + b"\x00" * 79
    tags = {
        b"desc": description,
        b"cprt": b"text\x00\x00\x00\x00nobody\x00\x00",
        b"wtpt": _xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": _xyz(*green),
        b"gXYZ": _xyz(*blue),
        b"bXYZ": _xyz(*red),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, data = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        padded = value + b"\x00" * (-len(value) % 4)
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(data), len(value))
        data += padded
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(data), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2026, 11, 21, 0, 0, 0, b"acsp") + b"\x00" * 28
    head += struct.pack(">3i", *(round(part * 65536) for part in (0.9642, 1.0, 0.8249)))
    return head.ljust(128, b"\x00") + table + data


def _xyz(*parts: float) -> bytes:
    return b"XYZ \x00\x00\x00\x00" + struct.pack(">3i", *(round(part * 65536) for part in parts))


@cache
def png_bomb(side: int = 20_000) -> bytes:
    """Return a PNG of some kilobytes whose pixels are a hundred thousand times as many."""
    squeeze = zlib.compressobj(9)
    row = b"\x00" * (1 + side // 8)
    data = b"".join(squeeze.compress(row * 100) for _ in range(side // 100)) + squeeze.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return PNG_START + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND")


PNG_START = b"\x89PNG\r\n\x1a\n"


def raw_png(width: int, height: int, *, bits: int, colour_type: int, rows: bytes, transparency: bytes = b"") -> bytes:
    """Return a PNG of rows as they are, each with its filter byte, for kinds of pixels that Pillow does not write."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    clear = chunk(b"tRNS", transparency) if transparency else b""
    return PNG_START + chunk(b"IHDR", head) + clear + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")


@cache
def text_bomb(kind: bytes = b"zTXt", size: int = 50_000_000) -> bytes:
    """Return a small PNG whose compressed text (zTXt, iTXt) or profile (iCCP) unfolds to `size` bytes."""
    packed = zlib.compress(b"\x20" * size, 9)
    start = {b"zTXt": b"Comment\x00\x00", b"iTXt": b"Comment\x00\x01\x00\x00\x00", b"iCCP": b"profile\x00\x00"}[kind]
    file = png(8, 8)
    return file[:33] + chunk(kind, start + packed) + file[33:]


def huge_metadata(kind: str, size: int = 9_000_000) -> bytes:
    """Return a small JPEG, PNG, WebP or GIF with `size` bytes of metadata."""
    filling = b"x" * size
    if kind == "JPEG":
        file = jpeg()
        parts = [_segment(0xE1, filling[at : at + 65_000]) for at in range(0, size, 65_000)]
        return file[:2] + b"".join(parts) + file[2:]
    if kind == "PNG":
        file = png()
        return file[:33] + chunk(b"tEXt", b"Comment\x00" + filling) + file[33:]
    if kind == "WEBP":
        file = webp(lossless=True)
        inner = file[12:] + riff(b"XMP ", filling)
        return b"RIFF" + struct.pack("<I", len(inner) + 4) + b"WEBP" + inner
    file = gif()
    table = 13 + 3 * 2 ** ((file[10] & 7) + 1)
    return file[:table] + b"\x21\xfe" + (b"\xff" + b"x" * 255) * (size // 255) + b"\x00" + file[table:]


def gif_of_many_frames(frames: int = 20_000, width: int = 10, height: int = 10) -> bytes:
    """Return a GIF of as many frames of one pixel each on a canvas of that size."""
    frame = b"\x21\xf9\x04\x00\x01\x00\x00\x00" + b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    return head + frame * frames + b"\x3b"


def jpeg_of_many_scans(scans: int = 5_000) -> bytes:
    """Return a JPEG that paints its pixels again and again: work without end in few bytes."""
    file = encoded(image(), "JPEG", progressive=True)
    last = file.rindex(b"\xff\xda")
    return file[:-2] + file[last:-2] * scans + b"\xff\xd9"


HTML = b"<!DOCTYPE html><html><body><script>alert(document.domain)</script></body></html>"
"""A page that asks for more than it should."""


def polyglots() -> dict[str, bytes]:
    """Return name -> a picture that is also a page, a script or an archive."""
    archive = b"PK\x03\x04" + b"\x00" * 22 + HTML
    comment = jpeg()
    picture = gif(2)
    table = 13 + 3 * 2 ** ((picture[10] & 7) + 1)
    script = b"\x21\xfe" + bytes([len(HTML)]) + HTML + b"\x00"
    return {
        "a page behind a JPEG": jpeg() + HTML,
        "a page in a JPEG's comment": comment[:2] + _segment(0xFE, HTML) + comment[2:],
        "an archive behind a GIF": picture + archive,
        "a script in a GIF's comment": picture[:table] + script + picture[table:],
        "an archive behind a PNG": png() + archive,
        "a page in a PNG's own chunk": png()[:33] + chunk(b"paGe", HTML) + png()[33:],
        "a page behind a WebP": webp() + HTML,
    }


def strangers() -> dict[str, bytes]:
    """Return file name -> content that is none of the four formats, whatever the name says."""
    small = image(16, 16)
    return {
        "page.jpg": HTML,
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "paper.pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n",
        "scan.tiff": encoded(small, "TIFF"),
        "old.bmp": encoded(small, "BMP"),
        "icon.ico": encoded(small, "ICO"),
        "layers.psd": b"8BPS\x00\x01" + b"\x00" * 6 + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + b"\x00" * 220,
        "new.avif": encoded(small, "AVIF"),
        "script.gif": b"GIF89b/*" + HTML,
        "sound.webp": b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 32,
        "page before.png": HTML + png(),
        "post.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
    }
