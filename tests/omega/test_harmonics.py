"""Harmonics: found to be sums of others, and then exactly so."""

import numpy as np
import pytest

from redeg_cli.omega.harmonics import Sum, find_sums, fit_basis, nearest_sum
from redeg_cli.omega.peaks import Frequency, Peak

BINS = (1 / 256, 1 / 160)
B0, B1 = (0.1023, 0.0311), (-0.0311, 0.1023)


def peak(frequency: Frequency, error: float = 1e-5, coherence: float = 1.0) -> Peak:
    return Peak(frequency, 0.1, (error, error), coherence)


def test_sums_multiples_and_aliases_are_found() -> None:
    waves = [
        B0,
        B1,
        (B0[0] + B1[0], B0[1] + B1[1]),
        (2 * B0[0], 2 * B0[1]),
        (B0[0] - 0.25, B0[1]),  # chroma of 4:2:0 at scale 2 has one value every 4 px
        (0.2222, 0.1717),
    ]
    sums, count = find_sums([peak(wave) for wave in waves], BINS, 2)
    assert count == 3
    assert sums[:2] == [Sum(((0, 1),)), Sum(((1, 1),))]
    assert sums[2] == Sum(((0, 1), (1, 1)))
    assert sums[3] == Sum(((0, 2),))
    assert sums[4] == Sum(((0, 1),), (0.25, 0.0))
    assert sums[5] == Sum(((2, 1),))
    for wave, each in zip(waves, sums, strict=True):
        assert each.frequency([B0, B1, waves[5]]) == pytest.approx(wave, abs=1e-12)


def test_what_is_farther_off_is_a_wave_of_its_own() -> None:
    twice = (2 * B0[0] + 0.3 * BINS[0], 2 * B0[1])
    assert nearest_sum(twice, [B0], BINS, 2, 0.15) is None
    assert nearest_sum(twice, [B0], BINS, 2, 0.5) == Sum(((0, 2),))


def test_the_basis_is_the_least_squares_solution() -> None:
    """One basis vector measured at once, twice and three times: the closed form of a slope."""
    rng = np.random.default_rng(0)
    orders = np.array([1, 2, 3])
    measured = orders * B0[0] + rng.normal(0, 1e-5, 3)
    peaks = [peak((float(x), n * B0[1]), 1.0) for x, n in zip(measured, orders, strict=True)]
    (found,) = fit_basis(peaks, [Sum(((0, int(n)),)) for n in orders], 1, BINS)
    assert found[0] == pytest.approx((orders * measured).sum() / (orders**2).sum(), abs=1e-9)
    assert found[1] == pytest.approx(B0[1], abs=1e-12)


def test_waves_that_only_some_blocks_agree_on_hardly_count() -> None:
    shifted = (2 * B0[0] + 4e-4, 2 * B0[1])
    sums = [Sum(((0, 1),)), Sum(((0, 2),))]
    errors = []
    for coherence in (1.0, 0.3):
        (found,) = fit_basis([peak(B0), peak(shifted, coherence=coherence)], sums, 1, BINS)
        errors.append(abs(found[0] - B0[0]))
    assert errors[0] > 1e-4
    assert errors[1] < 1e-5
