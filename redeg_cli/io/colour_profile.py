"""Embedded colour profiles (ICC): pixels are brought to sRGB when read."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from redeg_cli.io.matrix_profile import matrix_to_srgb

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return the bytes of an sRGB profile, for embedding."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """Convert an 8-bit picture (mode L, RGB or CMYK) from its profile to sRGB (L or RGB).

    The picture itself comes back when the profile is sRGB, damaged, or of another kind of picture
    (a wrong profile must not keep anybody from reading the picture).
    """
    gray = image.mode == "L"
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        wanted = _SPACES.get(getattr(profile.profile, "xcolor_space", ""))
        # Gray files often carry the profile of an RGB space.
        source = image.convert("RGB") if gray and wanted == "RGB" else image
        if wanted is None or source.mode != wanted:
            return image
        transform = _transform(profile, wanted)
        if wanted != "CMYK" and _changes_nothing(transform, wanted):
            return image
        converted = ImageCms.applyTransform(source, transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
    if converted is None:
        return image
    # Neutral stays neutral in these conversions up to rounding: green carries the lightness.
    return converted.getchannel("G") if gray else converted


def deep_to_srgb(rgb: np.ndarray, gray: bool, icc: bytes) -> np.ndarray:
    """Convert 16-bit colours, float32 (H, W, 3) in [0, 1], from their profile to sRGB.

    Pillow converts 8 bits only. Profiles of curves and a matrix are applied in floating point;
    with others (tables, as some scanners make them) the 8-bit colour is converted, and what 16
    bits add to it is added again: as right as 8 bits are, and without banding.
    """
    coarse = np.rint(rgb * 255.0)
    levels = coarse.astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(levels[..., 0] if gray else levels))
    converted = to_srgb(picture, icc)
    if converted is picture:
        return rgb
    exact = None if gray else matrix_to_srgb(rgb, icc)
    if exact is not None:
        return exact
    base = np.asarray(converted.convert("RGB"), dtype=np.float32)
    return np.clip((base + (rgb * 255.0 - coarse)) / 255.0, 0.0, 1.0).astype(np.float32)


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Tell whether a profile is sRGB under any name: converting would add rounding only."""
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    if mode == "L":
        probe = steps[None]
        expected = np.repeat(probe[..., None], 3, axis=2)
    else:
        grid = np.meshgrid(steps, steps, steps, indexing="ij")
        probe = expected = np.stack(grid, axis=-1).reshape(1, -1, 3)
    converted = ImageCms.applyTransform(Image.fromarray(np.ascontiguousarray(probe)), transform)
    return bool(np.abs(np.asarray(converted, dtype=int) - expected).max() <= 1)
