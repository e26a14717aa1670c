"""Periodic structure of a degradation: screens, weaves, stripes.

Neither the HQ, nor Ω, nor white noise gives a lattice that stays coherent over a picture; sines and
cosines of its own frequencies do (periodic spatial GAN, Bergmann et al. 2017).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.seeds import numpy_generator


@dataclass(frozen=True)
class Lattice:
    """The frequencies of a periodic degradation."""

    frequencies: tuple[tuple[float, float], ...]
    """(fx, fy) in cycles per pixel of the HQ grid, half plane, strongest first."""

    def maps(self, height: int, width: int, origin: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """Return a sine and a cosine map per frequency, (2K, height, width) in [-1, 1].

        ``origin`` is the (x, y) position of the top-left pixel on the lattice's own plane: crops
        of one picture agree when each is given its place, and another origin is another phase.
        """
        y = torch.arange(height, dtype=torch.float64) + origin[1]
        x = torch.arange(width, dtype=torch.float64) + origin[0]
        maps = []
        for fx, fy in self.frequencies:
            angle = 2 * math.pi * ((fy * y) % 1)[:, None] + 2 * math.pi * ((fx * x) % 1)[None]
            maps += [angle.sin(), angle.cos()]
        return torch.stack(maps).float()

    def draw_shift(self, seed: int) -> tuple[float, float]:
        """Return a random place on the lattice's plane: fresh phases that belong together."""
        x, y = numpy_generator(seed).uniform(0, 10_000, 2)
        return float(x), float(y)


def find_lattice(
    lq: Tensor,
    hq: Tensor,
    most: int = 12,
    lowest: float = 0.04,
    contrast: float = 4.0,
    share: float = 0.08,
) -> Lattice | None:
    """Return the lattice of the residual LQ - HQ of an aligned pair (1, 3, H, W), or None.

    A peak of the spectrum of a channel (Hann window) counts when it lies beyond ``lowest`` cycles
    per pixel, stands ``contrast`` times above the median around it and reaches ``share`` of the
    highest. Frequencies are refined beyond the Fourier bin, or the lattice would drift over a
    large picture: 0.1 bins of a 256 px region are a whole period after 2,560 px.
    """
    residual = (lq - _smooth(hq))[0].double()
    residual = (
        residual
        - F.avg_pool2d(F.pad(residual[None], (8, 8, 8, 8), mode="reflect"), 17, stride=1)[0]
    )
    height, width = residual.shape[1:]
    window = torch.hann_window(height, periodic=False, dtype=torch.float64)[:, None]
    window = window * torch.hann_window(width, periodic=False, dtype=torch.float64)[None]
    found: list[tuple[float, float, float]] = []
    for plane in [*residual, residual.mean(0)]:
        found += _peaks(plane * window, lowest, contrast)
    if not found:
        return None
    found.sort(reverse=True)
    threshold = share * found[0][0]
    kept: list[tuple[float, float]] = []
    for strength, x, y in found:
        # A frequency and its negative are one wave: the half plane x > 0 stands for both.
        fx, fy = (x, y) if (x, y) > (0, 0) else (-x, -y)
        near = any(
            abs(sign * fx - kx) < 1.5 / width and abs(sign * fy - ky) < 1.5 / height
            for kx, ky in kept
            for sign in (-1, 1)
        )
        if strength >= threshold and not near and len(kept) < most:
            kept.append((fx, fy))
    return Lattice(tuple(kept))


def without_lattice(image: Tensor, lattice: Lattice, width: float = 3.5) -> Tensor:
    """Return an image (1, C, H, W) in [0, 1] without what it holds at the lattice's frequencies.

    A restored face may keep a trace of the screen it was printed with; then it is no HQ. Each
    frequency is notched out with a Gaussian of ``width`` Fourier bins of the image's own size.
    """
    height, columns = image.shape[2:]
    pad = min(32, height - 1, columns - 1)
    spectrum = torch.fft.fft2(F.pad(image.double(), (pad,) * 4, mode="reflect"))
    fy = torch.fft.fftfreq(spectrum.shape[2], dtype=torch.float64)[:, None]
    fx = torch.fft.fftfreq(spectrum.shape[3], dtype=torch.float64)[None]
    for x, y in lattice.frequencies:
        for sign in (-1, 1):
            bins = ((fx - sign * x) * columns) ** 2 + ((fy - sign * y) * height) ** 2
            spectrum = spectrum * (1 - torch.exp(-0.5 * bins / width**2))
    clean = torch.fft.ifft2(spectrum).real[:, :, pad : pad + height, pad : pad + columns]
    return clean.clamp(0, 1).to(image.dtype)


def lattice_energy(image: Tensor, lattice: Lattice) -> float:
    """Return how strongly an image (1, 3, H, W) holds the lattice: mean amplitude of its waves."""
    luma = image.double().mean(1)[0]
    luma = luma - luma.mean()
    height, width = luma.shape
    window = torch.hann_window(height, periodic=False, dtype=torch.float64)[:, None]
    window = window * torch.hann_window(width, periodic=False, dtype=torch.float64)[None]
    y = torch.arange(height, dtype=torch.float64)
    x = torch.arange(width, dtype=torch.float64)
    amplitudes = []
    for fx, fy in lattice.frequencies:
        along = torch.exp(-2j * math.pi * fx * x)
        down = torch.exp(-2j * math.pi * fy * y)
        wave = down @ (luma * window).to(torch.complex128) @ along
        amplitudes.append(2 * float(wave.abs()) / float(window.sum()))
    return sum(amplitudes) / len(amplitudes)


def _peaks(plane: Tensor, lowest: float, contrast: float) -> list[tuple[float, float, float]]:
    """Return (magnitude, fx, fy) of the significant peaks of one windowed plane."""
    height, width = plane.shape
    spectrum = torch.fft.rfft2(plane).abs()
    fy = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    fx = torch.fft.rfftfreq(width, dtype=torch.float64)[None]
    radius = (fx**2 + fy**2).sqrt()
    top = F.max_pool2d(spectrum[None, None], 5, 1, 2)[0, 0]
    background = _median(spectrum, 13)
    # 1e-3 of the pixels' amplitude: below it lies the rounding of 8-bit files.
    floor = 1e-3 * height * width / 4
    is_peak = (spectrum == top) & (radius > lowest) & (spectrum > contrast * background + floor)
    is_peak &= (fx > 0) | (fy > 0)
    rows, columns = torch.nonzero(is_peak, as_tuple=True)
    strongest = spectrum[rows, columns].argsort(descending=True)[:24]
    peaks = []
    for index in strongest.tolist():
        row, column = int(rows[index]), int(columns[index])
        start = (float(fx[0, column]), float(fy[row, 0]))
        x, y = _refine(plane.numpy(), start)
        peaks.append((float(spectrum[row, column]), x, y))
    return peaks


def _refine(plane: np.ndarray, start: tuple[float, float]) -> tuple[float, float]:
    """Climb to the maximum of the continuous spectrum around a bin."""
    height, width = plane.shape
    x, y = start
    step_x, step_y = 0.5 / width, 0.5 / height
    columns, rows = np.arange(width), np.arange(height)
    for _ in range(9):
        offsets = (-1, 0, 1)
        along = np.exp(-2j * np.pi * np.outer([x + i * step_x for i in offsets], columns))
        down = np.exp(-2j * np.pi * np.outer([y + j * step_y for j in offsets], rows))
        power = np.abs(down @ plane @ along.T)
        j, i = np.unravel_index(int(power.argmax()), power.shape)
        x, y = x + (int(i) - 1) * step_x, y + (int(j) - 1) * step_y
        step_x, step_y = step_x / 2, step_y / 2
    return x, y


def _median(spectrum: Tensor, size: int) -> Tensor:
    pad = size // 2
    padded = F.pad(spectrum[None, None], (pad, pad, pad, pad), mode="reflect")
    patches = padded.unfold(2, size, 1).unfold(3, size, 1)
    return patches.reshape(*spectrum.shape, -1).median(-1).values


def _smooth(image: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(image, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
