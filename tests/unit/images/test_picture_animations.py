"""Animations keep all their frames: pixels, places, durations, disposal and loop."""

import io
from typing import Any

import pytest
from PIL import Image, ImageSequence
from tests.factories import pictures
from tests.fixtures.preparing import Prepare


def frames(data: bytes) -> list[tuple[Any, bytes]]:
    """Return duration and pixels of every frame, as a viewer shows it."""
    picture = Image.open(io.BytesIO(data))
    found = []
    for frame in ImageSequence.Iterator(picture):
        # A WebP tells the duration once the frame is decoded.
        frame.load()
        found.append((frame.info.get("duration"), frame.convert("RGBA").tobytes()))
    return found


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("loop", [0, 3])
def test_a_gif_keeps_every_frame_to_the_pixel(prepare: Prepare, count: int, loop: int) -> None:
    data = pictures.gif(count, loop=loop)
    result = prepare(data)
    assert result.prepared.frames == len(frames(data)) == count
    assert frames(result.data()) == frames(data)
    assert result.picture().info.get("loop") == Image.open(io.BytesIO(data)).info.get("loop")


def test_a_gif_without_a_loop_stays_without(prepare: Prepare) -> None:
    first, second = pictures.image(), pictures.noise(64, 48)
    data = pictures.encoded(first, "GIF", save_all=True, append_images=[second], duration=50)
    assert "loop" not in Image.open(io.BytesIO(data)).info
    assert "loop" not in prepare(data).picture().info


def test_a_real_gif_keeps_every_frame(prepare: Prepare) -> None:
    data = pictures.photograph("no_time_for_that_tiny.gif")
    result = prepare(data)
    assert result.prepared.frames == 24
    assert frames(result.data()) == frames(data)


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_a_gif_keeps_what_each_frame_leaves_behind(prepare: Prepare, disposal: int) -> None:
    steps = []
    for number in range(4):
        step = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
        step.paste((200, 40 * number, 30, 255), (5 * number, 5, 5 * number + 10, 15))
        steps.append(step)
    data = pictures.encoded(
        steps[0], "GIF", save_all=True, append_images=steps[1:], duration=70, disposal=disposal, loop=0
    )
    assert frames(prepare(data).data()) == frames(data)


def test_an_interlaced_gif_shows_the_same(prepare: Prepare) -> None:
    data = pictures.encoded(pictures.noise(50, 40).quantize(64), "GIF", interlace=1)
    assert frames(prepare(data).data()) == frames(data)


def test_a_lossless_animated_webp_keeps_every_frame_to_the_pixel(prepare: Prepare) -> None:
    data = pictures.animated_webp(5, loop=2, lossless=True, exact=True)
    result = prepare(data)
    assert result.prepared.frames == 5
    assert frames(result.data()) == frames(data)
    assert result.picture().info["loop"] == 2


def test_a_lossy_animated_webp_keeps_number_and_durations_of_its_frames(prepare: Prepare) -> None:
    data = pictures.animated_webp(4)
    result = prepare(data)
    before, after = frames(data), frames(result.data())
    assert [duration for duration, _ in after] == [duration for duration, _ in before] == [10, 20, 30, 40]
    for (_, one), (_, other) in zip(before, after, strict=True):
        assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one) < 4


def test_a_transparent_animated_webp_stays_transparent(prepare: Prepare) -> None:
    first = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    second = first.copy()
    second.paste((200, 40, 30, 255), (10, 10, 20, 20))
    for options in ({}, {"lossless": True}):
        data = pictures.encoded(first, "WEBP", save_all=True, append_images=[second], duration=50, **options)
        after = frames(prepare(data).data())
        assert [pixels[3] for _, pixels in after] == [0, 0]
        place = 4 * (15 * 40 + 15)
        assert [pixels[place + 3] for _, pixels in after] == [0, 255]


def test_the_smaller_sizes_show_the_first_frame(prepare: Prepare) -> None:
    for data in (pictures.gif(6), pictures.animated_webp(6)):
        result = prepare(data)
        assert getattr(result.picture("medium"), "n_frames", 1) == 1
        # Where the moving square is in the first frame.
        red, _, blue = result.picture("medium").convert("RGB").getpixel((4, 8))
        assert (red < 60, blue > 200) == (True, True)
