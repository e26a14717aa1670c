"""Vignetting: against the formula in NumPy, and relative to the image's size."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.vignette import Vignette, apply_vignette

STEPS = [
    Vignette(strength=0.6),
    Vignette(strength=-0.5, falloff=4, centre=(0.3, 0.8)),
    Vignette(strength=1, falloff=1.5, centre=(-0.5, 1.5)),
]


def shaded(image: torch.Tensor, step: Vignette) -> torch.Tensor:
    return apply_vignette(Canvas.of(image, 1), [step]).pixels


def reference(image: np.ndarray, step: Vignette) -> np.ndarray:
    height, width = image.shape[-2:]
    y, x = np.mgrid[0.5:height, 0.5:width]
    cy, cx = step.centre[0] * height, step.centre[1] * width
    corners = [np.hypot(a - cy, b - cx) for a in (0, height) for b in (0, width)]
    amount = abs(step.strength) * (np.hypot(y - cy, x - cx) / max(corners)) ** step.falloff
    return image * (1 - amount) if step.strength > 0 else 1 - (1 - image) * (1 - amount)


@pytest.mark.parametrize("step", STEPS)
def test_it_is_the_formula(step: Vignette) -> None:
    image = torch.rand((1, 3, 40, 64), generator=torch.Generator().manual_seed(1))
    wanted = reference(image.double().numpy(), step)
    np.testing.assert_allclose(shaded(image, step).numpy(), wanted, atol=2e-6)


def test_the_corners_lose_what_was_asked_for_and_the_middle_nothing() -> None:
    made = shaded(torch.full((1, 3, 201, 301), 0.8), Vignette(strength=0.5, falloff=2))[0, 0]
    assert made[100, 150] == pytest.approx(0.8)
    for corner in (made[0, 0], made[0, -1], made[-1, 0], made[-1, -1]):
        assert corner == pytest.approx(0.4, abs=0.005)
    assert shaded(torch.full((1, 3, 64, 64), 0.2), Vignette(strength=-1))[0, :, 0, 0].min() > 0.95


@pytest.mark.parametrize("step", STEPS)
def test_it_scales_with_the_image(step: Vignette) -> None:
    small = shaded(torch.full((1, 3, 32, 48), 0.5), step)
    large = shaded(torch.full((1, 3, 128, 192), 0.5), step)
    torch.testing.assert_close(F.avg_pool2d(large, 4), small, atol=1e-3, rtol=0)


def test_images_of_other_sizes_are_done_as_if_alone() -> None:
    images = [torch.rand(1, 3, 40, 33), torch.rand(1, 3, 24, 64), torch.rand(1, 3, 64, 48)]
    canvas = stack_images(images, Canvas.of(torch.zeros(3, 3, 64, 64), 1))
    together = apply_vignette(canvas, STEPS)
    for image, step, made in zip(images, STEPS, together.images(), strict=True):
        torch.testing.assert_close(made, shaded(image, step), rtol=0, atol=1e-6)
    assert together.pixels.isfinite().all()
    assert together.pixels.min() >= 0
    assert together.pixels.max() <= 1


@pytest.mark.parametrize(
    "values",
    [{"strength": 1.1}, {"strength": 0.5, "falloff": 0}, {"strength": 0, "centre": (4, 0)}],
)
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Vignette.model_validate(values)
