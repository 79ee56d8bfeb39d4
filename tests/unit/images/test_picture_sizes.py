"""What becomes of a picture: the same format upright and with the right colours, and two smaller sizes."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, JpegImagePlugin
from tests.factories import pictures
from tests.factories.pictures import BLUE, GREEN, RED, WHITE, encoded, image, photograph
from tests.fixtures.preparing import Prepare, hashes

from shelflist.images.pictures.preparing import Preparer

CORNERS = ((2, 2), (-3, 2), (2, -3), (-3, -3))
COLOURS = (RED, GREEN, BLUE, WHITE)


def corners(picture: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours near the corners: upper left, upper right, lower left, lower right."""
    rgb = picture.convert("RGB")
    return [rgb.getpixel((x % rgb.width, y % rgb.height)) for x, y in CORNERS]


def are_near(found: list[tuple[int, ...]], wanted: tuple[tuple[int, ...], ...], most: int = 12) -> bool:
    """Return whether the colours are those but for what compression changes."""
    pairs = zip(found, wanted, strict=True)
    return all(abs(a - b) <= most for one, other in pairs for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("data", "kind", "media_type"),
    [
        (pictures.jpeg(), "jpeg", "image/jpeg"),
        (pictures.png(), "png", "image/png"),
        (pictures.webp(), "webp", "image/webp"),
        (pictures.webp(lossless=True), "webp", "image/webp"),
        (pictures.gif(), "gif", "image/gif"),
    ],
)
def test_the_original_keeps_its_format_and_the_smaller_sizes_are_webp(
    prepare: Prepare, data: bytes, kind: str, media_type: str
) -> None:
    result = prepare(data)
    assert (result.prepared.format, result.prepared.width, result.prepared.height) == (kind, 64, 48)
    assert result.prepared.frames == 1
    media_types = {size: variant.media_type for size, variant in result.variants.items()}
    assert media_types == {"original": media_type, "medium": "image/webp", "thumb": "image/webp"}
    for size, variant in result.variants.items():
        picture, written = result.picture(size), result.data(size)
        assert Image.MIME[picture.format or ""] == variant.media_type
        assert picture.size == (variant.width, variant.height) == (64, 48)
        assert (hashlib.sha256(written).hexdigest(), len(written)) == (variant.sha256, variant.bytes)
        assert are_near(corners(picture), COLOURS, 25)


@pytest.mark.parametrize(
    ("width", "height", "medium", "thumb"),
    [
        (2560, 1280, (1280, 640), (320, 160)),
        (900, 1800, (640, 1280), (160, 320)),
        (1280, 1280, (1280, 1280), (320, 320)),
        (500, 300, (500, 300), (320, 192)),
        (320, 200, (320, 200), (320, 200)),
        (4000, 2, (1280, 1), (320, 1)),
    ],
)
def test_smaller_sizes_fit_their_square_and_are_never_larger_than_the_original(
    prepare: Prepare, width: int, height: int, medium: tuple[int, int], thumb: tuple[int, int]
) -> None:
    for data in (pictures.jpeg(width, height), pictures.png(width, height)):
        result = prepare(data)
        assert result.picture("medium").size == medium
        assert result.picture("thumb").size == thumb
        assert result.picture().size == (width, height)


@pytest.mark.parametrize("name", ["coffee.png", "chelsea.png", "astronaut.png", "china.jpg", "flower.jpg"])
def test_a_photograph_looks_as_before_in_all_sizes(prepare: Prepare, name: str) -> None:
    source = Image.open(io.BytesIO(photograph(name))).convert("RGB")
    result = prepare(photograph(name))
    for size, most in (("original", 4), ("medium", 8), ("thumb", 8)):
        picture = result.picture(size).convert("RGB")
        difference = ImageChops.difference(picture, source.resize(picture.size, Image.Resampling.LANCZOS)).convert("L")
        values = difference.histogram()
        assert sum(level * count for level, count in enumerate(values)) / sum(values) < most


@pytest.mark.parametrize(
    "data",
    [photograph("china.jpg"), photograph("chelsea.png"), pictures.webp(), pictures.gif(5), pictures.animated_webp()],
    ids=["JPEG", "PNG", "WebP", "GIF", "animated WebP"],
)
def test_the_same_bytes_give_the_same_bytes_and_what_was_lost_is_rebuilt_to_the_byte(
    prepare: Prepare, preparer: Preparer, tmp_path: Path, data: bytes
) -> None:
    first, second = prepare(data), prepare(data)
    assert hashes(first.prepared.variants) == hashes(second.prepared.variants)
    preparer.close()
    rebuilt = preparer.rebuild(first.variants["original"].path, tmp_path)
    wanted = hashes(first.prepared.variants)
    assert hashes(rebuilt) == {size: wanted[size] for size in ("medium", "thumb")}


def test_lossless_formats_keep_every_pixel(prepare: Prepare) -> None:
    picture = pictures.noise(70, 50).convert("RGBA")
    picture.putalpha(pictures.noise(70, 50, seed=2).convert("L"))
    sources = [
        encoded(picture, "PNG"),
        encoded(picture, "WEBP", lossless=True, exact=True),
        encoded(picture.quantize(200), "PNG"),
        encoded(picture.convert("LA"), "PNG"),
        encoded(picture.convert("RGB").quantize(100), "GIF"),
    ]
    for data in sources:
        before = Image.open(io.BytesIO(data)).convert("RGBA")
        assert prepare(data).picture().convert("RGBA").tobytes() == before.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_is_applied(prepare: Prepare, kind: str, orientation: int) -> None:
    turned = image()
    # What a camera stores for this value so that the picture is image() once it is turned upright.
    for step in {
        1: (),
        2: (Image.Transpose.FLIP_LEFT_RIGHT,),
        3: (Image.Transpose.ROTATE_180,),
        4: (Image.Transpose.FLIP_TOP_BOTTOM,),
        5: (Image.Transpose.TRANSPOSE,),
        6: (Image.Transpose.ROTATE_90,),
        7: (Image.Transpose.TRANSVERSE,),
        8: (Image.Transpose.ROTATE_270,),
    }[orientation]:
        turned = turned.transpose(step)
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = prepare(encoded(turned, kind, exif=exif, quality=95))
    assert (result.prepared.width, result.prepared.height) == (64, 48)
    for size in result.variants:
        assert are_near(corners(result.picture(size)), COLOURS, 25)


def test_an_orientation_that_means_nothing_is_ignored(prepare: Prepare) -> None:
    for exif in (b"Exif\x00\x00garbage", b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff", b"Exif\x00\x00"):
        assert are_near(corners(prepare(encoded(image(), "JPEG", exif=exif, quality=95)).picture()), COLOURS)
    assert are_near(corners(prepare(pictures.jpeg(Orientation=9)).picture()), COLOURS)


def test_colours_of_a_profile_become_those_of_srgb(prepare: Prepare) -> None:
    profile = pictures.rotating_profile()
    sources = [
        encoded(image(), "JPEG", icc_profile=profile, quality=95),
        encoded(image(), "PNG", icc_profile=profile),
        encoded(image().convert("RGBA"), "PNG", icc_profile=profile),
        encoded(image().quantize(8), "PNG", icc_profile=profile),
        encoded(image(), "WEBP", icc_profile=profile, lossless=True),
    ]
    # Red is painted with the profile's red, which is sRGB's green.
    wanted = tuple((blue, red, green) for red, green, blue in COLOURS)
    for data in sources:
        result = prepare(data)
        for size in result.variants:
            assert are_near(corners(result.picture(size)), wanted, 25)
            assert "icc_profile" not in result.picture(size).info


def test_a_profile_that_is_srgb_broken_or_of_another_kind_changes_no_pixel(prepare: Prepare) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all", pictures.rotating_profile()[:200], srgb[:40] + b"CMYK" + srgb[44:]):
        data = encoded(image(), "PNG", icc_profile=profile)
        assert prepare(data).picture().tobytes() == image().tobytes()


def test_a_grey_picture_with_a_colour_profile_stays_grey(prepare: Prepare) -> None:
    grey = image().convert("L")
    result = prepare(encoded(grey, "PNG", icc_profile=pictures.rotating_profile())).picture()
    assert (result.mode, result.tobytes()) == ("L", grey.tobytes())


def test_cmyk_becomes_rgb(prepare: Prepare) -> None:
    result = prepare(encoded(image().convert("CMYK"), "JPEG", quality=95))
    assert (result.picture().mode, result.picture().format) == ("RGB", "JPEG")
    for size in result.variants:
        assert are_near(corners(result.picture(size)), COLOURS, 25)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_every_kind_of_pixels_keeps_its_colours(prepare: Prepare, mode: str) -> None:
    # Without dots of other colours between.
    plain = {"1": image().convert("1", dither=Image.Dither.NONE), "P": image().quantize(8)}
    source = plain.get(mode) or image().convert(mode)
    result = prepare(encoded(source, "PNG"))
    wanted = tuple(corners(source))
    assert corners(result.picture()) == list(wanted)
    assert are_near(corners(result.picture("thumb")), wanted, 25)


def test_a_grey_jpeg_stays_grey(prepare: Prepare) -> None:
    result = prepare(encoded(image().convert("L"), "JPEG", quality=95))
    assert result.picture().mode == "L"
    assert are_near(corners(result.picture("medium")), tuple(corners(image().convert("L"))), 25)


def test_sixteen_bits_a_channel_become_eight(prepare: Prepare) -> None:
    levels = [0, 1000, 20_000, 40_000, 65_535]
    row = b"".join(level.to_bytes(2, "little") for level in levels)
    result = prepare(encoded(Image.frombytes("I;16", (5, 1), row), "PNG")).picture()
    assert (result.mode, list(result.tobytes())) == ("L", [level >> 8 for level in levels])


@pytest.mark.parametrize(
    ("colour_type", "transparency", "wanted"),
    [
        (0, b"\x40\x00", [(0, 0, 0, 255), (64, 64, 64, 0), (255, 255, 255, 255)]),
        (2, b"\x40\x00" * 3, [(0, 0, 0, 255), (64, 64, 64, 0), (255, 255, 255, 255)]),
    ],
    ids=["grey", "colour"],
)
def test_the_transparent_value_of_sixteen_bits_stays_transparent(
    prepare: Prepare, colour_type: int, transparency: bytes, wanted: list[tuple[int, ...]]
) -> None:
    samples = 3 if colour_type == 2 else 1
    row = b"\x00" + b"".join(level.to_bytes(2, "big") * samples for level in (0, 0x4000, 0xFFFF))
    data = pictures.raw_png(3, 1, bits=16, colour_type=colour_type, rows=row, transparency=transparency)
    picture = prepare(data).picture().convert("RGBA")
    assert [picture.getpixel((x, 0)) for x in range(3)] == wanted


def test_what_is_transparent_stays_so_in_all_sizes(prepare: Prepare) -> None:
    clear = image().convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 32, 24))
    palette = image().quantize(8)
    index = palette.getpixel((2, 2))
    for data in (
        encoded(clear, "PNG"),
        encoded(clear, "WEBP"),
        encoded(palette, "PNG", transparency=index),
        encoded(palette, "GIF", transparency=index),
        encoded(image(), "PNG", transparency=RED),
    ):
        result = prepare(data)
        for size in result.variants:
            picture = result.picture(size).convert("RGBA")
            assert picture.getpixel((2, 2))[3] < 10
            assert picture.getpixel((60, 40))[3] > 245


@pytest.mark.parametrize(("subsampling", "kept"), [("4:4:4", 0), ("4:2:2", 1), ("4:2:0", 2)])
def test_a_jpeg_keeps_its_subsampling_and_is_progressive(prepare: Prepare, subsampling: str, kept: int) -> None:
    result = prepare(encoded(image(), "JPEG", subsampling=subsampling)).picture()
    assert JpegImagePlugin.get_sampling(result) == kept
    assert result.info["progressive"]


def test_a_jpeg_with_less_colour_sideways_gets_all_of_it_when_turned(prepare: Prepare) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    result = prepare(encoded(image(), "JPEG", subsampling="4:2:2", exif=exif)).picture()
    assert (result.size, JpegImagePlugin.get_sampling(result)) == ((48, 64), 0)


def test_the_process_that_asks_loads_no_decoder_and_no_s3_client() -> None:
    code = (
        "import sys, shelflist.images.pictures.preparing, shelflist.images.store\n"
        "print([name for name in ('PIL', 'obstore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
