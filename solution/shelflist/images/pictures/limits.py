"""What a picture may be, and how one is refused: known to both sides of the process that decodes."""

from dataclasses import dataclass

MAX_FRAMES = 1_000
"""Frames of an animation."""
MAX_METADATA_BYTES = 8_000_000
"""Bytes that are neither pixels nor needed to paint them, all together; cameras and programs write up to some 3 MB."""
MAX_UNFOLDED_BYTES = 4_000_000
"""Bytes that one compressed text or colour profile of a PNG may unfold to."""
MAX_SCANS = 32
"""Scans of a JPEG, each of which paints all of its pixels once more; programs write ten, eighteen for CMYK."""


ANIMATION_SHARE = 2
"""Times as many pixels as one picture may have, for all frames of an animation together."""


@dataclass(frozen=True)
class PictureLimits:
    """The limits that an installation sets: the pixels of one picture, and the frames of an animation."""

    max_pixels: int
    max_frames: int = MAX_FRAMES


@dataclass(frozen=True)
class Shape:
    """What a file says of its picture before anything of it is decoded."""

    width: int
    height: int
    frames: int = 1


class Refusal(Exception):
    """The picture is not taken; the text says why to the person who sent it."""


class Unsupported(Refusal):
    """It is none of the four formats."""


class TooLarge(Refusal):
    """It is more than the limits allow."""


class Broken(Refusal):
    """Its pixels cannot all be read."""


def check(shape: Shape, limits: PictureLimits) -> None:
    """Raise TooLarge where decoding would take more than is allowed, and Broken where there is nothing to decode."""
    pixels = shape.width * shape.height
    if pixels == 0 or shape.frames == 0:
        raise Broken("the image has no pixels")
    if pixels > limits.max_pixels:
        raise TooLarge(
            f"the image has {shape.width} x {shape.height} pixels; all together may be {limits.max_pixels} at most"
        )
    if shape.frames > limits.max_frames:
        raise TooLarge(f"the image has {shape.frames} frames; {limits.max_frames} is the most")
    most = limits.max_pixels * ANIMATION_SHARE
    if pixels * shape.frames > most:
        raise TooLarge(f"the frames of the image have {pixels * shape.frames} pixels together; {most} is the most")


def check_metadata(size: int) -> None:
    """Raise TooLarge where a file carries more that is no pixels than any camera or program writes."""
    if size > MAX_METADATA_BYTES:
        raise TooLarge(f"the image carries {size} bytes of metadata; {MAX_METADATA_BYTES} is the most")
