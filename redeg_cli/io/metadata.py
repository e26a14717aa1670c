"""What a picture file carries beside its pixels: EXIF, colour profile, XMP, text."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from PIL import Image

_T = TypeVar("_T")

_EXIF_HEADER = b"Exif\x00\x00"
_ORIENTATION = 0x0112
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_MAKER_NOTE = 0x927C
_IMAGE_WIDTH, _IMAGE_LENGTH = 0x0100, 0x0101
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003

# Tags that say how a TIFF stores its pixels. In a TIFF they stand between the descriptive ones;
# copied into another file they would describe pixels that are not there.
_STRUCTURE_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284}
    | {288, 289, 290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330}
    | {332, 333, 334, 336, 338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520}
    | {521, 529, 530, 531, 532, 700, 33723, 34377, 34675, 37724}
)


@dataclass(frozen=True)
class Metadata:
    """Metadata of a photo; ``Metadata()`` is none at all (what stripping leaves)."""

    exif: bytes | None = None
    """EXIF block, beginning with ``Exif\\0\\0``; its orientation is always upright."""
    icc: bytes | None = None
    """Profile the pixels are in now. Pixels are sRGB: sRGB's, or None when the file had none."""
    xmp: bytes | None = None
    """XMP packet (XML)."""
    text: tuple[tuple[str, str], ...] = ()
    """PNG text entries and the JPEG comment (key ``Comment``), in the file's order."""


def read_metadata(image: Image.Image) -> tuple[Metadata, int]:
    """Return the metadata of an opened picture and its EXIF orientation (1 to 8).

    ``icc`` is left None: the one who converts the colours sets it. An unreadable block is left
    out: damaged metadata must not keep anybody from restoring the picture.
    """
    exif = _tolerant(image.getexif) or Image.Exif()
    orientation = exif.get(_ORIENTATION, 1)
    if not isinstance(orientation, int) or not 1 <= orientation <= 8:
        orientation = 1
    raw = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    xmp = raw.encode("utf-8") if isinstance(raw, str) else raw
    metadata = Metadata(
        exif=_exif_bytes(exif, image.format == "TIFF"),
        xmp=xmp if isinstance(xmp, bytes) and xmp.strip(b"\x00 \r\n\t") else None,
        text=_tolerant(lambda: _text_of(image)) or (),
    )
    return metadata, orientation


def prepare_metadata(metadata: Metadata, height: int, width: int) -> Metadata:
    """Return ``metadata`` for an upright picture of the given size.

    The orientation becomes 1 and every pixel dimension that EXIF or XMP states is set to the new
    size; the embedded thumbnail, which would show the old picture, is dropped.
    """
    raw = metadata.exif
    exif = None
    if raw is not None:
        block = Image.Exif()
        _tolerant(lambda: block.load(raw))
        exif = _exif_bytes(block, False, height, width)
    xmp = metadata.xmp
    if xmp is not None:
        xmp = _set_xmp(xmp, b"tiff:Orientation", 1)
        for name, value in (("ImageWidth", width), ("ImageLength", height)):
            xmp = _set_xmp(xmp, b"tiff:" + name.encode(), value)
        for name, value in (("PixelXDimension", width), ("PixelYDimension", height)):
            xmp = _set_xmp(xmp, b"exif:" + name.encode(), value)
    return replace(metadata, exif=exif, xmp=xmp)


def exif_entries(metadata: Metadata) -> Image.Exif:
    """Return the EXIF block as Pillow's mapping, sub-folders as dictionaries; empty if none."""
    block = Image.Exif()
    if metadata.exif is not None:
        raw = metadata.exif
        _tolerant(lambda: block.load(raw))
        _unfold(block)
    return block


def exif_within(metadata: Metadata, limit: int) -> bytes | None:
    """Return the EXIF block in at most ``limit`` bytes: without the maker note, else not at all.

    A JPEG segment holds 65533 bytes, and maker notes (camera-private data) are what overflows it.
    """
    if metadata.exif is None or len(metadata.exif) <= limit:
        return metadata.exif
    block = exif_entries(metadata)
    details = dict(block.get(_EXIF_IFD) or {})
    details.pop(_MAKER_NOTE, None)
    block[_EXIF_IFD] = details
    smaller = _serialise(block)
    return smaller if smaller is not None and len(smaller) <= limit else None


def _exif_bytes(
    block: Image.Exif, from_tiff: bool, height: int | None = None, width: int | None = None
) -> bytes | None:
    """Serialise ``block`` without what describes the file it came from."""
    if from_tiff:
        for tag in [tag for tag in block if tag in _STRUCTURE_TAGS]:
            del block[tag]
    _unfold(block)
    if _ORIENTATION in block:
        block[_ORIENTATION] = 1
    if height is not None and width is not None:
        for tag, value in ((_IMAGE_WIDTH, width), (_IMAGE_LENGTH, height)):
            if tag in block:
                block[tag] = value
        details = block.get(_EXIF_IFD)
        if isinstance(details, dict):
            for tag, value in ((_PIXEL_X, width), (_PIXEL_Y, height)):
                if tag in details:
                    details[tag] = value
    if not len(block):
        return None
    return _serialise(block)


def _unfold(block: Image.Exif) -> None:
    """Put the sub-folders into ``block`` as dictionaries, so that they are written back."""
    for tag in (_EXIF_IFD, _GPS_IFD):
        if tag not in block:
            continue
        entries = _tolerant(lambda tag=tag: dict(block.get_ifd(tag)))
        if tag == _EXIF_IFD and entries and _INTEROP_IFD in entries:
            interop = _tolerant(lambda: dict(block.get_ifd(_INTEROP_IFD)))
            if interop:
                entries[_INTEROP_IFD] = interop
            else:
                del entries[_INTEROP_IFD]
        if entries:
            block[tag] = entries
        else:
            del block[tag]


def _serialise(block: Image.Exif) -> bytes | None:
    """Return the bytes of ``block``, leaving out single entries that cannot be written."""
    data = _tolerant(block.tobytes)
    if data is None:
        kept = Image.Exif()
        for tag, value in list(block.items()):
            kept[tag] = value
            if _tolerant(kept.tobytes) is None:
                del kept[tag]
        data = _tolerant(kept.tobytes) if len(kept) else None
    if data is None:
        return None
    return data if data.startswith(_EXIF_HEADER) else _EXIF_HEADER + data


def _text_of(image: Image.Image) -> tuple[tuple[str, str], ...]:
    """Return the text entries that are neither EXIF nor XMP in disguise."""
    entries = getattr(image, "text", None) if image.format == "PNG" else None
    found: list[tuple[str, str]] = []
    for key, value in (entries or {}).items():
        if key != "XML:com.adobe.xmp" and not key.startswith("Raw profile type"):
            found.append((str(key), str(value)))
    comment = image.info.get("comment")
    if image.format in ("JPEG", "MPO") and comment:
        text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
        found.append(("Comment", text))
    return tuple(found)


def _set_xmp(xmp: bytes, name: bytes, value: int) -> bytes:
    """Set a number in an XMP packet where it is stated, as an attribute or as an element."""
    number = str(value).encode()
    xmp = re.sub(b"(" + name + rb"\s*=\s*)([\"'])\d+\2", rb"\g<1>\g<2>" + number + rb"\g<2>", xmp)
    return re.sub(
        b"(<" + name + rb">\s*)\d+(\s*</" + name + b">)", rb"\g<1>" + number + rb"\2", xmp
    )


def _tolerant(action: Callable[[], _T]) -> _T | None:
    """Return ``action()``, or None when the metadata it reads is damaged."""
    try:
        return action()
    except Exception:  # Pillow's EXIF code raises whatever the damaged bytes lead to
        return None
