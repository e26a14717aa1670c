"""EXIF, XMP, text and profiles through reading and writing, seen by Pillow."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from redeg_cli.io.images import Photo, read_photo, write_photo
from redeg_cli.io.metadata import Metadata, exif_within

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b"exif:PixelXDimension='40' xmp:Rating=\"4\"><tiff:ImageLength>20</tiff:ImageLength>"
    b"</rdf:Description></x:xmpmeta>"
)


def camera_exif(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = orientation
    exif[0x0100], exif[0x0101] = 40, 20
    exif[0x8769] = {
        0x9003: "2001:02:03 04:05:06",
        0xA002: 40,
        0xA003: 20,
        0x927C: b"private",
        0x829A: 0.5,
    }
    exif[0x8825] = {1: "N", 2: (47.0, 30.0, 0.0)}
    return exif.tobytes()


def picture(width: int = 40, height: int = 20) -> Image.Image:
    return Image.new("RGB", (width, height), (90, 120, 60))


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
def test_exif_survives_restoration(tmp_path: Path, source: str, target: str, depth: int) -> None:
    exif = Image.Exif()
    exif.load(camera_exif())
    picture().save(tmp_path / f"a{source}", exif=exif)
    photo = read_photo(tmp_path / f"a{source}")
    assert photo.rgb.shape == (40, 20, 3)  # orientation 6 turns it
    doubled = replace(photo, rgb=photo.rgb.repeat(2, 0).repeat(2, 1), bit_depth=depth)
    write_photo(tmp_path / f"b{target}", doubled)
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.size == (40, 80)
        back = image.getexif()
        assert back[0x010F] == "Maker"
        assert back.get(0x0112, 1) == 1  # Pillow drops it from a TIFF it has turned
        details = back.get_ifd(0x8769)
        assert details[0x9003] == "2001:02:03 04:05:06"
        assert (details[0xA002], details[0xA003]) == (40, 80)
        assert details[0x927C] == b"private"
        assert float(details[0x829A]) == 0.5
        assert [float(v) for v in back.get_ifd(0x8825)[2]] == [47.0, 30.0, 0.0]
        if source != ".tif" or target == ".tif":  # there these describe the file's own pixels
            assert (back[0x0100], back[0x0101]) == (40, 80)
        if target != ".tif":
            assert not {258, 259, 262, 273, 278, 279} & set(back)
    assert read_photo(tmp_path / f"b{target}").rgb.shape == (80, 40, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
def test_xmp_is_kept_with_its_numbers_updated(tmp_path: Path, suffix: str, depth: int) -> None:
    rgb = np.full((30, 50, 3), 0.5, np.float32)
    write_photo(tmp_path / f"a{suffix}", Photo(rgb, bit_depth=depth, metadata=Metadata(xmp=XMP)))
    xmp = read_photo(tmp_path / f"a{suffix}").metadata.xmp
    assert xmp is not None
    assert b'tiff:Orientation="1"' in xmp
    assert b"exif:PixelXDimension='50'" in xmp
    assert b"<tiff:ImageLength>30</tiff:ImageLength>" in xmp
    assert b'xmp:Rating="4"' in xmp


@pytest.mark.parametrize("depth", [8, 16])
def test_png_text_and_jpeg_comment(tmp_path: Path, depth: int) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Grüße")
    info.add_itxt("Description", "写真")
    picture().save(tmp_path / "a.png", pnginfo=info)
    photo = read_photo(tmp_path / "a.png")
    assert photo.metadata.text == (("Title", "Grüße"), ("Description", "写真"))
    write_photo(tmp_path / "b.png", replace(photo, bit_depth=depth))
    assert read_photo(tmp_path / "b.png").metadata.text == photo.metadata.text
    picture().save(tmp_path / "a.jpg", comment="scanned 1998")
    photo = read_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "b.jpg", photo)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == b"scanned 1998"


def test_strip_leaves_nothing(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg", exif=camera_exif(), xmp=XMP, comment="x")
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.metadata.exif
    assert photo.metadata.xmp
    write_photo(tmp_path / "b.jpg", replace(photo, metadata=Metadata()))
    data = (tmp_path / "b.jpg").read_bytes()
    assert not any(mark in data for mark in (b"Exif", b"adobe", b"Maker"))


def test_damaged_exif_does_not_keep_the_picture(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    good = np.frombuffer(camera_exif(), np.uint8)
    for index in range(20):
        bad = good.copy()
        where = rng.integers(6, len(bad), 8)
        bad[where] = rng.integers(0, 256, 8)
        path = tmp_path / f"{index}.jpg"
        picture().save(path, exif=bad.tobytes())
        photo = read_photo(path)
        assert sorted(photo.rgb.shape[:2]) == [20, 40]
        for suffix in (".png", ".jpg", ".tif", ".webp"):
            write_photo(tmp_path / f"out{suffix}", photo)
            assert read_photo(tmp_path / f"out{suffix}").rgb.shape == photo.rgb.shape


def test_exif_too_long_for_jpeg_loses_its_maker_note_only(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8769] = {0x9003: "2001:02:03 04:05:06", 0x927C: b"x" * 70000}
    picture().save(tmp_path / "a.png", exif=exif)
    photo = read_photo(tmp_path / "a.png")
    assert photo.metadata.exif is not None
    assert len(photo.metadata.exif) > 70000
    write_photo(tmp_path / "b.jpg", photo)
    with Image.open(tmp_path / "b.jpg") as image:
        details = image.getexif().get_ifd(0x8769)
    assert details[0x9003] == "2001:02:03 04:05:06"
    assert 0x927C not in details
    assert exif_within(photo.metadata, 40) is None
    assert exif_within(Metadata(), 40) is None
