"""Photographs as a model wants them: recognised by their bytes, bounded before decoding, upright, cropped, small."""

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from .problems import Problem, Unprocessable, UnsupportedMediaType

log = structlog.get_logger(__name__)

Pixels = NDArray[np.uint8]

_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REDUCING_GAP = 2.0
# Each paints the whole picture once more, in a few bytes; programs write about ten.
_MOST_SCANS = 100
_LARGE_BYTES = 64_000_000
# However many threads decode, only one of them holds a picture of more than that.
_LARGE = threading.Lock()

# Our own limit is checked first, and is the operator's.
Image.MAX_IMAGE_PIXELS = None
# Of bad metadata and the like, which are no affair of the operator's.
warnings.filterwarnings("ignore", module=r"PIL\.")


@dataclass(frozen=True)
class Form:
    """How a model wants its images: squares of `size` pixels, the middle `crop` of a photograph's shorter side."""

    size: int
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layout: Literal["NCHW", "NHWC"]
    is_normalised: bool

    def batch(self, images: list[Pixels]) -> NDArray[np.float32] | Pixels:
        """Return images, each (size, size, 3) of 0 to 255, as the model's input."""
        stacked = np.stack(images)
        if self.layout == "NCHW":
            stacked = stacked.transpose(0, 3, 1, 2)
        if not self.is_normalised:
            return np.ascontiguousarray(stacked)
        along = (1, 3, 1, 1) if self.layout == "NCHW" else (1, 1, 1, 3)
        values = stacked.astype(np.float32, order="C")
        values -= np.array(self.mean, dtype=np.float32).reshape(along)
        values /= np.array(self.std, dtype=np.float32).reshape(along)
        return values


def image_format(data: bytes) -> str:
    """Return Pillow's name of the format, by the first bytes alone; raises UnsupportedMediaType for any other."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise UnsupportedMediaType("the file is no JPEG, PNG, WebP or GIF image")


def check_image(data: bytes, max_pixels: int) -> str:
    """Return the media type of an image without decoding it; raises as `prepare` does for what its head tells."""
    with _opened(data, max_pixels):
        return f"image/{image_format(data).lower()}"


def prepare(data: bytes, form: Form, max_pixels: int) -> Pixels:
    """Return the image as (size, size, 3), 0 to 255, as `form` wants it; of an animation its first frame.

    Raises UnsupportedMediaType, and Unprocessable where it is broken or has more than `max_pixels`.
    """
    with _opened(data, max_pixels) as image:
        return _prepared(image, form)


def whole(data: bytes, longest_side: int, max_pixels: int) -> Image.Image:
    """Return the whole image, upright, in RGB, made small enough, without its metadata; raises as `prepare` does."""
    with _opened(data, max_pixels) as image:
        image.draft("RGB", (longest_side, longest_side))
        with _LARGE if _decoded_bytes(image) > _LARGE_BYTES else nullcontext():
            plain = _plain(image)
            scale = min(1.0, longest_side / max(plain.size))
            size = (max(1, round(plain.width * scale)), max(1, round(plain.height * scale)))
            small = _white_behind(plain.resize(size, Image.Resampling.BICUBIC, reducing_gap=_REDUCING_GAP))
        # From its pixels alone, since comments outlive resizing.
        return Image.fromarray(_upright(small, image))


@contextmanager
def _opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    name = image_format(data)
    if name == "JPEG" and data.count(b"\xff\xda") > _MOST_SCANS:
        raise Unprocessable(f"the image is painted in more than {_MOST_SCANS} scans")
    try:
        if name == "WEBP":
            # Pillow makes room for the whole picture as it opens one.
            _check_pixels(*_webp_size(data), max_pixels)
        with Image.open(BytesIO(data), formats=[name]) as image:
            _check_pixels(*image.size, max_pixels)
            yield image
    except Problem:
        raise
    except Exception as error:
        # Decoders meet broken files with errors of every kind.
        log.debug("undecodable image", error=repr(error)[:200])
        raise Unprocessable("the image is broken or cut off and cannot be decoded") from error


def _check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Unprocessable(f"the image has {width} x {height} pixels; at most {max_pixels} are decoded")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the canvas that the head names (RFC 9649, sections 2.5 to 2.7)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _prepared(image: Image.Image, form: Form) -> Pixels:
    least = round(form.size / form.crop)
    # Decoded at an eighth, a quarter or a half, where that still has enough pixels; nothing happens to other formats.
    image.draft("RGB", (least, least))
    with _LARGE if _decoded_bytes(image) > _LARGE_BYTES else nullcontext():
        small = _white_behind(_resized(_plain(image), form))
    # A square's middle stays its middle, so the few pixels that are left are turned instead of all.
    return _upright(small, image)


def _upright(small: Image.Image, image: Image.Image) -> Pixels:
    transposition = _TRANSPOSITIONS.get(_orientation(image))
    return np.asarray(small if transposition is None else small.transpose(transposition), dtype=np.uint8)


def _decoded_bytes(image: Image.Image) -> int:
    pixels = image.width * image.height
    if isinstance(image, JpegImagePlugin.JpegImageFile) and "progressive" in image.info:
        # All coefficients are kept, of the whole picture, at two bytes.
        scale = getattr(image, "decoderconfig", ()) or (1, 0)
        return pixels * (scale[0] or 1) ** 2 * 6
    return pixels * (8 if image.mode in ("P", "PA", "LA", "RGBA") else 4)


def _plain(image: Image.Image) -> Image.Image:
    """Return the image in a mode that can be made smaller without mixing what must not be."""
    if image.mode.startswith("I") or image.mode == "F":
        # Sixteen bits of grey.
        values = np.asarray(image, dtype=np.float32) / 257
        return Image.fromarray(values.clip(0, 255).astype(np.uint8))
    if "transparency" in image.info or image.mode == "PA":
        return image.convert("RGBA")
    if image.mode in ("P", "1"):
        return image.convert("RGB")
    return image


def _resized(image: Image.Image, form: Form) -> Image.Image:
    side = form.crop * min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    size = (form.size, form.size)
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=_REDUCING_GAP)


def _white_behind(image: Image.Image) -> Image.Image:
    if "A" not in image.mode:
        return image.convert("RGB")
    coloured = image.convert("RGBA")
    white = Image.new("RGBA", coloured.size, "white")
    return Image.alpha_composite(white, coloured).convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        # Whoever wrote the metadata badly may still have a good picture.
        return 1
