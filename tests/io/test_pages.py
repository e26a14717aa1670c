"""Files that hold more than one picture: the first is read, and the others are told."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from redeg_cli.io.images import read_photo, read_rgb


def noise() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (12, 17, 3), dtype=np.uint8)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("name", "word"),
    [("a.tif", "page"), ("a.gif", "frame"), ("a.webp", "frame"), ("a.png", "frame")],
)
def test_further_pages_are_counted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, word: str
) -> None:
    path = tmp_path / name
    pictures = [Image.fromarray(noise() // n) for n in (1, 2, 3)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:])
    assert read_photo(path).pages == 3
    assert warned(caplog) == [f"{path}: {word} 1 of 3, the others are left out"]
    caplog.clear()
    assert read_rgb(path).shape == (12, 17, 3)
    pictures[0].save(path)
    assert read_photo(path).pages == 1
    assert warned(caplog) == []


def test_thumbnails_masks_and_a_phones_second_picture_are_no_pages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Image.fromarray(noise()), Image.fromarray(noise() // 2)
    kinds = TiffImagePlugin.ImageFileDirectory_v2()
    kinds[254] = 1  # NewSubfileType: a smaller version of another page
    second.encoderinfo = {"tiffinfo": kinds}
    first.save(tmp_path / "small.tif", save_all=True, append_images=[second])
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "small.tif") as image:
        assert image.n_frames == 2  # pyright: ignore[reportAttributeAccessIssue]
    for name in ("small.tif", "phone.jpg"):
        assert read_photo(tmp_path / name).pages == 1
    assert warned(caplog) == []


def test_damage_behind_the_first_page_does_not_stop_its_reading(tmp_path: Path) -> None:
    pictures = [Image.fromarray(noise() // n) for n in (1, 2, 3)]
    pictures[0].save(tmp_path / "a.tif", save_all=True, append_images=pictures[1:])
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[: len(data) // 2])
    photo = read_photo(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.rgb, noise().astype(np.float32) / 255)
