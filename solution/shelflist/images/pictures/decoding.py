"""The process that decodes pictures, `python -m shelflist.images.pictures.decoding`: what crashes in it is its own.

Each request is JSON, `{"file", "directory", "limits"}`, where `limits` is null for an original that is stored already:
of that only the smaller sizes are made. The outcome of an answer is PREPARED with JSON, one of the refusals with a text
for the person who sent the picture, or FULL or FAILED; answering.py says how both come and go.
"""

import contextlib
import errno
import hashlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from PIL import Image, PngImagePlugin

from shelflist.shared.answering import serve

from .formats import MEDIA_TYPES, format_of, inspected
from .limits import MAX_UNFOLDED_BYTES, Broken, PictureLimits, Refusal, TooLarge, Unsupported
from .variants import write_variants

try:
    import resource
except ImportError:  # a system without such limits
    resource = None  # type: ignore[assignment]

IDLE_SECONDS = 60
"""Seconds without a request after which the process ends and gives its memory back."""
MOST_PICTURES = 500
"""Pictures after which it ends: what any library has leaked by then goes with it."""

PREPARED = 0
UNSUPPORTED = 1
TOO_LARGE = 2
BROKEN = 3
FULL = 4
FAILED = 5

BYTES = 400_000_000
"""Address space of the process itself, its libraries and the files in hand."""
BYTES_A_PIXEL = 24
"""Address space for each pixel that a picture may have; measured: lossless WebP takes 22, the others 12."""
CPU_SECONDS = 120
"""Seconds of computing for one picture: the last resort where nobody is left who would end the process."""

_OUTCOMES = {Unsupported: UNSUPPORTED, TooLarge: TOO_LARGE, Broken: BROKEN}


def answer(request: bytes) -> tuple[int, bytes]:
    """Prepare one picture."""
    asked = orjson.loads(request)
    file, directory = Path(asked["file"]), Path(asked["directory"])
    try:
        if asked["limits"] is None:
            return PREPARED, orjson.dumps(_rebuilt(file, directory))
        return PREPARED, orjson.dumps(_prepared(file, directory, PictureLimits(**asked["limits"])))
    except Refusal as refusal:
        return _OUTCOMES[type(refusal)], str(refusal).encode()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return FULL, b""
        sys.stderr.write(f"a picture could not be read or written: {error.strerror}\n")
        return FAILED, b""


def _prepared(file: Path, directory: Path, limits: PictureLimits) -> dict[str, Any]:
    _set_limits(limits.max_pixels)
    data = file.read_bytes()
    original = directory / "original"
    kind = format_of(data)
    with _refusing():
        shape, rewrite = inspected(data, limits)
        rewrite(original)
    del data, rewrite
    return {**_described(kind, original, directory), "frames": shape.frames}


def _rebuilt(original: Path, directory: Path) -> dict[str, Any]:
    data = original.read_bytes()
    with _refusing():
        kind = format_of(data)
        shape, _ = inspected(data, PictureLimits(max_pixels=sys.maxsize, max_frames=sys.maxsize))
        _set_limits(shape.width * shape.height)
    del data
    return _described(kind, original, directory)


def _described(kind: str, original: Path, directory: Path) -> dict[str, Any]:
    """Make the smaller sizes, and return what is known of all three."""
    with _refusing():
        written = write_variants(original, directory)
        with Image.open(original) as image:
            width, height = image.size
    variants = [_variant("original", original, MEDIA_TYPES[kind], width, height)]
    variants += [_variant(size, path, MEDIA_TYPES["webp"], *sides) for size, (path, *sides) in written.items()]
    return {"format": kind, "width": width, "height": height, "variants": variants}


def _variant(size: str, path: Path, media_type: str, width: int, height: int) -> dict[str, Any]:
    data = path.read_bytes()
    return {
        "size": size,
        "path": str(path),
        "sha256": hashlib.sha256(data).hexdigest(),
        "media_type": media_type,
        "width": width,
        "height": height,
        "bytes": len(data),
    }


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Tell refusals by whatever the libraries raise over a picture; only errors of the system pass as they are."""
    try:
        yield
    except Refusal:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooLarge("the image takes too much memory to unfold") from None
    except Exception as error:
        # Pillow's own have no number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise Broken("the image is damaged: its pixels cannot all be read") from None


def _set_limits(pixels: int) -> None:
    """Bound the memory and time of this process for a picture of at most so many pixels."""
    Image.MAX_IMAGE_PIXELS = pixels
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    for kind, most in ((resource.RLIMIT_AS, BYTES + BYTES_A_PIXEL * pixels), (resource.RLIMIT_CPU, seconds)):
        _, hard = resource.getrlimit(kind)
        # A system may know a limit and not set it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """Prepare pictures until nobody asks, or the one who asked has gone."""
    # What Pillow has to say of strange files is nobody's concern; that one is too large is.
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    PngImagePlugin.MAX_TEXT_CHUNK = MAX_UNFOLDED_BYTES
    if resource is not None:
        # A core file of a crash would hold the picture.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(answer, idle_seconds=IDLE_SECONDS, most=MOST_PICTURES)


if __name__ == "__main__":
    main()
