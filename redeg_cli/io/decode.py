"""Bytes of a picture file to upright sRGB arrays."""

import io
import re
import stat
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from redeg_cli.errors import InputError
from redeg_cli.io.colour_profile import deep_to_srgb, srgb_profile, to_srgb
from redeg_cli.io.metadata import Metadata, prepare_metadata, read_metadata

MAX_PIXELS = 400_000_000
"""Largest picture read: 4.8 GB as float32. Beyond it a file is an accident or an attack."""

# Formats that are pictures; Pillow's list also holds some that start other programs (EPS).
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "HEIF")
_IMAGE_WIDTH, _IMAGE_LENGTH = 256, 257
_BITS_PER_SAMPLE, _PHOTOMETRIC, _EXTRA_SAMPLES = 258, 262, 338
_SUBFILE_TYPE = 254
_NO_PAGE = 0b101  # TIFF 6.0, NewSubfileType: bit 0 a smaller version of a page, bit 2 its mask
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1
_PREMULTIPLIED = 1
_JPEG2000_SIZE = b"\xff\x4f\xff\x51"  # the markers SOC and SIZ
_PPM_HEADER = re.compile(rb"P[56]\s+(?:#.*\s+)*\d+\s+(?:#.*\s+)*\d+\s+(?:#.*\s+)*(\d+)\s")
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_GRAY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})

# A profile or a text of more than Pillow's 1 MB, decompressed, is no reason to refuse a PNG.
PngImagePlugin.MAX_TEXT_CHUNK = 64 << 20

# Pillow's size limit and Python's warning filters belong to the whole process.
_pillow_settings = threading.Lock()


def read_bytes(path: Path) -> bytes:
    """Return the content of a picture file. Raises InputError when there is nothing to decode."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise InputError(f"{path} is a folder: give an image file")
        if not stat.S_ISREG(kind):  # a pipe that nobody writes to would never end
            raise InputError(f"{path} is a pipe or a device: give an image file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give the path of an image file") from None
    except MemoryError:
        raise InputError(f"{path} does not fit into memory: give an image file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None
    if not data:
        raise InputError(f"{path} is empty: copy or download it again")
    return data


def open_picture(path: Path, data: bytes) -> Image.Image:
    """Read a picture's header only; nothing is decoded yet. Raises InputError."""
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            if data[4:8] == b"ftyp":
                _register_heif()
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        except Exception as error:  # decoders raise whatever the damaged bytes lead to
            raise InputError(f"{path} {_what_is(data)}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    if image.width * image.height > MAX_PIXELS:
        raise InputError(
            f"{path} is {image.width}x{image.height} pixels ({image.width * image.height / 1e6:.0f}"
            f" Mpx): the limit is {MAX_PIXELS // 1_000_000} Mpx, make it smaller or cut it up"
        )
    return image


def upright_size(path: Path, data: bytes) -> tuple[int, int]:
    """Return (height, width) of the upright picture from its header. Raises InputError."""
    image = open_picture(path, data)
    # Pillow decodes a whole PNG to look for EXIF behind the pixels: only where there is some.
    marks = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
    turned = False
    if image.format != "PNG" or any(mark in data for mark in marks):
        turned = _quiet_metadata(image)[1] >= 5
    width, height = image.size
    stored = _tiff_tag(image, _IMAGE_WIDTH) + _tiff_tag(image, _IMAGE_LENGTH)
    if image.format == "TIFF" and len(stored) == 2:
        width, height = stored  # newer Pillows give the size of a TIFF already turned
    return (width, height) if turned else (height, width)


def page_count(path: Path, data: bytes) -> int:
    """Return how many pages (TIFF) or frames (GIF and the like) a readable picture file holds.

    Thumbnails and masks in a TIFF are no pages, and neither is what a phone puts behind a JPEG.
    """
    image = open_picture(path, data)
    if image.format not in ("TIFF", "GIF", "WEBP", "PNG", "AVIF", "HEIF"):
        return 1
    pages = 1
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            frames = int(getattr(image, "n_frames", 1))
            if image.format != "TIFF":
                return frames
            for index in range(1, frames):
                image.seek(index)
                pages += not any(kind & _NO_PAGE for kind in _tiff_tag(image, _SUBFILE_TYPE))
        except Exception:  # damage behind the first page, which is all that is read
            return pages
    return pages


def decode(
    path: Path, data: bytes, enough: int | None = None
) -> tuple[np.ndarray, np.ndarray | None, bool, int, Metadata]:
    """Return (rgb (H, W, 3), alpha (H, W) or None, gray, bit depth, metadata), all upright.

    Arrays are float32 in [0, 1]; alpha is straight. Where ``enough`` pixels of the longer side are,
    JPEGs with at least twice as many come at a half, a quarter or an eighth of their size, which
    is decoded sooner. Raises InputError.
    """
    image = open_picture(path, data)
    if enough is not None and max(image.size) > enough:
        factor = enough / max(image.size)
        image.draft(None, (max(1, int(image.width * factor)), max(1, int(image.height * factor))))
    icc = image.info.get("icc_profile") or None
    try:
        image.load()
        # Pillow turns a TIFF upright by itself, and OpenCV does too: the orientation is 1 then.
        metadata, orientation = _quiet_metadata(image)
        rgb, alpha, gray, depth = _pixels(image, data, icc)
    except MemoryError:
        raise InputError(
            f"{path} ({image.width}x{image.height} pixels) does not fit into memory: "
            "make it smaller"
        ) from None
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    except Exception as error:  # decoders raise whatever the damaged bytes lead to
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{path} is truncated or damaged ({reason}): copy or download it again"
        ) from error
    rgb = _upright(rgb, orientation)
    alpha = None if alpha is None else _upright(alpha, orientation)
    metadata = prepare_metadata(metadata, rgb.shape[0], rgb.shape[1])
    profile = srgb_profile() if icc is not None else None
    return rgb, alpha, gray, depth, replace(metadata, icc=profile)


def _register_heif() -> None:
    """Teach Pillow to read HEIC, what phones take photos in; AVIF it reads itself from 11.3 on."""
    from pi_heif import register_heif_opener

    register_heif_opener(thumbnails=False)


def _quiet_metadata(image: Image.Image) -> tuple[Metadata, int]:
    with _pillow_settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # damaged metadata warns; what can be read is read
        return read_metadata(image)


def _pixels(
    image: Image.Image, data: bytes, icc: bytes | None
) -> tuple[np.ndarray, np.ndarray | None, bool, int]:
    if (white := _deep_white(image, data)) is not None:
        deep = _decode_deep(image, data, white)
        if deep is not None:
            rgb, alpha, gray = deep
            if icc is not None:
                rgb = deep_to_srgb(rgb, gray, icc)
            return rgb, alpha, gray, 16
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        raise InputError(
            f"holds samples of a kind that is not supported (mode {image.mode}): "
            "save it with 8 bits per channel, or as a 16-bit PNG or TIFF"
        )
    gray = image.mode in _GRAY_MODES or _has_gray_palette(image)
    alpha = None
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = _unit(image.getchannel("A"))
        image = image.convert("RGB")  # drops alpha; the colours under it stay
    elif image.mode == "P":
        image = image.convert("RGB")
    if gray:
        image = image.convert("L")
    elif image.mode not in ("RGB", "CMYK"):
        image = image.convert("RGB")
    if icc is not None:
        image = to_srgb(image, icc)
    if image.mode == "CMYK":
        image = image.convert("RGB")
    values = _unit(image)
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    return values, alpha, gray, 8


def _unit(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.float32) / np.float32(255.0)


def _has_gray_palette(image: Image.Image) -> bool:
    """Tell whether a palette picture uses grays only: its file holds one channel."""
    if image.mode not in ("P", "PA"):
        return False
    red, green, blue = (np.asarray(band) for band in image.convert("RGBA").split()[:3])
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))


def _deep_white(image: Image.Image, data: bytes) -> int | None:
    """Return the largest sample of a file of 16 bits per channel, which Pillow cuts to 8 for
    colours; None for other files."""
    deep = False
    if image.format == "PNG":
        deep = data[24] == 16  # IHDR: bit depth
    elif image.format == "TIFF":
        bits = _tiff_tag(image, _BITS_PER_SAMPLE)
        deep = bool(bits) and all(value == 16 for value in bits) and image.mode != "CMYK"
    elif image.format == "JPEG2000":
        start = data.find(_JPEG2000_SIZE)
        deep = start >= 0 and data[start + 42 : start + 43] == b"\x0f"  # Ssiz: depth - 1
    elif image.format == "PPM" and (header := _PPM_HEADER.match(data)):
        white = int(header[1])
        return white if white > 255 else None
    return 65535 if deep else None


def _decode_deep(
    image: Image.Image, data: bytes, white: int
) -> tuple[np.ndarray, np.ndarray | None, bool] | None:
    """Decode 16-bit samples with OpenCV; None where it cannot (Pillow's 8 bits serve then)."""
    import cv2

    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if values is None or values.dtype != np.uint16 or values.shape[:2] != image.size[::-1]:
        return None
    unit = values.astype(np.float32) / np.float32(white)
    if unit.ndim == 2:
        unit = unit[..., None]
    if image.format == "TIFF" and _WHITE_IS_ZERO in _tiff_tag(image, _PHOTOMETRIC):
        unit[..., :1] = 1.0 - unit[..., :1]
    gray = _is_deep_gray(image, data, unit.shape[2])
    alpha = unit[..., -1].copy() if unit.shape[2] in (2, 4) else None
    colours = unit[..., :1] if unit.shape[2] < 3 else unit[..., 2::-1]  # OpenCV has blue first
    if alpha is not None and _PREMULTIPLIED in _tiff_tag(image, _EXTRA_SAMPLES):
        colours = np.clip(colours / np.maximum(alpha, 1 / 65535)[..., None], 0.0, 1.0)
    if colours.shape[2] == 1:
        colours = np.repeat(colours, 3, axis=2)
    return np.ascontiguousarray(colours), alpha, gray


def _is_deep_gray(image: Image.Image, data: bytes, channels: int) -> bool:
    if image.format == "PNG":
        return data[25] in (0, 4)  # IHDR: colour type gray, or gray with alpha
    if image.format != "TIFF":
        return channels < 3
    return bool(set(_tiff_tag(image, _PHOTOMETRIC)) & {_WHITE_IS_ZERO, _BLACK_IS_ZERO})


def _tiff_tag(image: Image.Image, tag: int) -> tuple[int, ...]:
    tags = getattr(image, "tag_v2", None)
    value = tags.get(tag) if tags is not None else None
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | list) else (value,)


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an EXIF orientation (EXIF 2.32, tag 0x0112) on (H, W) or (H, W, 3)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return np.ascontiguousarray(values)


def _what_is(data: bytes) -> str:
    """Say what a file is that is no picture, and what to do."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = start.lower()
    if start.startswith(b"version https://git-lfs"):
        return "is a git-LFS pointer, not the image: run 'git lfs pull' or download the file"
    if lower.startswith((b"<!doctype", b"<html")):
        return "is a web page, not an image: the download went wrong, get the image itself"
    if data[4:8] == b"ftyp":
        return "is a video, or a damaged or rare HEIC or AVIF file: save it as JPEG or PNG"
    if start.startswith((b"%PDF", b"%!PS")):
        return "is a PDF or PostScript document, not an image: export the page as PNG"
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"II*\x00", b"MM\x00*", b"GIF8")):
        return "is truncated, damaged or of a rare kind: copy it again, or save it as PNG"
    if b"\x00" not in data[:512]:
        return "is not an image but text: give a PNG, JPEG, WebP, TIFF, BMP or GIF file"
    return "is not an image that can be read: give a PNG, JPEG, WebP, TIFF, BMP or GIF file"
