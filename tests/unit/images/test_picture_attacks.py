"""Files that are no pictures, broken ones, and those that would take all memory or time: refused without harm."""

import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image
from tests.factories import pictures
from tests.factories.pictures import HTML
from tests.fixtures.preparing import Prepare, prepared_by

from shelflist.images.pictures.codec import encoded
from shelflist.images.pictures.limits import TooLarge
from shelflist.images.pictures.preparing import PictureLimits, Preparer
from shelflist.images.problems import BrokenImage, ImageTooLarge, InsufficientStorage, UnsupportedImage
from shelflist.shared.problems import ServiceUnavailable

WHOLE = {
    "JPEG": pictures.jpeg(),
    "progressive JPEG": pictures.encoded(pictures.noise(40, 30), "JPEG", progressive=True),
    "PNG": pictures.png(),
    "WebP": pictures.webp(),
    "lossless WebP": pictures.webp(lossless=True),
    "GIF": pictures.gif(3),
    "animated WebP": pictures.animated_webp(),
}


@pytest.mark.parametrize("name", pictures.strangers())
def test_anything_but_the_four_formats_is_refused_whatever_its_name_says(prepare: Prepare, name: str) -> None:
    with pytest.raises(UnsupportedImage):
        prepare(pictures.strangers()[name])


def test_an_empty_file_is_broken(prepare: Prepare) -> None:
    with pytest.raises(BrokenImage, match="empty"):
        prepare(b"")


@pytest.mark.parametrize("name", pictures.polyglots())
def test_what_else_a_picture_may_be_it_is_no_more(prepare: Prepare, name: str) -> None:
    data = pictures.polyglots()[name]
    assert HTML in data
    result = prepare(data)
    for size in result.variants:
        written = result.data(size)
        assert not any(part in written for part in (HTML, b"<script", b"PK\x03\x04"))


@pytest.mark.parametrize("name", WHOLE)
def test_a_picture_that_is_cut_off_anywhere_is_refused(prepare: Prepare, name: str) -> None:
    data = WHOLE[name]
    cuts = {*range(1, 40), *range(40, len(data), max(1, len(data) // 60)), len(data) - 2, len(data) - 1}
    for cut in sorted(cuts):
        with pytest.raises((BrokenImage, UnsupportedImage)):
            prepare(data[:cut])


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_pictures_are_refused_or_read_and_never_break_the_process(
    prepare: Prepare, preparer: Preparer, name: str
) -> None:
    chooser = random.Random(name)
    # A child of its own: one that has prepared very many ends by itself.
    preparer.close()
    prepare(WHOLE[name])
    assert preparer._child is not None
    child = preparer._child.pid
    outcomes = set()
    for _ in range(60):
        data = bytearray(WHOLE[name])
        for _ in range(chooser.randint(1, 6)):
            data[chooser.randrange(len(data))] = chooser.randrange(256)
        try:
            outcomes.add(prepare(bytes(data), max_pixels=1_000_000).prepared.format)
        except (BrokenImage, ImageTooLarge, UnsupportedImage) as problem:
            outcomes.add(problem.slug)
    assert "broken-image" in outcomes
    assert preparer._child.pid == child


def test_a_wrong_checksum_is_a_broken_picture(prepare: Prepare) -> None:
    data = bytearray(pictures.png())
    data[-14] ^= 1
    with pytest.raises(BrokenImage, match="checksum"):
        prepare(bytes(data))


def test_a_bomb_is_refused_before_it_is_unfolded(prepare: Prepare) -> None:
    bomb = pictures.png_bomb()
    assert len(bomb) < 100_000
    with pytest.raises(ImageTooLarge, match="20000 x 20000 pixels"):
        prepare(bomb)


@pytest.mark.parametrize(
    "make", [pictures.jpeg, pictures.png, pictures.webp, pictures.gif, partial(pictures.animated_webp, 2)]
)
def test_the_limit_of_pixels_is_exact_in_every_format(prepare: Prepare, make: Callable[..., bytes]) -> None:
    data = make(width=100, height=50)
    assert prepare(data, max_pixels=5000).prepared.width == 100
    with pytest.raises(ImageTooLarge, match="100 x 50 pixels; all together may be 4999"):
        prepare(data, max_pixels=4999)


def test_a_frame_that_lies_beyond_the_canvas_counts(prepare: Prepare) -> None:
    data = bytearray(pictures.gif())
    data[6:10] = b"\x01\x00\x01\x00"
    with pytest.raises(ImageTooLarge, match="64 x 48"):
        prepare(bytes(data), max_pixels=3000)


def test_a_webp_whose_frame_is_larger_than_it_says_is_broken(prepare: Prepare) -> None:
    data = bytearray(pictures.animated_webp(2))
    frame = data.index(b"ANMF") + 8
    data[frame + 6 : frame + 12] = b"\x00" * 6
    with pytest.raises(BrokenImage, match="contradicts itself"):
        prepare(bytes(data))


@pytest.mark.parametrize("make", [pictures.gif, pictures.animated_webp])
def test_the_limit_of_frames_is_exact(prepare: Prepare, make: Callable[..., bytes]) -> None:
    assert prepare(make(5), max_frames=5).prepared.frames == 5
    with pytest.raises(ImageTooLarge, match="5 frames; 4 is the most"):
        prepare(make(5), max_frames=4)


def test_a_gif_of_very_many_frames_is_refused(prepare: Prepare) -> None:
    with pytest.raises(ImageTooLarge, match="20000 frames"):
        prepare(pictures.gif_of_many_frames())


def test_all_frames_together_have_a_limit(prepare: Prepare) -> None:
    # 40 frames of one pixel each, but on a canvas of a megapixel.
    data = pictures.gif_of_many_frames(40, 1000, 1000)
    assert prepare(data, max_pixels=20_000_000).prepared.frames == 40
    with pytest.raises(ImageTooLarge, match="40000000 pixels together; 39999998 is the most"):
        prepare(data, max_pixels=19_999_999)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_or_profile_that_unfolds_to_very_much_is_refused(prepare: Prepare, kind: bytes) -> None:
    bomb = pictures.text_bomb(kind)
    assert len(bomb) < 100_000
    with pytest.raises(ImageTooLarge, match="unfolds to more than"):
        prepare(bomb)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_metadata_of_absurd_size_is_refused_and_of_a_large_one_removed(prepare: Prepare, kind: str) -> None:
    with pytest.raises(ImageTooLarge, match="bytes of metadata"):
        prepare(pictures.huge_metadata(kind))
    result = prepare(pictures.huge_metadata(kind, 3_000_000))
    assert sum(variant.bytes for variant in result.prepared.variants) < 10_000


def test_a_jpeg_that_paints_itself_again_and_again_is_refused(prepare: Prepare) -> None:
    with pytest.raises(ImageTooLarge, match="scans"):
        prepare(pictures.jpeg_of_many_scans())


def test_a_jpeg_longer_than_can_be_written_is_refused(prepare: Prepare) -> None:
    data = bytearray(pictures.encoded(Image.new("L", (65_500, 1)), "JPEG"))
    place = data.index(b"\xff\xc0") + 7
    data[place : place + 2] = (65_501).to_bytes(2, "big")
    with pytest.raises(ImageTooLarge, match="a side of the image has 65501 pixels"):
        prepare(bytes(data))


def test_what_a_format_cannot_hold_is_too_large() -> None:
    with pytest.raises(TooLarge):
        encoded(Image.new("L", (20_000, 1)), "WEBP")


def limited(settings: str) -> Preparer:
    """Return a preparer whose child runs a line of Python before it starts."""
    code = f"from shelflist.images.pictures import decoding\n{settings}\ndecoding.main()"
    return Preparer((sys.executable, "-c", code))


def test_a_picture_that_takes_more_memory_than_the_child_may_is_refused_and_the_child_lives_on(tmp_path: Path) -> None:
    preparer = limited("decoding.BYTES_A_PIXEL = 0")
    try:
        with pytest.raises(ImageTooLarge, match="memory"):
            prepared_by(preparer, tmp_path, pictures.png_bomb(12_000), max_pixels=200_000_000)
        assert preparer._child is not None
        child = preparer._child.pid
        assert prepared_by(preparer, tmp_path, pictures.jpeg()).prepared.format == "jpeg"
        assert preparer._child.pid == child
    finally:
        preparer.close()


def test_a_child_that_crashes_is_a_503_and_the_next_picture_gets_another(tmp_path: Path) -> None:
    crash = "import os\nwas = decoding.inspected\n"
    crash += "decoding.inspected = lambda data, limits: os.abort() if b'crash' in data else was(data, limits)"
    preparer = limited(crash)
    try:
        with pytest.raises(ServiceUnavailable, match="could not be prepared"):
            prepared_by(preparer, tmp_path, pictures.jpeg(Artist="crash"))
        assert prepared_by(preparer, tmp_path, pictures.jpeg()).prepared.format == "jpeg"
    finally:
        preparer.close()


def test_a_child_that_computes_without_end_is_ended_by_its_own_limit(tmp_path: Path) -> None:
    preparer = limited("decoding.CPU_SECONDS = 1\ndecoding.inspected = lambda *_: [None for _ in iter(int, 1)]")
    try:
        with pytest.raises(ServiceUnavailable, match="could not be prepared"):
            prepared_by(preparer, tmp_path, pictures.jpeg())
    finally:
        preparer.close()


def test_a_child_that_never_answers_is_given_up(tmp_path: Path) -> None:
    preparer = limited("import time\ndecoding.inspected = lambda *_: time.sleep(60)")
    file = tmp_path / "received"
    file.write_bytes(pictures.jpeg())
    with pytest.raises(ServiceUnavailable, match="too long"):
        preparer.prepare(file, tmp_path, PictureLimits(5000), seconds=1)
    assert preparer._child is None


def test_no_space_for_the_results_is_told_as_such(preparer: Preparer, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    for data in WHOLE.values():
        file = tmp_path / "received"
        file.write_bytes(data)
        for size in ("original", "medium"):
            directory = tmp_path / size
            directory.mkdir(exist_ok=True)
            if not (directory / size).is_symlink():
                (directory / size).symlink_to(full)
            with pytest.raises(InsufficientStorage):
                preparer.prepare(file, directory, PictureLimits(5000))


def test_a_file_that_is_not_there_is_a_503(preparer: Preparer, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable):
        preparer.prepare(tmp_path / "nothing", tmp_path, PictureLimits(5000))


def test_a_stored_original_that_is_broken_cannot_be_rebuilt(preparer: Preparer, tmp_path: Path) -> None:
    original = tmp_path / "stored"
    original.write_bytes(pictures.jpeg()[:-100])
    with pytest.raises(BrokenImage):
        preparer.rebuild(original, tmp_path)
