"""Lattices: found where one was put, and nowhere else."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.omega.lattice import Lattice, find_lattice

SIZE = (128, 160)


def plane(fx: float, fy: float, phase: float = 0.0) -> Tensor:
    y, x = torch.meshgrid(
        torch.arange(SIZE[0], dtype=torch.float64),
        torch.arange(SIZE[1], dtype=torch.float64),
        indexing="ij",
    )
    return torch.sin(2 * math.pi * (fx * x + fy * y) + phase).float()


def scene(seed: int = 0) -> Tensor:
    """A smooth picture (1, 3, H, W) with an edge."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    tone = 0.5 + 0.2 * np.sin(x / 23 + seed) * np.cos(y / 31) + 0.15 * (x + y > 150)
    return torch.from_numpy(tone).float().expand(1, 3, *SIZE).clone()


@pytest.mark.parametrize(
    ("fx", "fy"), [(0.1873, 0.0), (0.0, 0.2511), (0.123, 0.0971), (0.31, -0.2047)]
)
def test_a_sine_between_the_bins_is_found(fx: float, fy: float) -> None:
    hq = scene()
    noise = 0.01 * torch.randn(hq.shape, generator=torch.Generator().manual_seed(0))
    found = find_lattice(hq + 0.06 * plane(fx, fy, 0.7) + noise, hq)
    assert found is not None
    x, y = found.frequencies[0]
    if x * fx + y * fy < 0:  # the other half plane says the same
        x, y = -x, -y
    # 0.02 bins: 2,500 px away the maps are off by less than a third of a period.
    assert abs(x - fx) < 0.02 / SIZE[1]
    assert abs(y - fy) < 0.02 / SIZE[0]


def test_two_directions_are_both_found() -> None:
    hq = scene()
    found = find_lattice(hq + 0.05 * plane(0.2, 0.03) + 0.04 * plane(-0.03, 0.2), hq)
    assert found is not None
    got = {(round(abs(x), 2), round(abs(y), 2)) for x, y in found.frequencies}
    assert {(0.2, 0.03), (0.03, 0.2)} <= got


def test_no_lattice_in_noise_blur_or_nothing() -> None:
    hq = scene()
    for seed in range(3):
        noise = 0.05 * torch.randn(hq.shape, generator=torch.Generator().manual_seed(seed))
        assert find_lattice(hq + noise, hq) is None
    assert find_lattice(hq, hq) is None
    blurred = torch.nn.functional.avg_pool2d(hq, 5, 1, 2, count_include_pad=False)
    assert find_lattice(blurred, hq) is None


def test_maps_are_sines_and_cosines() -> None:
    lattice = Lattice(((0.1, 0.0), (0.05, -0.2)))
    maps = lattice.maps(20, 30, (3.0, 5.0))
    assert maps.shape == (4, 20, 30)
    assert maps.dtype == torch.float32
    y, x = np.mgrid[5.0:25.0, 3.0:33.0]
    for index, (fx, fy) in enumerate(lattice.frequencies):
        angle = 2 * np.pi * (fx * x + fy * y)
        assert np.abs(maps[2 * index].numpy() - np.sin(angle)).max() < 1e-5
        assert np.abs(maps[2 * index + 1].numpy() - np.cos(angle)).max() < 1e-5


def test_crops_of_one_plane_agree() -> None:
    lattice = Lattice(((0.123, 0.071),))
    whole = lattice.maps(64, 64, (1000.25, 77.5))
    part = lattice.maps(16, 20, (1000.25 + 30, 77.5 + 12))
    assert torch.allclose(whole[:, 12:28, 30:50], part, atol=1e-6)


def test_shifts_come_from_the_seed() -> None:
    lattice = Lattice(((0.1, 0.2),))
    assert lattice.draw_shift(1) == lattice.draw_shift(1)
    assert lattice.draw_shift(1) != lattice.draw_shift(2)
