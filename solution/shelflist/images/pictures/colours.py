"""Pixels as every viewer shows them: turned upright, and converted to sRGB."""

import io
from typing import cast

from PIL import ExifTags, Image, ImageCms

_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Value of EXIF's Orientation -> what turns the picture upright (CIPA DC-008, 4.6.5)."""


def upright(image: Image.Image) -> Image.Image:
    """Return the picture as it is to be looked at, after its EXIF; one that cannot be read says nothing."""
    try:
        turn = _TURNED.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:
        return image
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    return turned


def in_srgb(image: Image.Image) -> Image.Image:
    """Return the picture in sRGB, after its profile; a broken profile, or one of another kind of picture, is ignored.

    A picture that says to be in sRGB stays as it is, pixel for pixel.
    """
    profile = _profile(image)
    if profile is None:
        return image
    if image.mode in ("P", "1") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    kind = {"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode)
    try:
        converted = _converted(image.convert(kind) if kind != image.mode else image, profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    if kind == "L":
        converted = converted.convert("L")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    content = image.info.get("icc_profile")
    if not content:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        name = ImageCms.getProfileDescription(profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if name.startswith("sRGB") else profile


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if image.mode == "RGB":
        # In place: a second picture of 50 megapixels takes 200 MB.
        ImageCms.applyTransform(image, transform, inPlace=True)
        return image
    return cast(Image.Image, ImageCms.applyTransform(image, transform))
