"""JPEG qualities read and estimated, where they are known."""

import io
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from redeg_cli.degrade.jpeg_quality import (
    estimate_traits,
    jpeg_traits,
    read_traits,
    tables_quality,
)

PHOTO = Image.fromarray(skimage.data.astronaut()).resize((256, 256), Image.Resampling.BICUBIC)


def compressed(quality: int, subsampling: int) -> np.ndarray:
    buffer = io.BytesIO()
    PHOTO.save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(buffer).convert("RGB"), np.float32) / 255


@pytest.mark.parametrize("quality", [5, 30, 49, 50, 75, 92, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_tables_are_read(tmp_path: Path, quality: int, subsampling: int) -> None:
    PHOTO.save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling)
    traits = read_traits(tmp_path / "a.jpg")
    assert traits is not None
    assert (traits.quality, traits.how) == (quality, "tables")
    assert traits.subsample == (subsampling > 0)


def test_a_gray_file_and_one_that_is_no_jpeg(tmp_path: Path) -> None:
    PHOTO.convert("L").save(tmp_path / "gray.jpg", quality=40)
    traits = read_traits(tmp_path / "gray.jpg")
    assert traits is not None
    assert traits.quality == 40
    PHOTO.save(tmp_path / "a.png")
    (tmp_path / "text.jpg").write_text("no picture")
    assert read_traits(tmp_path / "a.png") is None
    assert read_traits(tmp_path / "text.jpg") is None


def test_tables_of_another_encoder_are_placed_by_their_steps() -> None:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    PHOTO.save(buffer, "JPEG", quality=40)
    tables = Image.open(buffer).quantization  # pyright: ignore[reportAttributeAccessIssue]
    odd = [np.array(table) * rng.uniform(0.9, 1.1, 64) for table in tables.values()]
    assert tables_quality(odd) == pytest.approx(40, abs=3)


def test_qualities_are_estimated_from_the_pixels() -> None:
    errors = [
        abs((estimate_traits(compressed(quality, 2)).quality or 100) - quality)
        for quality in (10, 30, 50, 70, 90)
    ]
    assert np.mean(errors) <= 5


def test_blocks_may_begin_anywhere() -> None:
    traits = estimate_traits(compressed(40, 2)[3:, 6:])
    assert traits.how == "blocking"
    assert traits.quality == pytest.approx(40, abs=5)


def test_chroma_is_told() -> None:
    found = [estimate_traits(compressed(75, subsampling)).subsample for subsampling in (0, 2)]
    assert found == [False, True]


def test_what_was_never_compressed_has_no_quality(tmp_path: Path) -> None:
    PHOTO.save(tmp_path / "a.png")
    pixels = np.asarray(PHOTO, np.float32) / 255
    traits = jpeg_traits(tmp_path / "a.png", pixels)
    assert (traits.quality, traits.how) == (None, "none")
    assert estimate_traits(np.full((64, 64, 3), 0.5, np.float32)).quality is None
    assert estimate_traits(pixels[:20, :20]).quality is None
