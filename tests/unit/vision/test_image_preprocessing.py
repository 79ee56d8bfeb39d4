"""Images before the model: formats by content, bounds before decoding, orientation, transparency, depths of colour."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.factories import pictures

from shelflist_vision.preprocessing import Form, check_image, image_format, prepare
from shelflist_vision.problems import Problem, Unprocessable, UnsupportedMediaType

FORM = Form(64, 1.0, (0, 0, 0), (1, 1, 1), "NCHW", is_normalised=True)
MOST = 1_000_000


def quarters(data: bytes) -> list[list[int]]:
    """Return the colours of the four quarters: upper left, upper right, lower left, lower right."""
    pixels = prepare(data, FORM, MOST)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    return [pixels[y, x].tolist() for y, x in ((16, 16), (16, 48), (48, 16), (48, 48))]


def assert_alike(found: list[list[int]], wanted: list[tuple[int, ...]], most: int = 12) -> None:
    assert np.abs(np.array(found) - np.array(wanted)).max() <= most, found


UPRIGHT = [pictures.RED, pictures.GREEN, pictures.BLUE, pictures.WHITE]
# What is where after the orientation of that number is applied (Exif 2.32, 4.6.4).
TURNED = {
    1: (0, 1, 2, 3),
    2: (1, 0, 3, 2),
    3: (3, 2, 1, 0),
    4: (2, 3, 0, 1),
    5: (0, 2, 1, 3),
    6: (2, 0, 3, 1),
    7: (3, 1, 2, 0),
    8: (1, 3, 0, 2),
}


@pytest.mark.parametrize("orientation", TURNED)
def test_an_orientation_is_applied(orientation: int) -> None:
    data = pictures.jpeg(640, 480, Orientation=orientation)
    assert_alike(quarters(data), [UPRIGHT[place] for place in TURNED[orientation]])


def test_an_orientation_that_is_none_is_left_alone() -> None:
    assert_alike(quarters(pictures.jpeg(640, 480, Orientation=99)), UPRIGHT)


@pytest.mark.parametrize("size", [(64, 48), (640, 480), (4000, 3000), (300, 1000), (1000, 70), (65, 64)])
def test_photographs_of_every_size_are_made_small(size: tuple[int, int]) -> None:
    data = pictures.encoded(pictures.image(*size), "JPEG", quality=95, subsampling=0)
    pixels = prepare(data, FORM, 20_000_000)
    assert pixels.shape == (64, 64, 3)


def test_a_large_photograph_decoded_in_part_looks_as_if_decoded_in_full() -> None:
    picture = Image.open(io.BytesIO(pictures.photograph("coffee.png"))).convert("RGB").resize((4000, 3000))
    form = Form(224, 0.875, (0, 0, 0), (1, 1, 1), "NCHW", is_normalised=True)
    found = prepare(pictures.encoded(picture, "JPEG", quality=95), form, 20_000_000).astype(int)
    wanted = prepare(pictures.encoded(picture, "PNG", compress_level=1), form, 20_000_000).astype(int)
    assert np.abs(found - wanted).mean() < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (2, 3)])
def test_the_smallest_images_work(size: tuple[int, int]) -> None:
    for kind in ("PNG", "GIF", "WEBP", "JPEG"):
        assert prepare(pictures.encoded(Image.new("RGB", size, "red"), kind), FORM, MOST).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "P"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
    ],
)
def test_colours_are_kept_in_every_format_and_mode(kind: str, mode: str) -> None:
    picture = pictures.image(256, 256, mode)
    options: dict[str, Any] = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}}.get(kind, {})
    assert_alike(quarters(pictures.encoded(picture, kind, **options)), UPRIGHT, most=16)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_grey_is_grey(mode: str) -> None:
    dark = {"1": 0, "I;16": 40 * 257, "LA": (40, 255)}.get(mode, 40)
    picture = Image.new("L" if mode == "1" else mode, (64, 64), dark)
    data = pictures.encoded(picture.convert("1") if mode == "1" else picture, "PNG")
    level = 0 if mode == "1" else 40
    assert_alike(quarters(data), [(level, level, level)] * 4, most=1)


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("PNG", "P"), ("GIF", "RGBA")]
)
def test_what_is_transparent_is_white(kind: str, mode: str) -> None:
    picture = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    data = pictures.encoded(picture if mode == "RGBA" else picture.convert(mode), kind)
    assert_alike(quarters(data), [(255, 255, 255)] * 4, most=1)


def test_half_transparent_is_half_white() -> None:
    data = pictures.encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 128)), "PNG")
    assert_alike(quarters(data), [(127, 127, 127)] * 4, most=1)


def test_of_an_animation_the_first_frame_counts() -> None:
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    for kind in ("GIF", "WEBP", "PNG"):
        data = pictures.encoded(red, kind, save_all=True, append_images=[blue], duration=50, lossless=True)
        assert_alike(quarters(data), [(255, 0, 0)] * 4, most=2)


@pytest.mark.parametrize("name", pictures.strangers())
def test_what_is_none_of_the_four_formats_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        prepare(pictures.strangers()[name], FORM, MOST)


@pytest.mark.parametrize("data", [b"", b"\xff", b"RIFF", b"GIF8"])
def test_scraps_are_no_images(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        image_format(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_an_image_that_ends_early_is_refused(kind: str, share: float) -> None:
    data = pictures.encoded(pictures.noise(200, 200), kind)
    with pytest.raises(Unprocessable):
        prepare(data[: max(12, int(len(data) * share))], FORM, MOST)


@pytest.mark.parametrize("seed", range(40))
def test_an_image_with_wrong_bytes_is_read_or_refused_but_never_an_error(seed: int) -> None:
    kind = ("JPEG", "PNG", "GIF", "WEBP")[seed % 4]
    random = np.random.default_rng(seed)
    data = bytearray(pictures.encoded(pictures.noise(60, 60), kind))
    for place in random.integers(4, len(data), 20):
        data[place] = int(random.integers(0, 256))
    try:
        assert prepare(bytes(data), FORM, MOST).shape == (64, 64, 3)
    except Problem as problem:
        assert problem.status in (415, 422)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Unprocessable, match="20000 x 20000 pixels"):
        prepare(pictures.png_bomb(), FORM, MOST)
    with pytest.raises(Unprocessable, match="20000 x 20000 pixels"):
        check_image(pictures.png_bomb(), MOST)


@pytest.mark.parametrize("head", ["VP8X", "VP8L", "VP8 "])
def test_a_webp_is_measured_before_room_is_made_for_it(head: str) -> None:
    payload = {
        "VP8X": b"\x02\x00\x00\x00" + (16_382).to_bytes(3, "little") * 2,
        "VP8L": b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14),
        "VP8 ": b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383),
    }[head]
    body = b"WEBP" + head.encode() + struct.pack("<I", len(payload)) + payload
    with pytest.raises(Unprocessable, match="16383 x 16383 pixels"):
        prepare(b"RIFF" + struct.pack("<I", len(body)) + body, FORM, MOST)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00"}])
def test_webp_sizes_are_read_from_all_three_heads(options: dict[str, Any]) -> None:
    data = pictures.webp(300, 200, **options)
    with pytest.raises(Unprocessable, match="300 x 200 pixels"):
        prepare(data, FORM, 300 * 200 - 1)
    assert prepare(data, FORM, 300 * 200).shape == (64, 64, 3)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    with pytest.raises(Unprocessable, match="scans"):
        prepare(pictures.jpeg_of_many_scans(), FORM, MOST)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_metadata_that_unfold_without_end_are_refused(kind: bytes) -> None:
    with pytest.raises(Unprocessable):
        prepare(pictures.text_bomb(kind), FORM, MOST)


def test_a_gif_of_many_frames_costs_one() -> None:
    assert prepare(pictures.gif_of_many_frames(), FORM, MOST).shape == (64, 64, 3)


def test_media_types_are_told_by_content() -> None:
    found = [check_image(data, MOST) for data in (pictures.jpeg(), pictures.png(), pictures.webp(), pictures.gif())]
    assert found == ["image/jpeg", "image/png", "image/webp", "image/gif"]


def test_a_batch_has_the_layout_and_the_numbers_of_its_model() -> None:
    images = [np.full((2, 2, 3), (10, 20, 30), dtype=np.uint8), np.zeros((2, 2, 3), dtype=np.uint8)]
    channels_first = Form(2, 1.0, (0, 10, 20), (10, 10, 5), "NCHW", is_normalised=True).batch(images)
    assert channels_first.shape == (2, 3, 2, 2)
    assert channels_first[0, :, 0, 0].tolist() == [1, 1, 2]
    channels_last = Form(2, 1.0, (0, 10, 20), (10, 10, 5), "NHWC", is_normalised=True).batch(images)
    assert channels_last.shape == (2, 2, 2, 3)
    assert channels_last[1, 0, 0].tolist() == [0, -1, -4]
    raw = Form(2, 1.0, (0, 10, 20), (10, 10, 5), "NCHW", is_normalised=False).batch(images)
    assert raw.dtype == np.uint8
    assert raw[0, :, 0, 0].tolist() == [10, 20, 30]
    assert all(batch.flags.c_contiguous for batch in (channels_first, channels_last, raw))
