"""Marked scratches are filled, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from redeg_cli.errors import InputError
from redeg_cli.io.images import Photo
from redeg_cli.restore.scratches import fill_marked, read_mask


def ramp(height: int = 40, width: int = 60) -> Photo:
    rows, columns = np.mgrid[:height, :width] / 60
    return Photo(np.stack([rows, columns, 1 - columns], axis=2).astype(np.float32))


def crossing(photo: Photo) -> np.ndarray:
    """Return a scratch of three pixels from edge to edge, and a spot."""
    marked = np.zeros(photo.rgb.shape[:2], bool)
    marked[:, 20:23] = True
    marked[10:16, 40:46] = True
    return marked


def test_scratch_on_a_ramp_is_filled_with_the_ramp() -> None:
    true = ramp()
    marked = crossing(true)
    scratched = replace(true, rgb=np.where(marked[..., None], np.float32(1), true.rgb))
    filled = fill_marked(scratched, marked)
    assert filled.rgb.dtype == np.float32
    np.testing.assert_array_equal(filled.rgb[~marked], true.rgb[~marked])
    assert np.abs(filled.rgb - true.rgb)[marked].max() < 0.08  # 0.9 before
    assert np.abs(filled.rgb - true.rgb)[marked].mean() < 0.02


def test_gray_stays_gray_and_edges_go_on() -> None:
    step = np.repeat((np.arange(40) >= 20)[:, None], 60, axis=1).astype(np.float32)
    photo = Photo(np.repeat(step[..., None], 3, axis=2), gray=True, bit_depth=16)
    marked = crossing(photo)
    bad = replace(photo, rgb=np.where(marked[..., None], np.float32(0.5), photo.rgb))
    filled = fill_marked(bad, marked)
    assert (filled.gray, filled.bit_depth) == (True, 16)
    assert np.ptp(filled.rgb, axis=2).max() == 0
    assert filled.rgb[:17, 20:23].max() < 0.4
    assert filled.rgb[23:, 20:23].min() > 0.6


@pytest.mark.parametrize("kind", ["gray", "jpeg", "painted"])
def test_masks_are_white_on_black_or_painted_on_nothing(tmp_path: Path, kind: str) -> None:
    photo = ramp()
    marked = crossing(photo)
    levels = (marked * 255).astype(np.uint8)
    path = tmp_path / "mask.png"
    if kind == "jpeg":
        path = tmp_path / "mask.jpg"
        Image.fromarray(np.repeat(levels[..., None], 3, 2)).save(path, quality=90)
    elif kind == "gray":
        Image.fromarray(levels).save(path)
    else:  # black paint
        paint = np.zeros((*levels.shape, 4), np.uint8)
        paint[..., 3] = levels
        Image.fromarray(paint).save(path)
    np.testing.assert_array_equal(read_mask(path, photo), marked)


@pytest.mark.parametrize(
    ("shape", "value", "said"),
    [
        ((40, 61), 255, "is 61x40 pixels and the photo 60x40"),
        ((40, 60), 0, "marks 0%"),
        ((40, 60), 255, "marks 100%"),
    ],
)
def test_masks_that_cannot_be_meant(
    tmp_path: Path, shape: tuple[int, int], value: int, said: str
) -> None:
    Image.fromarray(np.full(shape, value, np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=said):
        read_mask(tmp_path / "mask.png", ramp())
