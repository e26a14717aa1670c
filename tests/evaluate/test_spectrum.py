"""Power spectra: white noise and waves, whose spectra are known."""

import math

import pytest
import torch

from redeg_cli.evaluate.spectrum import (
    channel_correlation,
    high_power,
    high_ratio,
    log_spectral_distance,
    radial_power,
    spectrum_difference,
)


def white(deviation: float, seed: int = 0, count: int = 4, side: int = 128) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return deviation * torch.randn((count, 3, side, side), generator=generator)


def test_white_noise_has_its_variance_in_every_ring() -> None:
    power = radial_power(white(0.1))
    assert power.shape == (4, 8)
    torch.testing.assert_close(power.mean(0), torch.full((8,), 0.01).double(), rtol=0.06, atol=0)
    assert high_power(white(0.1)).mean().item() == pytest.approx(0.01, rel=0.03)


@pytest.mark.parametrize(("frequency", "ring"), [(0.1, 1), (0.22, 3), (0.34, 5), (0.47, 7)])
def test_a_wave_is_in_the_ring_of_its_frequency(frequency: float, ring: int) -> None:
    x = torch.arange(128.0)
    angle = torch.arange(3) * 0.7  # another direction each
    images = torch.stack(
        [torch.sin(2 * math.pi * frequency * (x * a.cos() + x[:, None] * a.sin())) for a in angle]
    )[:, None]
    power = radial_power(images)
    assert (power.argmax(1) == ring).all()
    assert (power[:, ring] > 0.9 * power.sum(1)).all()


def test_differences_are_in_decibels() -> None:
    twice, once = white(0.2, seed=1), white(0.1, seed=1)
    difference = spectrum_difference(twice, once)
    torch.testing.assert_close(
        difference, torch.full_like(difference, 20 * math.log10(2)), atol=0.01, rtol=0
    )
    assert log_spectral_distance(difference).tolist() == pytest.approx([6.02] * 4, abs=0.01)
    assert high_ratio(twice, once).tolist() == pytest.approx([4.0] * 4, rel=0.01)
    signed = torch.tensor([[3.0, -3.0, 3.0, -3.0]])
    assert log_spectral_distance(signed).item() == pytest.approx(3)


def test_nothing_beside_nothing_is_no_difference() -> None:
    """Below the rounding to 8 bits there is nothing to compare."""
    faint = white(1e-6)
    assert spectrum_difference(faint, torch.zeros_like(faint)).abs().max() < 1e-3


def test_correlation_is_that_of_the_mixing_matrix() -> None:
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, -0.6, 0.8]])
    field = torch.einsum("dc,bchw->bdhw", mixing, white(0.1, side=256))
    covariance = mixing @ mixing.T  # of unit variances: the correlations themselves
    wanted = [covariance[0, 1], covariance[0, 2], covariance[1, 2]]
    torch.testing.assert_close(
        channel_correlation(field).mean(0), torch.stack(wanted), atol=0.01, rtol=0
    )
    gray = field[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(channel_correlation(gray), torch.ones(4, 3))
    assert channel_correlation(torch.zeros(1, 3, 8, 8)).isnan().all()
