"""The statistics of a pair's spectra: known filters, known noise, and nothing of the picture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from redeg_cli.nets.pair_spectra import RINGS, SECTORS, SIZE, noise_colours, pair_spectra

BINS = RINGS * SECTORS
RADIUS = (np.arange(RINGS) + 0.5) * 0.5 / RINGS
"""Middle of each ring in cycles per px."""


def picture(seed: int, side: int = 160, slope: float = 1.0) -> torch.Tensor:
    """Return a picture (1, 3, side, side) whose amplitudes fall as frequency ** -slope."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = 1
    planes = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, side, side))) / frequency**slope).real
    planes = 0.5 + 0.15 * (planes - planes.mean()) / planes.std()
    return torch.from_numpy(planes.clip(0, 1)[None].astype(np.float32))


def blurred(hq: torch.Tensor, sigma: tuple[float, float]) -> torch.Tensor:
    return torch.from_numpy(gaussian_filter(hq.numpy(), (0, 0, *sigma), mode="reflect"))


def noise(seed: int, shape: tuple[int, ...], sigma: float) -> torch.Tensor:
    values = np.random.default_rng(seed).normal(scale=sigma, size=shape)
    return torch.from_numpy(values.astype(np.float32))


def gains(statistics: torch.Tensor) -> np.ndarray:
    return statistics[0, :BINS].view(RINGS, SECTORS).numpy()


def noise_powers(statistics: torch.Tensor) -> np.ndarray:
    """Return the noise's power (3, RINGS) per pixel in units of what 8 bits leave."""
    logs = statistics[0, 3 * BINS : 3 * BINS + 3 * RINGS].view(3, RINGS).numpy()
    return np.exp(4 * logs) - 0.1


def correlations(statistics: torch.Tensor) -> np.ndarray:
    return statistics[0, 3 * BINS + 3 * RINGS :].view(3, RINGS).numpy()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_blur_is_its_transfer_function(seed: int) -> None:
    hq = picture(seed)
    found = gains(pair_spectra(hq, blurred(hq, (1.2, 1.2))))
    expected = np.exp(-2 * (np.pi * RADIUS * 1.2) ** 2)
    # A ring takes in a little of its neighbours, of which the inner one is the stronger.
    assert np.abs(found - expected[:, None]).max() < 0.08


def test_a_blur_along_x_takes_that_direction_only() -> None:
    hq = picture(2)
    found = gains(pair_spectra(hq, blurred(hq, (0.01, 2.0))))
    ring = RINGS // 2
    across, along = found[ring, 0], found[ring, SECTORS // 2]
    assert across < 0.05
    assert along > 0.7


def test_nothing_done_is_a_gain_of_one_and_no_noise() -> None:
    hq = picture(3)
    statistics = pair_spectra(hq, hq)
    assert np.abs(gains(statistics) - 1).max() < 0.1
    assert noise_powers(statistics).max() < 1


@pytest.mark.parametrize("sigma", [0.02, 0.08])
def test_white_noise_has_its_power_in_every_ring_and_channel(sigma: float) -> None:
    hq = picture(4)
    statistics = pair_spectra(hq, hq + noise(5, (1, 3, 160, 160), sigma))
    powers = noise_powers(statistics) * (1 / 255) ** 2 / 12
    # The innermost ring has four frequencies only.
    assert np.abs(powers[:, 1:] / sigma**2 - 1).max() < 0.12
    assert np.abs(correlations(statistics)[:, 1:]).max() < 0.15


def test_gray_noise_is_the_same_in_all_channels() -> None:
    hq = picture(6)
    gray = noise(7, (1, 1, 160, 160), 0.05).expand(1, 3, -1, -1)
    assert correlations(pair_spectra(hq, hq + gray)).min() > 0.9


def test_the_degradation_counts_and_not_the_picture() -> None:
    """Rough and smooth pictures, blurred alike, are nearer than one blurred in two ways."""
    pictures = [picture(8, slope=0.8), picture(9, slope=1.3)]
    weak, strong = (
        [pair_spectra(hq, blurred(hq, (s, s)))[:, :BINS] for hq in pictures] for s in (0.8, 1.6)
    )
    between = min(float((a - b).norm()) for a in weak for b in strong)
    within = max(float((each[0] - each[1]).norm()) for each in (weak, strong))
    assert within < between / 2


@pytest.mark.parametrize("size", [(1, 1), (7, 40), (33, 32)])
def test_any_size_and_constant_pictures_are_finite(size: tuple[int, int]) -> None:
    rough = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    for hq in (rough, torch.zeros_like(rough), torch.ones_like(rough)):
        for lq in (rough.flip(0), torch.full_like(rough, 0.5)):
            statistics = pair_spectra(hq, lq)
            assert statistics.shape == (2, SIZE)
            assert statistics.isfinite().all()
            assert statistics.abs().max() < 10


@pytest.mark.parametrize("sigma", [(0.0, 0.0), (1.2, 1.2)])
def test_the_colours_of_noise(sigma: tuple[float, float]) -> None:
    """As they are, whether or not the picture below was blurred."""
    hq = picture(0)
    soft = blurred(hq, sigma)
    gray = noise(1, (1, 1, 160, 160), 0.04).repeat(1, 3, 1, 1)
    mixed = gray.clone()
    mixed[:, 2] = noise(2, (160, 160), 0.04)
    for grain, wanted in (
        (gray, (1.0, 1.0, 1.0)),
        (noise(3, (1, 3, 160, 160), 0.04), (0.0, 0.0, 0.0)),
        (mixed, (1.0, 0.0, 0.0)),
    ):
        there, *correlations = noise_colours(hq, soft + grain)[0].tolist()
        assert there == 1
        assert correlations == pytest.approx(wanted, abs=0.06)


def test_a_pair_without_noise_has_no_colours_of_it() -> None:
    hq = picture(0)
    for lq in (hq, blurred(hq, (1.5, 1.5)), (255 * hq).round() / 255):
        assert not noise_colours(hq, lq).any()
    assert not noise_colours(hq[..., :9, :9], hq[..., :9, :9]).any()


def test_colours_are_measured_without_complex_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's GPUs leave conjugations out of complex products (PyTorch pull request 191835)."""
    multiply = torch.Tensor.__matmul__

    def real_only(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        assert not a.is_complex()
        return multiply(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", real_only)
    hq = picture(0)
    grain = noise(1, (1, 1, 160, 160), 0.04)
    *_, correlation = noise_colours(hq, blurred(hq, (1.5, 1.5)) + grain)[0].tolist()
    assert correlation == pytest.approx(1, abs=0.05)
