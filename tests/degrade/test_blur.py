"""Filtering against OpenCV and SciPy, and kernels from steps."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage

from redeg_cli.degrade.blur import (
    Blur,
    _fast_length,
    apply_blur,
    filter2d,
    filter_canvas,
    make_kernels,
)
from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.kernels import (
    gaussian_kernels,
    generalised_kernels,
    plateau_kernels,
    sinc_kernels,
)

MIXED = (
    Blur(size=21, sigma=2.0, sigma_y=0.7, theta=0.6),
    Blur(family="generalised", size=9, sigma=1.4, beta=0.6),
    Blur(family="plateau", size=13, sigma=2.4, sigma_y=1.0, theta=-1.0, beta=1.8),
    Blur(family="sinc", size=7, cutoff=1.2),
    Blur(size=5, sigma=3.0, shift=1.5),
    Blur(size=1),
)
SIZES = ((24, 31), (40, 12), (5, 40), (33, 33), (24, 7), (3, 3))


def images(batch: int = 2, height: int = 24, width: int = 31) -> torch.Tensor:
    return torch.rand((batch, 3, height, width), generator=torch.Generator().manual_seed(0))


def random_kernels(batch: int, size: int) -> torch.Tensor:
    """Kernels without any symmetry, each summing to 1."""
    kernels = torch.rand((batch, size, size), generator=torch.Generator().manual_seed(1))
    return kernels / kernels.sum((1, 2), keepdim=True)


def array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def ragged_canvas() -> Canvas:
    pictures = [images(1, *size) for size in SIZES]
    canvas = stack_images(pictures, Canvas.of(pictures[0], 1))
    beyond = canvas.pixels.clone()
    for row, (height, width) in enumerate(SIZES):
        beyond[row, :, height:] = 0.9
        beyond[row, :, :, width:] = 0.1
    return canvas.with_pixels(beyond)


@pytest.mark.parametrize("size", [1, 3, 7, 15, 23])
def test_each_image_has_its_own_kernel_as_in_opencv(size: int) -> None:
    batch, kernels = images(), random_kernels(2, size)
    for image, kernel, made in zip(batch, kernels, filter2d(batch, kernels), strict=True):
        theirs = cv2.filter2D(array(image), -1, kernel.numpy(), borderType=cv2.BORDER_REFLECT_101)
        np.testing.assert_allclose(array(made), theirs, atol=2e-6)


@pytest.mark.parametrize("shape", [(24, 31), (5, 40), (3, 4), (1, 30)])
def test_borders_of_any_image_are_those_of_scipy(shape: tuple[int, int]) -> None:
    """Images smaller than the kernel too: their border is mirrored to and fro."""
    batch, kernels = images(2, *shape), random_kernels(2, 21)
    for image, kernel, made in zip(batch, kernels, filter2d(batch, kernels), strict=True):
        for plane, ours in zip(image, made, strict=True):
            theirs = ndimage.correlate(plane.double().numpy(), kernel.numpy(), mode="mirror")
            np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-6)


def test_it_does_not_clamp_but_the_op_does() -> None:
    batch = images(1)
    sharpening = torch.tensor([[[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]]])
    assert filter2d(batch, sharpening).min() < -0.5
    ringing = [Blur(family="sinc", size=13, cutoff=1.5)]
    black_and_white = (batch > 0.5).float()
    raw = filter2d(black_and_white, make_kernels(ringing))
    made = apply_blur(Canvas.of(black_and_white, 1), ringing).pixels
    assert raw.max() > 1.02
    torch.testing.assert_close(made, raw.clamp(0, 1))


def test_images_of_a_ragged_canvas_are_blurred_as_if_alone() -> None:
    canvas = ragged_canvas()
    made = apply_blur(canvas, MIXED)
    assert made.sizes == SIZES
    for image, blurred, step in zip(canvas.images(), made.images(), MIXED, strict=True):
        alone = apply_blur(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(blurred, alone, atol=2e-6, rtol=0)
        difference = (alone - image).abs().max()
        assert difference < 1e-6 if step.size == 1 else difference > 0.05


def test_filtering_a_canvas_is_filtering_its_images() -> None:
    canvas, kernels = ragged_canvas(), random_kernels(len(SIZES), 9)
    made = canvas.with_pixels(filter_canvas(canvas, kernels)).images()
    for row, (image, ours) in enumerate(zip(canvas.images(), made, strict=True)):
        alone = filter2d(image, kernels[row : row + 1])
        torch.testing.assert_close(ours, alone, atol=2e-6, rtol=0)


def test_transforms_have_even_lengths_without_large_primes() -> None:
    fast = [2**a * 3**b * 5**c for a in range(1, 10) for b in range(6) for c in range(5)]
    for length in range(1, 600):
        assert _fast_length(length) == min(n for n in fast if n >= length)


def test_kernels_of_any_families_and_sizes_stand_in_the_middle_of_the_largest() -> None:
    kernels = make_kernels(MIXED)
    assert kernels.shape == (len(MIXED), 21, 21)
    for kernel, step in zip(kernels, MIXED, strict=True):
        outside = kernel.clone()
        half = step.size // 2
        inside = slice(10 - half, 11 + half)
        outside[inside, inside] = 0
        assert not outside.any()
        assert kernel.sum().item() == pytest.approx(1, abs=1e-6)
        alone = make_kernels([step])[0]
        torch.testing.assert_close(kernel[inside, inside], alone, atol=1e-7, rtol=0)


def number(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (
            MIXED[0],
            gaussian_kernels(number(2), number(0.7), number(0.6), 21),
        ),
        (
            MIXED[1],
            generalised_kernels(number(1.4), number(1.4), number(0), number(0.6), 9),
        ),
        (
            MIXED[2],
            plateau_kernels(number(2.4), number(1), number(-1), number(1.8), 13),
        ),
        (MIXED[3], sinc_kernels(number(1.2), 7)),
        (MIXED[4], gaussian_kernels(number(3), number(3), number(0), 5, number(1.5))),
    ],
    ids=["gaussian", "generalised", "plateau", "sinc", "shifted"],
)
def test_a_step_is_the_kernel_of_its_family(step: Blur, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(make_kernels([step]), wanted, atol=1e-7, rtol=0)


@pytest.mark.parametrize("sigma", [0.0, 1e-9, 0.05])
def test_no_deviation_is_no_blur(sigma: float) -> None:
    for family in ("gaussian", "generalised", "plateau"):
        step = Blur.model_validate({"family": family, "sigma": sigma, "size": 7, "beta": 1})
        made = apply_blur(Canvas.of(images(1), 1), [step]).pixels
        # The plateau falls off as 1 / distance^2: 0.05^2 * 4 at the next four pixels.
        tolerance = 0.02 if family == "plateau" else 1e-5
        torch.testing.assert_close(made, images(1), atol=tolerance, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_shifted_blur_takes_its_light_from_the_lower_right(scale: int) -> None:
    """So that every scale-th pixel holds what lies around the middle of scale x scale pixels."""
    ramp = (torch.arange(48.0) / 60).expand(1, 3, 48, 48)
    both = (ramp + ramp.transpose(2, 3)) / 2
    shift = (scale - 1) / 2
    made = apply_blur(Canvas.of(both, 1), [Blur(size=25, sigma=1.2, shift=shift)]).pixels
    inside = (..., slice(14, 34), slice(14, 34))
    torch.testing.assert_close(made[inside], both[inside] + shift / 60, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"size": 20}, "must be odd, got 20"),
        ({"size": 0}, "greater than or equal to 1"),
        ({"size": 129}, "less than or equal to 127"),
        ({"sigma": -0.1}, "greater than or equal to 0"),
        ({"sigma_y": 101}, "less than or equal to 100"),
        ({"beta": 0}, "greater than 0"),
        ({"cutoff": 3.2}, "less than or equal to 3.14"),
        ({"cutoff": 0}, "greater than 0"),
        ({"shift": 21}, "less than or equal to 20"),
        ({"theta": math.nan}, "finite"),
        ({"theta": math.inf}, "finite"),
        ({"family": "box"}, "'gaussian', 'generalised'"),
        ({"radius": 3}, "Extra inputs"),
    ],
)
def test_values_out_of_range_are_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Blur.model_validate(table)
