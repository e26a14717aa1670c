"""Arrays of samples to the bytes of a picture file."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from redeg_cli.io.metadata import Metadata, exif_entries, exif_within

_JPEG_SEGMENT = 65533
_JPEG_XMP = _JPEG_SEGMENT - len(b"http://ns.adobe.com/xap/1.0/\x00")
_EXIF_HEADER = b"Exif\x00\x00"
_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_TIFF_LIMIT = 2**32 - 2**20
_MOST_BYTES = 6
"""Of a JPEG per pixel: noise at quality 100."""


def encode(values: np.ndarray, suffix: str, metadata: Metadata, quality: int) -> bytes:
    """Return the file for ``values``, uint8 or uint16 (H, W, C), C = 1 gray, 2 gray with alpha,
    3 RGB, 4 RGB with alpha.

    ``suffix`` is lower case with its dot; 16 bits are kept in PNG and TIFF and must not be given
    to other formats. ``quality`` (1 to 100) is for JPEG and WebP; at 90 and above JPEG keeps
    colours at full resolution. Raises ValueError when the format cannot hold the picture.
    """
    if values.shape[2] < 3:
        metadata = _without_profile(metadata)
    if suffix in (".tif", ".tiff"):
        return encode_tiff(values, metadata)
    if suffix == ".png" and values.dtype == np.uint16:
        return encode_deep_png(values, metadata)
    picture = Image.fromarray(
        np.ascontiguousarray(values if values.shape[2] > 1 else values[..., 0])
    )
    options: dict[str, Any] = {"icc_profile": metadata.icc} if metadata.icc else {}
    if suffix == ".png":
        options["format"] = "PNG"
        options["pnginfo"] = _png_text(metadata)
        limit = None
    elif suffix == ".webp":
        options.update(format="WEBP", quality=quality, method=4, exact=True)
        if metadata.xmp is not None:
            options["xmp"] = metadata.xmp
        limit = None
        if picture.mode in ("L", "LA"):
            picture = picture.convert("RGB" if picture.mode == "L" else "RGBA")
    else:
        options.update(format="JPEG", quality=quality, optimize=True)
        options["subsampling"] = 0 if quality >= 90 else 2
        if metadata.xmp is not None and len(metadata.xmp) <= _JPEG_XMP:
            options["xmp"] = metadata.xmp
        comment = dict(metadata.text).get("Comment", "").encode("utf-8")
        if comment and len(comment) <= _JPEG_SEGMENT:
            options["comment"] = comment
        limit = _JPEG_SEGMENT
    exif = metadata.exif if limit is None else exif_within(metadata, limit)
    if exif is not None:
        options["exif"] = exif
    if options["format"] == "JPEG":
        # Pillow writes an optimised JPEG in one go, which strong noise makes too long for it else.
        pixels = picture.width * picture.height
        ImageFile.MAXBLOCK = max(ImageFile.MAXBLOCK, _MOST_BYTES * pixels)
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return buffer.getvalue()


def encode_deep_png(values: np.ndarray, metadata: Metadata) -> bytes:
    """Return a 16-bit PNG of ``values``, uint16 (H, W, 1 to 4). Pillow writes only gray ones.

    Rows are filtered with "Up" (PNG specification 9.2), samples are big-endian.
    """
    height, width, channels = values.shape
    rows = np.ascontiguousarray(values.astype(">u2")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOUR_TYPES[channels], 0, 0, 0)
    chunks = [_png_chunk(b"IHDR", header)]
    if metadata.icc:
        chunks.append(_png_chunk(b"iCCP", b"ICC Profile\x00\x00" + zlib.compress(metadata.icc)))
    if metadata.exif:
        chunks.append(_png_chunk(b"eXIf", metadata.exif.removeprefix(_EXIF_HEADER)))
    chunks.extend(_png_chunk(kind, data) for kind, data, *_ in _png_text(metadata).chunks)
    packed = zlib.compress(filtered.tobytes(), 6)
    block = 1 << 20
    chunks.extend(
        _png_chunk(b"IDAT", packed[at : at + block]) for at in range(0, len(packed), block)
    )
    chunks.append(_png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def encode_tiff(values: np.ndarray, metadata: Metadata) -> bytes:
    """Return a TIFF (deflate, horizontal predictor) of ``values``, uint8 or uint16 (H, W, 1 to 4).

    Pillow writes no 16-bit colours and OpenCV writes no metadata. Alpha is stored straight.
    Raises ValueError beyond the 4 GB a TIFF can hold.
    """
    if values.shape[2] == 2 and values.dtype == np.uint16:
        values = values[..., [0, 0, 0, 1]]  # 16-bit gray with alpha is a kind Pillow cannot open
    height, width, channels = values.shape
    samples = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    rows_per_strip = max(1, min(height, (1 << 20) // max(1, width * channels * values.itemsize)))
    strips: list[bytes] = []
    for top in range(0, height, rows_per_strip):
        rows = samples[top : top + rows_per_strip]
        differences = rows.copy()
        np.subtract(rows[:, 1:], rows[:, :-1], out=differences[:, 1:])
        strips.append(zlib.compress(differences.tobytes(), 6))
    lengths = [len(strip) for strip in strips]
    if sum(lengths) > _TIFF_LIMIT:
        raise ValueError("a TIFF file holds 4 GB at most")
    # Counted from the end of the directory: Pillow adds its length when it writes tag 273.
    starts = np.cumsum([0, *lengths[:-1]], dtype=np.int64).tolist()

    entries = TiffImagePlugin.ImageFileDirectory_v2(b"II*\x00\x00\x00\x00\x00")
    for tag, value in exif_entries(metadata).items():
        entries[tag] = value
    colour = channels >= 3
    entries[256], entries[257] = width, height
    entries[258] = (values.itemsize * 8,) * channels
    entries[259] = 8  # Compression: Adobe deflate
    entries[262] = 2 if colour else 1  # PhotometricInterpretation: RGB, or black is zero
    entries[277] = channels
    entries[278] = rows_per_strip
    entries[284] = 1  # PlanarConfiguration: interleaved
    entries[317] = 2  # Predictor: horizontal differences
    _set_long(entries, 273, starts)
    _set_long(entries, 279, lengths)
    if channels in (2, 4):
        entries[338] = 2  # ExtraSamples: straight alpha
    if metadata.xmp:
        entries.tagtype[700] = 1
        entries[700] = metadata.xmp
    if metadata.icc:
        entries.tagtype[34675] = 7
        entries[34675] = metadata.icc
    head = struct.pack("<2sHI", b"II", 42, 8)
    return b"".join([head, entries.tobytes(len(head)), *strips])


def _set_long(entries: TiffImagePlugin.ImageFileDirectory_v2, tag: int, value: list[int]) -> None:
    entries.tagtype[tag] = 4
    entries[tag] = tuple(value)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _png_text(metadata: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in metadata.text:
        if 1 <= len(key) <= 79 and "\x00" not in key + value:
            info.add_itxt(key, value)
    if metadata.xmp is not None:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode("utf-8", "replace"))
    return info


def _without_profile(metadata: Metadata) -> Metadata:
    """Leave out the profile: an RGB profile in a gray file is invalid, and gray needs none."""
    return Metadata(exif=metadata.exif, xmp=metadata.xmp, text=metadata.text)
