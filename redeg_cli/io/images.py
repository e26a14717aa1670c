"""Picture files to arrays and tensors, and back."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from redeg_cli.errors import InputError, OutputError
from redeg_cli.io.decode import decode, page_count, read_bytes, upright_size
from redeg_cli.io.encode import encode
from redeg_cli.io.files import atomic_path
from redeg_cli.io.metadata import Metadata, prepare_metadata

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".tif", ".tiff"),
    *(".bmp", ".gif", ".ppm", ".pgm", ".pnm", ".jp2", ".heic", ".heif", ".hif", ".avif"),
)
"""Suffixes of the pictures that are read, lower case."""

UNREAD_SUFFIXES = (
    *(".jxl", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".raf", ".orf"),
    *(".rw2", ".pef", ".srw", ".raw"),
)
"""Suffixes of pictures that are not read: JPEG XL, and a camera's raw ones."""

WRITE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
"""Suffixes of the pictures that are written, lower case."""

_log = logging.getLogger(__name__)
_JPEG = (".jpg", ".jpeg")
_DEEP = (".png", ".tif", ".tiff")
_ROWS = 256
"""Rows that are made ready to be written at once."""
_LONGEST_SIDE = {".jpg": 65535, ".jpeg": 65535, ".webp": 16383}


@dataclass(frozen=True)
class Photo:
    """A decoded picture, upright, in sRGB."""

    rgb: np.ndarray
    """float32 (H, W, 3), sRGB, in [0, 1]; R = G = B when ``gray``."""
    alpha: np.ndarray | None = None
    """float32 (H, W) in [0, 1], straight (colours are not multiplied by it); None if opaque."""
    gray: bool = False
    """The file holds one colour channel; it is written with one again."""
    bit_depth: int = 8
    """Bits per channel in the file: 8 or 16."""
    metadata: Metadata = field(default_factory=Metadata)
    pages: int = 1
    """Pages or frames in the file, of which this is the first."""


def read_photo(path: Path | str, *, again: bool = False, data: bytes | None = None) -> Photo:
    """Read a picture file with everything it holds.

    Formats: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000, HEIC, AVIF.
    The EXIF orientation is applied, embedded colour profiles and CMYK are converted to sRGB,
    16 bits are kept. Colours of transparent pixels are kept as they are. Of several pages or
    frames the first is read, and a warning is logged, but not when it is read ``again``. ``data``
    is what the file holds, where that is known. Raises InputError, one line with the path, for
    anything else.
    """
    path = Path(path)
    data = read_bytes(path) if data is None else data
    photo = Photo(*decode(path, data), pages=page_count(path, data))
    if photo.pages > 1 and not again:
        what = "page" if path.suffix.lower() in (".tif", ".tiff") else "frame"
        _log.warning("%s: %s 1 of %d, the others are left out", path, what, photo.pages)
    return photo


def read_rgb(path: Path | str, enough: int | None = None) -> np.ndarray:
    """Read a picture's colours, float32 (H, W, 3) in [0, 1]; see ``read_photo``.

    Says nothing of further pages: training reads the same pictures over and over. Where ``enough``
    pixels of the longer side are, large JPEGs are read smaller, see ``decode``.
    """
    path = Path(path)
    return decode(path, read_bytes(path), enough)[0]


def image_size(path: Path | str) -> tuple[int, int]:
    """Return (height, width) of the upright picture from the file's header. Raises InputError."""
    path = Path(path)
    return upright_size(path, read_bytes(path))


def require_size(photo: Photo, minimum: int, what: str) -> None:
    """Raise InputError when a side of ``photo`` is under ``minimum``; ``what`` names it."""
    require_sides(photo.rgb.shape[:2], minimum, what)


def require_sides(image_hw: tuple[int, ...], minimum: int, what: str) -> None:
    """The same of a picture of (height, width) pixels."""
    height, width = image_hw
    if min(height, width) < minimum:
        raise InputError(
            f"{what} is {width}x{height} pixels: at least {minimum}x{minimum} are needed, "
            "give a larger picture"
        )


def check_suffix(path: Path) -> None:
    """Raise OutputError when the suffix of ``path`` is of no format that is written."""
    if path.suffix.lower() not in WRITE_SUFFIXES:
        wanted = ", ".join(WRITE_SUFFIXES)
        got = f"the suffix {path.suffix}" if path.suffix else "a name without suffix"
        raise OutputError(f"cannot write {path}: {got} names no format, use one of {wanted}")


def names_picture(path: Path) -> bool:
    """Return whether ``path`` is named as a picture file is, of any kind, and is no folder."""
    known = (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)
    return path.suffix.lower() in known and not os.path.isdir(path)


def check_can_write(path: Path | str, photo: Photo) -> None:
    """Raise OutputError when the format of ``path`` cannot hold ``photo``. Call it before work."""
    path = Path(path)
    _check_format(path, *photo.rgb.shape[:2])
    if path.suffix.lower() in _JPEG and _is_transparent(photo.alpha):
        raise OutputError(
            f"cannot write {path}: the picture is transparent in places and JPEG has no "
            "transparency, use .png, .webp or .tif"
        )


def write_photo(path: Path | str, photo: Photo, *, quality: int = 95) -> None:
    """Write ``photo`` in the format of the suffix, whole or not at all.

    Gray stays gray, 16 bits are kept in PNG and TIFF, and the metadata is written with the
    picture's own size. ``quality`` (1 to 100) is for JPEG and WebP. Raises OutputError.
    """
    path = Path(path)
    check_can_write(path, photo)
    parts = [photo.rgb[..., :1] if photo.gray else photo.rgb]
    if photo.alpha is not None and path.suffix.lower() not in _JPEG:
        parts.append(photo.alpha[..., None])
    _write(path, parts, photo.bit_depth, quality, photo.metadata)


def write_rgb(
    path: Path | str,
    rgb: np.ndarray,
    *,
    bit_depth: int = 8,
    quality: int = 95,
    durable: bool = True,
) -> None:
    """Write colours, float (H, W, 3) in [0, 1] (clipped), without metadata; see ``atomic_path`` for
    what is not ``durable``. Raises OutputError."""
    path = Path(path)
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected an array (H, W, 3), got {rgb.shape}")
    _check_format(path, *rgb.shape[:2])
    _write(path, [rgb], bit_depth, quality, Metadata(), durable)


def to_tensor(rgb: np.ndarray) -> Tensor:
    """Return (H, W, 3) floats as a float32 tensor (1, 3, H, W)."""
    import torch

    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected an array (H, W, 3), got {rgb.shape}")
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32)
    return torch.from_numpy(planes.copy() if planes.base is not None else planes)


def to_array(tensor: Tensor) -> np.ndarray:
    """Return a tensor (1, 3, H, W) or (3, H, W) as float32 (H, W, 3), clipped to [0, 1]."""
    if tensor.ndim == 4 and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise ValueError(f"expected a tensor (1, 3, H, W) or (3, H, W), got {tuple(tensor.shape)}")
    values = tensor.detach().float().clamp(0.0, 1.0).permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(values)


def _is_transparent(alpha: np.ndarray | None) -> bool:
    return alpha is not None and bool((alpha < 1.0).any())


def _check_format(path: Path, height: int, width: int) -> None:
    check_suffix(path)
    suffix = path.suffix.lower()
    longest = _LONGEST_SIDE.get(suffix)
    if longest is not None and max(height, width) > longest:
        raise OutputError(
            f"cannot write {path}: {width}x{height} pixels, and {suffix} holds {longest} a side, "
            "use .png or .tif"
        )


def _write(
    path: Path,
    parts: list[np.ndarray],
    bit_depth: int,
    quality: int,
    metadata: Metadata,
    durable: bool = True,
) -> None:
    """Write the channels of ``parts``, (H, W, C) each, one after the other."""
    suffix = path.suffix.lower()
    if not 1 <= quality <= 100:
        raise OutputError(f"quality {quality} is not between 1 and 100")
    if bit_depth not in (8, 16):
        raise OutputError(f"{bit_depth} bits per channel cannot be written: 8 or 16 can")
    deep = bit_depth == 16 and suffix in _DEEP
    try:
        samples = _samples(parts, deep)
    except FloatingPointError:
        raise OutputError(
            f"cannot write {path}: the picture holds NaN or infinite values"
        ) from None
    metadata = prepare_metadata(metadata, samples.shape[0], samples.shape[1])
    try:
        data = encode(samples, suffix, metadata, quality)
    except MemoryError:
        raise OutputError(f"cannot write {path}: not enough memory to encode it") from None
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    with atomic_path(path, durable) as temporary:
        temporary.write_bytes(data)


def _samples(parts: list[np.ndarray], deep: bool) -> np.ndarray:
    """Return the 8 or 16 bits of channels in [0, 1] (clipped), made row by row: a large picture
    would not fit twice. Raises FloatingPointError for what is not finite."""
    height, width = parts[0].shape[:2]
    channels = sum(part.shape[2] for part in parts)
    samples = np.empty((height, width, channels), np.uint16 if deep else np.uint8)
    # float64 for 16 bits: 65535 steps are at the edge of what float32 rounds correctly.
    kind, top = (np.float64, 65535) if deep else (np.float32, 255)
    for y in range(0, height, _ROWS):
        rows = [part[y : y + _ROWS] for part in parts]
        if not all(np.isfinite(each).all() for each in rows):
            raise FloatingPointError("not finite")
        values = np.concatenate([each.astype(kind, copy=False) for each in rows], axis=2)
        samples[y : y + _ROWS] = np.rint(values.clip(0, 1) * top)
    return samples
