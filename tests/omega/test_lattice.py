"""Lattices: found where one was put, and nowhere else."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.degrade.resize import to_aligned
from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.omega.lattice import Lattice, find_common_lattice
from redeg_cli.omega.peaks import View

SIZE = (128, 160)


def find_lattice(lq: Tensor, hq: Tensor) -> Lattice | None:
    """What is found in one pair."""
    return find_common_lattice([View(hq, lq)])


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


@pytest.mark.parametrize(("levels", "seen"), [(1.2, False), (2.0, True)])
def test_waves_that_nobody_sees_are_left_alone(levels: float, seen: bool) -> None:
    hq = scene()
    assert (find_lattice(hq + levels / 255 * plane(0.2, 0.03), hq) is not None) is seen


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


def test_a_shift_keeps_waves_and_their_aliases_in_step() -> None:
    """What native pixels, or chroma at half of them, took off a frequency makes whole periods."""
    lattice = Lattice(((0.1, 0.2),))
    for seed in range(50):
        for place in lattice.draw_shift(seed):
            assert 0 <= place < 10_008
            for scale in (1, 2, 3, 4):
                assert place / (2 * scale) == place // (2 * scale)


def portrait(size: int = 192) -> Tensor:
    """Something like a face (1, 3, size, size): rounded slopes, edges, and hair on top."""
    y, x = np.mgrid[:size, :size] / size
    radius = np.hypot((x - 0.5) * 1.3, y - 0.55)
    tone = 0.75 - 0.4 * radius + 0.1 * np.sin(9 * x) * np.cos(7 * y)
    tone = np.where(np.hypot(x - 0.37, y - 0.45) < 0.05, 0.2, tone)
    hair = 0.2 + 0.1 * np.sin(400 * x + 40 * np.sin(5 * y))
    tone = np.where((y < 0.2) & (radius < 0.5), hair, tone)
    planes = [tone, 0.9 * tone, 0.8 * tone]
    return torch.from_numpy(np.stack(planes)).float()[None].clamp(0, 1)


def degraded(hq: Tensor, *steps: StepTable) -> Tensor:
    native: StepTable = {"op": "resize", "of": "native", "filter": "bicubic", "antialias": True}
    return to_aligned(run_steps(hq, [*steps[:-1], native, steps[-1]], 2), 2)


@pytest.mark.parametrize(("pitch", "angles"), [(7.3, [38.0]), (6.3, [18.3, 78.3, 3.3, 48.3])])
def test_a_print_screen_is_found_and_its_waves_stay_together(
    pitch: float, angles: list[float]
) -> None:
    hq = portrait()
    screen: StepTable = {"op": "halftone", "pitch": pitch, "angles": angles, "softness": 0.4}
    lq = degraded(hq, {**screen, "seed": 3}, {"op": "jpeg", "quality": 80})
    rows = (..., slice(0, 144), slice(None))
    found = find_lattice(lq[rows], hq[rows])
    assert found is not None
    turn = np.deg2rad(np.array(angles))
    truth = np.concatenate([np.stack([np.cos(turn), np.sin(turn)], 1)] * 2) / pitch
    truth[len(angles) :] = truth[len(angles) :] @ np.array([[0, 1], [-1, 0]])
    got = np.array(found.frequencies)
    distance = np.minimum(*(np.linalg.norm(got[:, None] - s * truth, axis=-1) for s in (1, -1)))
    fundamentals = distance.min(1) < 2e-3
    assert fundamentals.sum() >= (2 if len(angles) == 1 else 4)
    assert distance.min(1)[fundamentals].max() < 3e-4
    assert distance.min(1)[fundamentals][0] < 1e-4  # the strongest
    if len(angles) == 1:
        # Every wave is a whole sum of the two to rounding, so the dots keep their shape anywhere.
        two = got[:2]
        counts = np.linalg.solve(two.T, got.T).T
        assert len(got) > 2
        assert np.abs(counts - counts.round()).max() < 1e-9


def test_jpeg_grain_and_hair_are_no_lattice() -> None:
    hq = portrait(128)
    y, x = np.mgrid[:128, :128]
    sky = torch.from_numpy(0.2 + 0.3 * x / 128 + 0.05 * y / 128).float().expand(1, 3, 128, 128)
    for quality in (10, 20):
        compressed: StepTable = {"op": "jpeg", "quality": quality}
        assert find_lattice(degraded(hq, compressed), hq) is None
        # On a slope the blocks' steps are coherent, and still no screen.
        assert find_lattice(degraded(sky.clone(), compressed), sky) is None
    noisy = degraded(hq, {"op": "noise", "sigma": 0.1, "seed": 1})
    assert find_lattice(noisy, hq) is None
    smoother = torch.nn.functional.avg_pool2d(hq, 9, 1, 4, count_include_pad=False)
    assert find_lattice(hq, smoother) is None


def test_views_of_one_photo_are_taken_together() -> None:
    hq = scene()
    place = (700, 300)
    fx, fy = 0.1731, 0.0613
    phase = 2 * math.pi * (fx * place[0] + fy * place[1])
    noise = [
        0.05 * torch.randn(hq.shape, generator=torch.Generator().manual_seed(i)) for i in (0, 1)
    ]
    views = [
        View(hq, hq + 0.04 * plane(fx, fy) + noise[0]),
        View(hq, hq + 0.04 * plane(fx, fy, phase) + noise[1], place),
    ]
    found = find_common_lattice(views)
    assert found is not None
    assert len(found.frequencies) == 1
    x, y = found.frequencies[0]
    along = ((x - fx) * place[0] + (y - fy) * place[1]) / math.hypot(*place)
    assert abs(along) < 1e-5
