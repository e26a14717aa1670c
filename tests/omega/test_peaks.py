"""Peaks: refined to the Cramér-Rao bound's order, told apart by whether they keep their phase."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from redeg_cli.omega.peaks import View, bin_size, find_peaks, high_pass

SIZE = (120, 160)


def wave(fx: float, fy: float, origin: tuple[int, int] = (0, 0), size=SIZE) -> Tensor:
    y, x = torch.meshgrid(
        torch.arange(size[0], dtype=torch.float64) + origin[1],
        torch.arange(size[1], dtype=torch.float64) + origin[0],
        indexing="ij",
    )
    return torch.cos(2 * math.pi * (fx * x + fy * y) + 0.4).float()


def gray(size=SIZE) -> Tensor:
    return torch.full((1, 3, *size), 0.5)


def grain(sigma: float, seed: int = 0, size=SIZE) -> Tensor:
    return sigma * torch.randn((1, 3, *size), generator=torch.Generator().manual_seed(seed))


def off(found: tuple[float, float], wanted: tuple[float, float]) -> float:
    return math.dist(found, wanted)


@pytest.mark.parametrize("wanted", [(0.1831, 0.0), (0.0517, 0.2213), (0.302, -0.1471)])
def test_frequencies_come_out_to_1e_4_in_grain(wanted: tuple[float, float]) -> None:
    view = View(gray(), gray() + 0.1 * wave(*wanted) + grain(0.05))
    peak = find_peaks([view], 0.04, 4.5)[0]
    assert off(peak.frequency, wanted) < 1e-4
    # The bound holds to within what three channels and chance make of it.
    assert off(peak.frequency, wanted) < 5 * math.hypot(*peak.error)
    assert peak.coherence > 0.8
    # Between two bins a Hann window shows 0.85 of it, in each direction 0.92.
    assert 0.083 < peak.magnitude < 0.105
    assert bin_size([view]) == (1 / 160, 1 / 120)


def test_a_second_view_far_away_tells_the_frequency_a_few_times_finer() -> None:
    wanted = (0.1437, 0.0621)
    place = (900, 420)
    errors = []
    for seed in range(4):
        near = View(gray(), gray() + 0.05 * wave(*wanted) + grain(0.1, seed))
        far = View(gray(), gray() + 0.05 * wave(*wanted, place) + grain(0.1, seed + 9), place)
        found = [find_peaks(views, 0.04, 4.5)[0].frequency for views in ([near], [near, far])]
        # Along the line between the two, where the second view tells it.
        along = [
            abs((fx - wanted[0]) * place[0] + (fy - wanted[1]) * place[1]) / math.hypot(*place)
            for fx, fy in found
        ]
        errors.append(along)
    one, two = (sum(column) / 4 for column in zip(*errors, strict=True))
    assert two < 0.4 * one
    assert two < 2e-5


def test_what_has_no_common_phase_is_not_coherent() -> None:
    # Cloth in one corner; and a wave whose sign turns from place to place.
    corner = torch.zeros(SIZE)
    corner[:40, :40] = 1
    turns = torch.randn((15, 20), generator=torch.Generator().manual_seed(2)).sign()
    turns = turns.repeat_interleave(8, 0).repeat_interleave(8, 1)
    for modulation in (corner, turns):
        lq = gray() + 0.2 * modulation * wave(0.21, 0.13) + grain(0.01)
        peaks = find_peaks([View(gray(), lq)], 0.04, 2.0)
        assert peaks
        assert all(peak.coherence < 0.2 for peak in peaks)
    # Dots that are stronger in some tones keep it.
    lq = gray() + 0.2 * (0.2 + 0.8 * (turns > 0)) * wave(0.21, 0.13) + grain(0.01)
    assert find_peaks([View(gray(), lq)], 0.04, 4.5)[0].coherence > 0.4


def test_grain_has_no_peaks() -> None:
    for seed in range(4):
        assert find_peaks([View(gray(), gray() + grain(0.1, seed))], 0.04, 4.5) == []


@pytest.mark.parametrize(("size", "side"), [((40, 33), 17), ((6, 50), 11)])
def test_high_pass_takes_off_the_mean_of_a_square(size: tuple[int, int], side: int) -> None:
    images = grain(1, size=size).double()
    around = np.pad(images[0].numpy(), ((0, 0), *[(side // 2, side // 2)] * 2), mode="reflect")
    squares = np.lib.stride_tricks.sliding_window_view(around, (side, side), (1, 2))
    wanted = images[0].numpy() - squares.mean((3, 4))
    np.testing.assert_allclose(high_pass(images, 8)[0].numpy(), wanted, atol=1e-12)
