"""JPEG against the files of OpenCV and Pillow (libjpeg)."""

import io
import math
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, Size, stack_images
from redeg_cli.degrade.jpeg import Jpeg, apply_jpeg, jpeg, quality_tables

QUALITIES = (10, 20, 30, 50, 70, 85, 95)
SAMPLING = {
    True: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    False: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}


def photo(height: int = 64, width: int = 64) -> np.ndarray:
    return skimage.data.astronaut()[60 : 60 + height, 180 : 180 + width]


def tensor(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def array(image: torch.Tensor) -> np.ndarray:
    return (image[0] * 255).permute(1, 2, 0).numpy()


def opencv(rgb: np.ndarray, quality: int, subsample: bool) -> np.ndarray:
    done, data = cv2.imencode(
        ".jpg",
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
        [
            *(cv2.IMWRITE_JPEG_QUALITY, quality),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLING[subsample]),
        ],
    )
    assert done
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def compress(rgb: np.ndarray, quality: float, subsample: bool) -> np.ndarray:
    return array(jpeg(tensor(rgb), torch.tensor([quality]), torch.tensor([subsample])))


@pytest.mark.parametrize("size", [(64, 64), (50, 61)])
@pytest.mark.parametrize("subsample", [True, False])
@pytest.mark.parametrize("quality", QUALITIES)
def test_it_is_what_libjpeg_makes(quality: int, subsample: bool, size: tuple[int, int]) -> None:
    rgb = photo(*size)
    theirs = opencv(rgb, quality, subsample).astype(np.float32)
    error = np.abs(compress(rgb, quality, subsample) - theirs).mean()
    assert error < 0.35  # of 255
    assert error < 0.15 * np.abs(rgb - theirs).mean()


@pytest.mark.parametrize("quality", [5, 16, 30, 50, 75, 90, 100])
def test_flat_grays_are_what_libjpeg_makes(quality: int) -> None:
    """To the level: many a flat block lies halfway between two steps, or two levels."""
    chart = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(16, 0).repeat(16, 1)
    rgb = np.stack([chart] * 3, 2)
    assert np.array_equal(compress(rgb, quality, True).round(), opencv(rgb, quality, True))


@pytest.mark.parametrize("subsample", [True, False])
@pytest.mark.parametrize("quality", [10, 40, 85])
def test_letters_of_full_colour_are_what_libjpeg_makes(quality: int, subsample: bool) -> None:
    """Their edges overshoot what a decoder can hold of luma and chroma."""
    rgb = np.full((64, 128, 3), 255, np.uint8)
    for row, colour in enumerate(((255, 0, 0), (0, 0, 255), (0, 0, 0), (0, 255, 0))):
        cv2.putText(rgb, "redegnet", (2, 14 + 15 * row), 0, 0.6, colour, 2)
    theirs = opencv(rgb, quality, subsample).astype(np.float32)
    error = np.abs(compress(rgb, quality, subsample) - theirs)
    assert error.mean() < 0.15


@pytest.mark.parametrize("subsample", [True, False])
@pytest.mark.parametrize("quality", [10, 30, 70])
def test_the_border_is_filled_up_as_libjpeg_does(quality: int, subsample: bool) -> None:
    """Little but border: another filling would change every block."""
    for size in ((7, 19), (24, 16)):
        rgb = photo(*size)
        theirs = opencv(rgb, quality, subsample).astype(np.float32)
        error = np.abs(compress(rgb, quality, subsample) - theirs).mean()
        assert error < 0.08 * np.abs(rgb - theirs).mean()


def test_the_tables_are_those_in_a_file() -> None:
    picture = Image.fromarray(photo(8, 8))
    for quality in range(1, 101):
        buffer = io.BytesIO()
        picture.save(buffer, format="JPEG", quality=quality)
        written = Image.open(buffer).quantization  # pyright: ignore[reportAttributeAccessIssue]
        ours = quality_tables(torch.tensor([float(quality)]))
        for table, theirs in zip(ours, (written[0], written[1]), strict=True):
            assert table[0].flatten().tolist() == list(theirs), quality


def test_images_of_a_batch_keep_their_own_settings() -> None:
    batch = torch.cat([tensor(photo()), tensor(photo()[::-1].copy()), tensor(photo())])
    qualities, subsample = torch.tensor([20.0, 60.0, 95.0]), torch.tensor([True, False, False])
    made = jpeg(batch, qualities, subsample)
    for index in range(3):
        one = slice(index, index + 1)
        torch.testing.assert_close(made[one], jpeg(batch[one], qualities[one], subsample[one]))


@pytest.mark.parametrize("size", [(1, 1), (8, 3), (17, 33)])
def test_any_size_and_flat_colours(size: tuple[int, int]) -> None:
    flat = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, *size)
    made = jpeg(flat, torch.tensor([95.0]), torch.tensor([True]))
    assert made.shape == flat.shape
    assert (made - flat).abs().max() < 3 / 255
    levels = made * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)


def test_gradients_pass_straight_through() -> None:
    """Without rounding and clamping JPEG is the identity, and so is its gradient."""
    image = (0.25 + 0.5 * tensor(photo(16, 32))).requires_grad_()
    weights = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    made = jpeg(image, torch.tensor([90.0]), torch.tensor([False]))
    (made * weights).sum().backward()
    assert image.grad is not None
    torch.testing.assert_close(image.grad, weights, atol=1e-4, rtol=0)


SIZES: tuple[Size, ...] = ((64, 64), (50, 61), (7, 19), (33, 16), (1, 1), (16, 47), (63, 2))


@pytest.mark.parametrize("sampling", ["4:2:0", "4:4:4", "mixed"])
def test_images_of_a_ragged_canvas_are_what_they_would_be_alone(sampling: str) -> None:
    """Bit for bit: every value is rounded to a level."""
    images = [tensor(photo(*size)) for size in SIZES]
    canvas = stack_images(images, Canvas.of(images[0], 1))
    beyond = torch.full_like(canvas.pixels, 0.7)
    for row, (height, width) in enumerate(SIZES):
        beyond[row, :, :height, :width] = images[row][0]
    subsample = {"4:2:0": (1, 1), "4:4:4": (0, 0), "mixed": (0, 1)}[sampling]
    steps = [
        Jpeg(quality=quality, subsample=bool(subsample[row % 2]))
        for row, quality in enumerate((10, 95, 30, 47.5, 80, 60, 5))
    ]
    made = apply_jpeg(canvas.with_pixels(beyond), steps)
    assert made.sizes == SIZES
    for image, ours, step in zip(images, made.images(), steps, strict=True):
        assert torch.equal(ours, apply_jpeg(Canvas.of(image, 1), [step]).pixels)


@pytest.mark.parametrize("subsample", [True, False])
def test_each_quality_between_two_whole_ones_lies_between_them(subsample: bool) -> None:
    """A real-valued quality, as Real-ESRGAN draws it, loses neither more nor less."""
    losses = [
        np.abs(compress(photo(), quality, subsample) - photo()).mean()
        for quality in (40.0, 44.5, 49.5, 50.5, 55.3, 60.0)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]


def test_extreme_pictures_stay_in_range() -> None:
    checks = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float()
    colours = torch.stack([checks, 1 - checks, checks.roll(1, 0)])[None]
    for quality in (1.0, 20.0, 100.0):
        made = jpeg(colours, torch.tensor([quality]), torch.tensor([True]))
        assert made.isfinite().all()
        assert made.min() >= 0
        assert made.max() <= 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "Field required"),
        ({"quality": 0}, "greater than or equal to 1"),
        ({"quality": 101}, "less than or equal to 100"),
        ({"quality": math.nan}, "finite"),
        ({"quality": 50, "subsample": "4:2:0"}, "valid boolean"),
        ({"quality": 50, "progressive": True}, "Extra inputs"),
    ],
)
def test_values_out_of_range_are_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Jpeg.model_validate(table)
