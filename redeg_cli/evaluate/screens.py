"""Print screens: where the peak of a halftone lies in the spectrum, and whether it holds over a
whole picture."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from redeg_cli.degrade.tone import to_luma

LOWEST = 0.06
"""Cycles per pixel below which a peak is the picture's own: a screen of 16 pixels and more."""
_TILE = 128
"""Side in pixels of the parts whose phases are compared."""
_REACH = 3
"""Fourier bins around a peak that belong to it: the Hann window spreads it over two."""


@dataclass(frozen=True)
class Screen:
    """The strongest wave in what was done to a picture."""

    frequency: float
    """Cycles per pixel."""
    angle: float
    """Degrees in [0, 90): a dot screen has two waves across each other, which stand for one."""
    energy: float
    """Variance that both waves have together, in units of the range [0, 1] squared."""
    coherence: float
    """Share of the wave that keeps its phase over the whole picture: 1 for a screen, 0.2 to 0.3
    for noise (on 1024x1024), whose phase is anyone's in each part."""


@dataclass(frozen=True)
class ScreenErrors:
    """By how much a synthetic screen misses the true one."""

    frequency: float
    """Percent of the true frequency."""
    angle: float
    """Degrees, at most 45."""
    energy: float
    """dB; below 0 the synthetic screen is weaker."""
    coherence: float
    """Of the synthetic screen."""


def find_screen(lq: Tensor, hq: Tensor) -> Screen:
    """Return the screen of an aligned pair (1, 3, H, W) in [0, 1], sides of at least 128 pixels.

    Looked for in the luma of LQ - HQ from ``LOWEST`` to 0.5 cycles per pixel. There is always a
    strongest wave; without a screen it has hardly any energy or no coherence.
    """
    residual = to_luma(lq - hq)[0, 0].double()
    height, width = residual.shape
    if min(height, width) < _TILE:
        raise ValueError(f"a screen is looked for in {_TILE}x{_TILE} pixels, got {width}x{height}")
    window = _hann(residual, height)[:, None] * _hann(residual, width)
    spectrum = torch.fft.fft2((residual - residual.mean()) * window)
    # Over this, |X|² of a wave of amplitude a sums to its variance a² / 2 (both halves).
    power = spectrum.abs().square() / (window.square().sum() * height * width)
    fy = torch.fft.fftfreq(height, dtype=power.dtype, device=power.device)[:, None]
    fx = torch.fft.fftfreq(width, dtype=power.dtype, device=power.device)
    radius = (fx.square() + fy.square()).sqrt()
    inside = (radius >= LOWEST) & (radius <= 0.5)
    row, column = divmod(int(torch.where(inside, power, -1).argmax()), width)
    x, y = _climb(residual * window, float(fx[column]), float(fy[row, 0]))
    frequency = math.hypot(x, y)
    energy = sum(
        _energy_at(power, fx, fy, peak)
        for peak in ((x, y), (-y, x))  # and their negatives
    )
    angle = math.degrees(math.atan2(y, x)) % 90
    return Screen(frequency, angle, 2 * energy, _coherence(residual, x, y))


def compare_screens(made: Screen, true: Screen) -> ScreenErrors:
    """Return by how much ``made`` misses ``true``."""
    turned = abs(made.angle - true.angle) % 90
    return ScreenErrors(
        frequency=100 * abs(made.frequency / true.frequency - 1),
        angle=min(turned, 90 - turned),
        energy=10 * math.log10(max(made.energy, 1e-12) / max(true.energy, 1e-12)),
        coherence=made.coherence,
    )


def _climb(windowed: Tensor, x: float, y: float) -> tuple[float, float]:
    """Return the maximum (fx, fy) of the continuous spectrum near a Fourier bin.

    A bin is 1 / 1024 cycles per pixel on 1024 pixels; half of it off, a wave would lose its phase
    over the picture.
    """
    height, width = windowed.shape
    rows = torch.arange(height, dtype=windowed.dtype, device=windowed.device)
    columns = torch.arange(width, dtype=windowed.dtype, device=windowed.device)
    image = windowed.to(torch.complex128)
    step = 0.5
    while step > 0.01:
        tries = torch.tensor([-1.0, 0, 1], dtype=rows.dtype, device=rows.device) * step
        down = torch.exp(-2j * math.pi * (y + tries[:, None] / height) * rows)
        along = torch.exp(-2j * math.pi * (x + tries[:, None] / width) * columns)
        best = int((down @ image @ along.T).abs().argmax())
        x, y = x + float(tries[best % 3]) / width, y + float(tries[best // 3]) / height
        step /= 2
    return x, y


def _energy_at(power: Tensor, fx: Tensor, fy: Tensor, peak: tuple[float, float]) -> float:
    """Return the power within ``_REACH`` bins of a frequency, less that of as many bins around."""
    height, width = power.shape
    x, y = ((p + 0.5) % 1 - 0.5 for p in peak)
    away = ((fx - x) * width).square() + ((fy - y) * height).square()
    near, around = away <= _REACH**2, (away > _REACH**2) & (away <= (2 * _REACH) ** 2)
    background = float(power[around].median()) * int(near.sum())
    return max(float(power[near].sum()) - background, 0.0)


def _coherence(residual: Tensor, x: float, y: float) -> float:
    """Return |sum of a wave's complex amplitudes over tiles| / sum of their moduli."""
    height, width = residual.shape
    rows = torch.arange(height, dtype=residual.dtype, device=residual.device)[:, None]
    columns = torch.arange(width, dtype=residual.dtype, device=residual.device)
    wave = torch.exp(-2j * math.pi * (y * rows + x * columns))
    tiles = (residual * wave).unfold(0, _TILE, _TILE // 2).unfold(1, _TILE, _TILE // 2)
    hann = _hann(residual, _TILE)
    amplitudes = torch.einsum("abij,i,j->ab", tiles, hann.to(tiles), hann.to(tiles))
    whole = float(amplitudes.abs().sum())
    return float(amplitudes.sum().abs()) / whole if whole > 0 else 0.0


def _hann(like: Tensor, length: int) -> Tensor:
    return torch.hann_window(length, dtype=like.dtype, device=like.device)
