"""Power spectra of images: by radius, above a frequency, and how channels of a field agree."""

import torch
from torch import Tensor

from redeg_cli.device import in_float64

BANDS = 8
"""Rings of equal width between 0 and 0.5 cycles per pixel."""
HIGH = 0.25
"""Cycles per pixel above which a frequency is high: half of Nyquist's."""
_FLOOR = 1 / 12 / 255**2
"""Power of the rounding to 8 bits, which every file has: nothing below it can be told apart."""


def radial_power(images: Tensor, bands: int = BANDS) -> Tensor:
    """Return the mean power in rings of the spectrum of images (B, C, H, W), (B, bands).

    Hann window, mean over the channels; white noise of variance v has v in every ring. Frequencies
    beyond 0.5 cycles per pixel (the corners) belong to no ring.
    """
    power, radius = _power(images)
    ring = (radius * (2 * bands)).long()
    return torch.stack([power[:, ring == i].mean(1) for i in range(bands)], 1)


def high_power(images: Tensor) -> Tensor:
    """Return the mean power at frequencies above ``HIGH``, the corners included, (B,)."""
    power, radius = _power(images)
    return power[:, radius > HIGH].mean(1)


def high_ratio(made: Tensor, true: Tensor) -> Tensor:
    """Return the ratio of the energies above ``HIGH`` of two batches (B, C, H, W), (B,)."""
    return (high_power(made) + _FLOOR) / (high_power(true) + _FLOOR)


def spectrum_difference(made: Tensor, true: Tensor, bands: int = BANDS) -> Tensor:
    """Return by how many dB the rings of two batches (B, C, H, W) differ, (B, bands).

    Above 0: ``made`` has more. Both count the rounding to 8 bits, so that a blurred picture's
    nothing is not compared with another nothing.
    """
    ratio = (radial_power(made, bands) + _FLOOR) / (radial_power(true, bands) + _FLOOR)
    return 10 * ratio.log10()


def log_spectral_distance(difference: Tensor) -> Tensor:
    """Return the root mean square of differences (B, bands) in dB over the rings, (B,)."""
    return difference.square().mean(1).sqrt()


def channel_correlation(field: Tensor) -> Tensor:
    """Return how R and G, R and B, G and B of fields (B, 3, H, W) correlate, (B, 3).

    1 for gray noise, 0 for noise of each channel's own; NaN for a channel that is constant.
    """
    flat = in_float64(field).flatten(2)
    flat = flat - flat.mean(2, keepdim=True)
    covariance = flat @ flat.transpose(1, 2)
    deviation = covariance.diagonal(dim1=1, dim2=2).sqrt()
    correlation = covariance / (deviation[:, :, None] * deviation[:, None])
    return torch.stack([correlation[:, i, j] for i, j in ((0, 1), (0, 2), (1, 2))], 1).float()


def _power(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the power at each frequency, (B, H, W), and its radius in cycles per pixel (H, W)."""
    height, width = images.shape[2:]
    x = in_float64(images)
    x = x - x.mean((2, 3), keepdim=True)
    window = torch.hann_window(height, periodic=False, dtype=x.dtype, device=x.device)[:, None]
    window = window * torch.hann_window(width, periodic=False, dtype=x.dtype, device=x.device)
    power = torch.fft.fft2(x * window).abs().square().mean(1) / window.square().sum()
    fy = torch.fft.fftfreq(height, dtype=x.dtype, device=x.device)[:, None]
    fx = torch.fft.fftfreq(width, dtype=x.dtype, device=x.device)
    return power, (fx.square() + fy.square()).sqrt()
