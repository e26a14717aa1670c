"""Resizing against Pillow (antialiased) and OpenCV (not), and the two ways between the grids."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from redeg_cli.degrade.resize import resize, to_aligned, to_native


def picture(height: int = 48, width: int = 60) -> torch.Tensor:
    """Values well inside [0, 1], so that overshoot is not clamped."""
    noise = torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(0))
    return 0.3 + 0.4 * noise


def pillow(image: torch.Tensor, size: tuple[int, int], filter: Image.Resampling) -> np.ndarray:
    planes = [
        np.asarray(Image.fromarray(plane.numpy()).resize(size[::-1], filter)) for plane in image[0]
    ]
    return np.stack(planes)


@pytest.mark.parametrize("size", [(24, 30), (17, 41), (96, 120)])
@pytest.mark.parametrize("filter", ["bilinear", "bicubic"])
def test_antialiased_is_pillow(size: tuple[int, int], filter: str) -> None:
    made = resize(picture(), size, filter)
    wanted = pillow(picture(), size, Image.Resampling[filter.upper()])
    np.testing.assert_allclose(made[0].numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("filter", "code", "size"),
    [
        ("bilinear", cv2.INTER_LINEAR, (20, 22)),
        ("bicubic", cv2.INTER_CUBIC, (20, 22)),
        ("bicubic", cv2.INTER_CUBIC, (100, 77)),
        ("area", cv2.INTER_AREA, (16, 20)),
        ("nearest", cv2.INTER_NEAREST, (16, 20)),
    ],
)
def test_without_antialias_it_is_opencv(filter: str, code: int, size: tuple[int, int]) -> None:
    made = resize(picture(), size, filter, antialias=False)[0].permute(1, 2, 0).numpy()
    wanted = cv2.resize(picture()[0].permute(1, 2, 0).numpy(), size[::-1], interpolation=code)
    np.testing.assert_allclose(made, wanted, atol=1e-4)


def test_overshoot_is_clamped_and_the_same_size_is_the_same_image() -> None:
    step = torch.zeros(1, 3, 8, 8)
    step[..., 4:] = 1
    enlarged = resize(step, (32, 32))
    assert enlarged.min() == 0
    assert enlarged.max() == 1
    assert resize(step, (8, 8)) is step


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_to_aligned_is_pillow_bicubic(scale: int) -> None:
    made = to_aligned(picture(), scale)
    wanted = pillow(picture(), (48 * scale, 60 * scale), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(made[0].numpy(), wanted, atol=2e-5)


@pytest.mark.parametrize("scale", [2, 4])
def test_there_and_back_leaves_a_ramp_where_it_was(scale: int) -> None:
    """A shift of half a pixel would show as half a step of the ramp."""
    ramp = (torch.arange(32.0) / 40 + 0.1).expand(1, 3, 32, 32)
    back = to_native(to_aligned(ramp, scale), scale)
    torch.testing.assert_close(back[..., 3:-3], ramp[..., 3:-3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("scale", [2, 4])
def test_sampling_to_native_keeps_the_grain_it_should(scale: int) -> None:
    """A cubic (a = -0.75) half way between pixels keeps the square of 0.7227 of white noise."""
    noise = 0.05 * torch.randn((1, 3, 256, 256), generator=torch.Generator().manual_seed(0))
    kept = to_native(0.5 + noise, scale).var() / noise.var()
    energy = 2 * (0.59375**2 + 0.09375**2)
    assert kept.item() == pytest.approx(energy**2, rel=0.05)
