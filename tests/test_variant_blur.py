"""The camera of known blur: its kernels, its pictures, and widths read off kernels."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from variant_blur import (
    Camera,
    Widths,
    depth_of,
    kernels_of,
    photograph,
    width_map,
    widths_of,
)

EVEN = Camera(sharpest=1.3, defocus=0, aberration=0)


def images_of(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_an_even_blur_is_scipys() -> None:
    hq = images_of(1, 3, 40, 52)
    widths = widths_of(torch.zeros(40, 52), EVEN)
    made = photograph(hq, widths, EVEN)[0].numpy()
    wanted = gaussian_filter(hq[0].numpy(), (0, 1.3, 1.3), mode="nearest", radius=(0, 7, 7))
    np.testing.assert_allclose(made, wanted, atol=2e-5)


def test_each_pixel_has_the_kernel_that_is_said() -> None:
    """Eq. 2 for some pixels of a picture with depth and aberration."""
    camera, hq = Camera(kernel=9), images_of(1, 3, 30, 36)
    widths = widths_of(images_of(30, 36), camera)
    made = photograph(hq, widths, camera)[0].numpy()
    kernels = kernels_of(widths, slice(0, 30), camera).numpy()
    np.testing.assert_allclose(kernels.sum((2, 3)), 1, atol=1e-5)
    padded = np.pad(hq[0].numpy(), ((0, 0), (4, 4), (4, 4)), mode="edge")
    for y, x in ((0, 0), (3, 20), (15, 15), (17, 35), (29, 7)):
        wanted = (padded[:, y : y + 9, x : x + 9] * kernels[y, x]).sum((1, 2))
        np.testing.assert_allclose(made[:, y, x], wanted, atol=1e-5)


def test_far_is_bright_and_blurred_most() -> None:
    dark, bright = (depth_of(torch.full((1, 3, 32, 32), v), Camera()) for v in (0.1, 0.9))
    assert float(dark.max()) == pytest.approx(0, abs=1e-6)
    assert float(bright.min()) == pytest.approx(1, abs=1e-6)
    camera = Camera(sharpest=0.9, defocus=2.2, aberration=0)
    assert float(widths_of(bright, camera).mean.mean()) == pytest.approx(math.hypot(0.9, 2.2))
    assert float(widths_of(dark, camera).mean.mean()) == pytest.approx(0.9)


def test_depth_is_smooth() -> None:
    depth = depth_of((images_of(1, 3, 64, 64) > 0.5).float(), Camera())
    assert float(depth.diff(dim=0).abs().max()) < 0.06


def test_aberration_points_from_the_middle_and_grows() -> None:
    camera = Camera(sharpest=1.0, defocus=0, aberration=2.0)
    widths = widths_of(torch.zeros(41, 61), camera)
    assert float(widths.along[20, 30]) == pytest.approx(1.0)
    assert float(widths.along[0, 0]) == pytest.approx(math.hypot(1, 2))
    assert float(widths.across[0, 0]) == pytest.approx(1.0)
    corner = kernels_of(widths, slice(0, 1), camera)[0, 0].numpy()
    line = np.arange(-7, 8)
    y, x = np.meshgrid(line, line, indexing="ij")
    xx, yy, xy = ((corner * m).sum() for m in (x * x, y * y, x * y))
    found = math.atan2(2 * xy, xx - yy) / 2
    assert found == pytest.approx(math.atan2(20, 30), abs=0.02)


@pytest.mark.parametrize(("across", "along"), [(1.2, 1.2), (1.0, 2.0), (2.4, 1.5)])
def test_the_width_of_a_gaussian_is_that_of_its_deviations(across: float, along: float) -> None:
    flat = torch.ones(1, 1)
    widths = Widths(across * flat, along * flat, 0.4 * flat)
    kernel = kernels_of(widths, slice(0, 1), Camera(kernel=25))[0]
    found = width_map(3 * kernel, torch.full((1, 2, 2), 0.5))  # whatever the brightness
    torch.testing.assert_close(found, float(widths.mean) * torch.ones(2, 2), rtol=0.01, atol=0)


def test_the_widths_of_mixtures_are_those_of_the_mixed_kernels() -> None:
    kernels, weights = images_of(3, 7, 7), images_of(3, 4, 5)
    found = width_map(kernels, weights)
    for y in range(4):
        for x in range(5):
            mixed = torch.einsum("m,mij->ij", weights[:, y, x], kernels)
            mixed = mixed / mixed.sum()
            wanted = math.sqrt(1 / (4 * math.pi * float(mixed.square().sum())))
            assert float(found[y, x]) == pytest.approx(wanted, rel=1e-5)
