"""The unsharp mask against OpenCV's Gaussian blur."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.sharpen import Sharpen, apply_sharpen

STEPS = (
    Sharpen(),
    Sharpen(weight=1.5, radius=11, threshold=4),
    Sharpen(weight=0.3, radius=41, threshold=13),
    Sharpen(weight=3, radius=13, threshold=1),
)
SIZES = ((64, 64), (50, 61), (70, 33), (1, 20))


def photo(height: int = 64, width: int = 64) -> torch.Tensor:
    rgb = skimage.data.astronaut()[60 : 60 + height, 180 : 180 + width]
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255


def unsharp_mask(image: np.ndarray, weight: float, radius: int, threshold: float) -> np.ndarray:
    """Written out with OpenCV, which takes the deviation from the side of the kernel.

    (From 11 on: it has tables for smaller ones.)
    """
    detail = image - cv2.GaussianBlur(image, (radius, radius), 0)
    mask = (np.abs(detail) * 255 > threshold).astype(np.float32)
    soft = cv2.GaussianBlur(mask, (radius, radius), 0)
    return soft * np.clip(image + weight * detail, 0, 1) + (1 - soft) * image


def sharpened(image: torch.Tensor, step: Sharpen) -> torch.Tensor:
    return apply_sharpen(Canvas.of(image, 1), [step]).pixels


@pytest.mark.parametrize("size", [(64, 64), (50, 61), (90, 33)])
@pytest.mark.parametrize("step", STEPS)
def test_it_is_the_unsharp_mask_of_opencv(step: Sharpen, size: tuple[int, int]) -> None:
    image = photo(*size)
    array = image[0].permute(1, 2, 0).contiguous().numpy()
    wanted = unsharp_mask(array, step.weight, step.radius, step.threshold)
    made = sharpened(image, step)[0].permute(1, 2, 0).numpy()
    assert np.abs(wanted - array).max() > 0.05
    # Rounding may move a pixel over the threshold: that shows in its neighbourhood, weakly.
    assert np.abs(made - wanted).max() < 2e-3
    assert np.abs(made - wanted).mean() < 1e-5


def test_images_of_a_ragged_canvas_are_sharpened_as_if_alone() -> None:
    images = [photo(*size) for size in SIZES]
    canvas = stack_images(images, Canvas.of(images[0], 1))
    made = apply_sharpen(canvas, STEPS)
    assert made.sizes == SIZES
    for image, ours, step in zip(images, made.images(), STEPS, strict=True):
        torch.testing.assert_close(ours, sharpened(image, step), atol=1e-5, rtol=0)


def test_detail_up_to_the_threshold_is_left_alone() -> None:
    stripes = torch.full((1, 3, 64, 64), 0.5)
    stripes[..., ::2] += 6 / 255  # 3 levels above and below the mean
    torch.testing.assert_close(sharpened(stripes, Sharpen(threshold=5)), stripes)
    changed = sharpened(stripes, Sharpen(threshold=1)) - stripes
    inner = changed[..., 26:-26, 26:-26]
    wanted = torch.where(stripes > 0.51, 1.5, -1.5)[..., 26:-26, 26:-26] / 255
    torch.testing.assert_close(inner, wanted, atol=1e-5, rtol=0)


def test_no_weight_changes_nothing_and_more_changes_more() -> None:
    image = photo()
    torch.testing.assert_close(sharpened(image, Sharpen(weight=0)), image)
    changes = [
        (sharpened(image, Sharpen(weight=weight)) - image).abs().mean() for weight in (0.5, 1, 2)
    ]
    assert changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_extreme_pictures_stay_in_range(level: float) -> None:
    steps = Sharpen(weight=10, radius=5, threshold=0)
    checks = torch.full((1, 3, 16, 16), level)
    checks[..., ::2, ::2] = 1 - level
    made = sharpened(checks, steps)
    assert made.isfinite().all()
    assert made.min() == 0
    assert made.max() == 1


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"radius": 50}, "must be odd, got 50"),
        ({"radius": 129}, "less than or equal to 127"),
        ({"weight": -0.1}, "greater than or equal to 0"),
        ({"weight": math.nan}, "finite"),
        ({"threshold": 256}, "less than or equal to 255"),
        ({"amount": 1}, "Extra inputs"),
    ],
)
def test_values_out_of_range_are_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Sharpen.model_validate(table)
