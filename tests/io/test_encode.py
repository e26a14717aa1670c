"""Written picture files, as Pillow and OpenCV see them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from redeg_cli.errors import OutputError
from redeg_cli.io.images import Photo, read_photo, write_photo, write_rgb


def noise(height: int = 12, width: int = 17, top: int = 255) -> np.ndarray:
    return np.random.default_rng(7).integers(0, top + 1, (height, width, 3))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_our_16_bit_files_are_read_alike_by_opencv(tmp_path: Path, suffix: str) -> None:
    samples = noise(height=70, top=65535)
    write_rgb(tmp_path / f"a{suffix}", samples.astype(np.float64) / 65535, bit_depth=16)
    other = cv2.imread(str(tmp_path / f"a{suffix}"), cv2.IMREAD_UNCHANGED)
    assert other is not None
    np.testing.assert_array_equal(other[..., ::-1], samples)


def test_what_cannot_be_written_says_why(tmp_path: Path) -> None:
    rgb = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(OutputError, match=r"\.bmp names no format, use one of \.png"):
        write_rgb(tmp_path / "a.bmp", rgb)
    with pytest.raises(OutputError, match="without suffix"):
        write_rgb(tmp_path / "a", rgb)
    with pytest.raises(OutputError, match="16383"):
        write_rgb(tmp_path / "a.webp", np.zeros((1, 16384, 3), np.float32))
    with pytest.raises(OutputError, match="NaN"):
        write_rgb(tmp_path / "a.png", np.full((4, 4, 3), np.nan, np.float32))
    with pytest.raises(OutputError, match="quality 0"):
        write_rgb(tmp_path / "a.jpg", rgb, quality=0)
    assert list(tmp_path.iterdir()) == []


def test_writing_clips_and_rounds(tmp_path: Path) -> None:
    rgb = np.array([[[-0.5, 1.5, 100.6 / 255]]], np.float32)
    write_rgb(tmp_path / "a.png", rgb)
    assert Image.open(tmp_path / "a.png").getpixel((0, 0)) == (0, 255, 101)


def test_jpeg_quality_and_full_colour_resolution(tmp_path: Path) -> None:
    rgb = noise(32, 32) / 255.0
    write_rgb(tmp_path / "hi.jpg", rgb)
    write_rgb(tmp_path / "lo.jpg", rgb, quality=30)
    assert (tmp_path / "lo.jpg").stat().st_size < (tmp_path / "hi.jpg").stat().st_size / 2
    with Image.open(tmp_path / "hi.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]


def test_gray_stays_one_channel_in_jpeg(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.jpg", Photo(np.full((8, 8, 3), 0.5, np.float32), gray=True))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "L"
    assert read_photo(tmp_path / "a.jpg").gray
