"""Files that are no pictures, damaged or too large ones, and what is no file at all."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from redeg_cli.errors import InputError
from redeg_cli.io.decode import MAX_PIXELS, open_picture
from redeg_cli.io.images import image_size, read_photo, read_rgb, write_rgb


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = zlib.compress(bytes(100))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


BAD = {
    "missing": (None, "does not exist"),
    "empty": (b"", "is empty"),
    "text": (b"hello, this is not an image\n", "not an image but text"),
    "html": (b"\n<!DOCTYPE html><html></html>", "web page"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-LFS pointer"),
    "binary": (bytes(range(256)) * 4, "not an image that can be read"),
    "heic": (b"\x00\x00\x00\x18ftypheic" + bytes(40), "HEIC"),
    "pdf": (b"%PDF-1.4\n", "PDF"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript"),
    "huge": (png_header(30000, 30000), "the limit is 400 Mpx"),
    "header only": (png_header(40, 40)[:40], "truncated"),
    "too few rows": (png_header(400, 400), "truncated"),
    "no size": (png_header(0, 0), "truncated"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_bad_file_gives_one_clear_line(tmp_path: Path, name: str) -> None:
    content, words = BAD[name]
    path = tmp_path / "böse.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_photo(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, depth: int) -> None:
    write_rgb(tmp_path / f"a{suffix}", noise(64, 64) / 255.0, bit_depth=depth)
    data = (tmp_path / f"a{suffix}").read_bytes()
    for part in (0.05, 0.5, 0.9):
        (tmp_path / f"b{suffix}").write_bytes(data[: int(len(data) * part)])
        with pytest.raises(InputError, match=r"b\.\w+ is truncated"):
            read_photo(tmp_path / f"b{suffix}")


def test_a_folder_and_float_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        read_photo(tmp_path)
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(InputError, match="8 bits per channel, or as a 16-bit"):
        read_photo(tmp_path / "f.tif")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "endless.png"):
        for read in (read_photo, read_rgb, image_size):
            with pytest.raises(InputError, match=rf"{name} is a pipe or a device"):
                read(tmp_path / name)


def test_random_damage_raises_nothing_but_input_errors(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "a.bin"
    for suffix, depth in ((".png", 8), (".png", 16), (".jpg", 8), (".webp", 8), (".tif", 16)):
        write_rgb(tmp_path / f"ok{suffix}", noise(24, 24) / 255.0, bit_depth=depth)
        good = np.frombuffer((tmp_path / f"ok{suffix}").read_bytes(), np.uint8)
        for _ in range(40):
            bad = good.copy()
            where = rng.integers(0, len(bad), 6)
            bad[where] = rng.integers(0, 256, 6)
            path.write_bytes(bad.tobytes())
            try:
                photo = read_photo(path)
            except InputError:
                continue
            assert photo.rgb.ndim == 3
            assert np.isfinite(photo.rgb).all()


def test_pictures_beyond_pillows_own_limit_open_without_warning(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = png_header(19000, 20000)
    image = open_picture(tmp_path / "a.png", data)
    assert image.size == (19000, 20000)
    (tmp_path / "a.png").write_bytes(data)
    assert image_size(tmp_path / "a.png") == (20000, 19000)
    assert before is not None
    assert before < 19000 * 20000 < MAX_PIXELS
    assert before == Image.MAX_IMAGE_PIXELS
