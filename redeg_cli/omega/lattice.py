"""Periodic structure of a degradation: screens, weaves, stripes.

Neither the HQ, nor Ω, nor white noise gives a lattice that stays coherent over a picture; sines and
cosines of its own frequencies do (periodic spatial GAN, Bergmann et al. 2017).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.omega.harmonics import find_sums, fit_basis, nearest_sum
from redeg_cli.omega.peaks import Frequency, Peak, View, bin_size, find_peaks
from redeg_cli.seeds import numpy_generator

COHERENCE = 0.25
"""Least coherence of a wave. On portraits printed with simulated screens the waves of the inks
have 0.4 to 0.95; the peaks of JPEG, grain and hair on others 0.05 at the most."""
FAINTEST = 1.5 / 255
"""Least amplitude of the strongest wave: fainter ones are not seen."""
JPEG_AMPLITUDE = 0.02
"""JPEG turns a slope into stairs, whose waves are coherent: on the slope of a sky (0.6 in 256 px)
at quality 5 to 60 their amplitudes reach 0.013."""


@dataclass(frozen=True)
class Lattice:
    """The frequencies of a periodic degradation."""

    frequencies: tuple[Frequency, ...]
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
        """Return a random place on the lattice's plane: fresh phases that belong together.

        In whole steps of 24 px, a multiple of two native pixels at every scale: a wave and its
        alias on the native grid (``harmonics.Sum``) keep their phases to each other.
        """
        x, y = (24 * int(417 * share) for share in numpy_generator(seed).random(2))
        return float(x), float(y)


def find_common_lattice(
    views: Sequence[View],
    scale: int = 2,
    most: int = 12,
    lowest: float = 0.04,
    contrast: float = 4.5,
    share: float = 0.08,
) -> Lattice | None:
    """Return the lattice of what LQ - HQ holds in all views of one photo, or None.

    A wave is a peak of the spectrum that keeps its phase (``COHERENCE``) and reaches ``share`` of
    the strongest one; at most ``most`` are returned. Waves that are sums of others, or aliases of
    such sums on a photo of this ``scale``, are made exactly so: see ``fit_basis``.
    """
    bins = bin_size(views)
    peaks = find_peaks(views, lowest, contrast)
    peaks = [peak for peak in peaks if not _is_jpeg(peak, scale, bins)]
    waves = [peak for peak in peaks if peak.coherence >= COHERENCE]
    waves = [peak for peak in waves if peak.magnitude >= share * waves[0].magnitude][:most]
    if not waves or waves[0].magnitude < FAINTEST:
        return None
    sums, count = find_sums(waves, bins, scale)
    basis = fit_basis(waves, sums, count, bins)
    for peak in peaks:
        if peak.coherence >= COHERENCE or peak.magnitude < share * waves[0].magnitude:
            continue
        # A harmonic whose sign turns with the tone (the diagonal of round dots: one in the lights,
        # the other in the shadows) keeps no phase, and its peak stands beside its place.
        found = nearest_sum(peak.frequency, basis, bins, scale, 1.5)
        if found is not None and found.alias == (0, 0) and found not in sums and len(sums) < most:
            sums.append(found)
    return Lattice(tuple(_half_plane(each.frequency(basis)) for each in sums))


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


def _is_jpeg(peak: Peak, scale: int, bins: Frequency) -> bool:
    """Whether a wave runs along the 8x8 blocks of a JPEG of the photo, and no stronger."""
    x, y = (abs(f) * 8 * scale for f in peak.frequency)
    off = abs(x - round(x)) / (8 * scale * bins[0]), abs(y - round(y)) / (8 * scale * bins[1])
    along = min(round(x), round(y)) == 0
    return along and max(off) < 0.5 and peak.magnitude < JPEG_AMPLITUDE


def _half_plane(frequency: Frequency) -> Frequency:
    """Return the frequency or its negative, which is the same wave, with (fx, fy) > (0, 0)."""
    x, y = frequency
    return (x, y) if (x, y) > (0, 0) else (-x, -y)
