"""Spectral peaks of what a degradation adds: found, checked for coherence, refined.

A wave that a screen, a weave or stripes put into a picture has one phase all over it. Grain has a
peak here and there by chance, hair and cloth have one in some place: neither keeps its phase.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 8
"""Pixels to either side that the local mean goes over that is taken off first."""
BLOCK = 24
"""Side in pixels of the blocks whose phases are compared."""

Planes = np.ndarray
"""float64 (C, H, W)."""
Frequency = tuple[float, float]
"""(fx, fy) in cycles per pixel of the HQ grid."""


@dataclass(frozen=True, eq=False)
class View:
    """A part of a photo and its sharp version, and where it lies."""

    hq: Tensor
    """(1, 3, H, W) in [0, 1]."""
    lq: Tensor
    """Aligned, (1, 3, H, W)."""
    origin: tuple[int, int] = (0, 0)
    """(x, y) of the top-left pixel on the photo's HQ grid."""


@dataclass(frozen=True)
class Peak:
    """One wave."""

    frequency: Frequency
    """In the half plane (fx, fy) > (0, 0): its negative is the same wave."""
    magnitude: float
    """Of the spectrum, as shares of a full-scale wave's."""
    error: Frequency
    """Standard errors of fx and fy in cycles per pixel, if what else is there is white."""
    coherence: float
    """1 when all blocks of the picture hold the wave with one phase and strength, 1 / blocks when
    one block holds it or their phases are random."""


@dataclass(frozen=True, eq=False)
class _Residual:
    planes: Planes
    """LQ - HQ without its local mean."""
    seen: Planes
    """The planes under a Hann window: peaks far away leave no trace."""
    weight: float
    """The sum of the Hann window."""
    measured: Planes
    """The planes under half a cosine: wider, so frequencies come out finer (on simulated screens
    rms errors are 0.7 of those under a Hann window)."""
    spread: tuple[float, float]
    """Standard deviation of x and y under the cosine window, in pixels."""
    origin: tuple[int, int]


def find_peaks(views: Sequence[View], lowest: float, contrast: float) -> list[Peak]:
    """Return the peaks of the spectrum of LQ - HQ, over all views, strongest first.

    A peak of a channel, or of the channels' mean, counts when it lies beyond ``lowest`` cycles per
    pixel and stands ``contrast`` times above the median around it. Frequencies are refined on
    all views together.
    """
    residuals = [_residual(view) for view in views]
    found: list[Peak] = []
    for magnitude, noise, start in _candidates(residuals, lowest, contrast):
        if any(_same(start, peak.frequency, residuals) for peak in found):
            continue
        x, y = _refine(residuals, start)
        x, y = (x, y) if (x, y) > (0, 0) else (-x, -y)
        if not any(_same((x, y), peak.frequency, residuals) for peak in found):
            error = _error(residuals, magnitude / noise)
            found.append(Peak((x, y), magnitude, error, _coherence(residuals, (x, y))))
    return found


def bin_size(views: Sequence[View]) -> Frequency:
    """Return the width and height of a Fourier bin of the largest view, in cycles per pixel."""
    largest = max(views, key=lambda view: view.lq[0, 0].numel())
    return 1 / largest.lq.shape[3], 1 / largest.lq.shape[2]


def high_pass(images: Tensor, reach: int) -> Tensor:
    """Return images (B, C, H, W) without their local mean, over ``reach`` pixels to either side."""
    pad = min(reach, min(images.shape[2:]) - 1)
    side = 2 * pad + 1
    around = F.pad(images, (pad,) * 4, mode="reflect")
    # Along one axis and then the other: of 512x512 px in a sixth of the time.
    means = F.avg_pool2d(F.avg_pool2d(around, (side, 1), stride=1), (1, side), stride=1)
    return images - means


def _residual(view: View) -> _Residual:
    smooth = F.avg_pool2d(F.pad(view.hq, (1, 1, 1, 1), mode="reflect"), 3, stride=1)
    residual = (view.lq - smooth).double()
    planes = high_pass(residual, REACH)[0].numpy()
    height, width = planes.shape[1:]
    hann = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]
    down, along = (np.sin(np.pi * (np.arange(n) + 0.5) / n) for n in (height, width))
    # The variance of x under sin(π x) on [0, 1] is 1/4 - 2/π².
    spread = math.sqrt(0.25 - 2 / math.pi**2)
    return _Residual(
        planes,
        planes * hann,
        float(hann.sum()),
        planes * (down[:, None] * along),
        (spread * width, spread * height),
        view.origin,
    )


def _candidates(
    residuals: Sequence[_Residual], lowest: float, contrast: float
) -> list[tuple[float, float, Frequency]]:
    """Return (magnitude, noise, (fx, fy)) of the peaks of all channels, strongest first."""
    height = max(residual.planes.shape[1] for residual in residuals)
    width = max(residual.planes.shape[2] for residual in residuals)
    full = sum(residual.weight for residual in residuals) / 2
    power = torch.zeros(4, height, width // 2 + 1, dtype=torch.float64)
    for residual in residuals:
        planes = torch.from_numpy(residual.seen)
        planes = torch.cat([planes, planes.mean(0, keepdim=True)])
        power += torch.fft.rfft2(planes, s=(height, width)).abs().square()
    fy = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    fx = torch.fft.rfftfreq(width, dtype=torch.float64)[None]
    allowed = ((fx.square() + fy.square()).sqrt() > lowest) & ((fx > 0) | (fy > 0))
    found: list[tuple[float, float, Frequency]] = []
    for plane in power.sqrt() / full:
        top = F.max_pool2d(plane[None, None], 5, 1, 2)[0, 0]
        # 1e-3: below lies the rounding of 8-bit files.
        rows, columns = torch.nonzero(allowed & (plane == top) & (plane > 1e-3), as_tuple=True)
        noises = _medians_around(plane, rows, columns, 13).tolist()
        for row, column, noise in zip(rows.tolist(), columns.tolist(), noises, strict=True):
            magnitude = float(plane[row, column])
            if magnitude > contrast * noise + 1e-3:
                found.append((magnitude, noise + 1e-6, (float(fx[0, column]), float(fy[row, 0]))))
    return sorted(found, reverse=True)[:64]


def _refine(residuals: Sequence[_Residual], start: Frequency) -> Frequency:
    """Climb to the maximum of the continuous power spectrum around ``start``.

    At first the views' powers are added; then, from the largest view to the farthest one, their
    phases too: two faces a thousand pixels apart tell a frequency like a region of that size.
    """
    order = sorted(residuals, key=lambda r: -r.planes[0].size)
    x, y = start
    height, width = order[0].planes.shape[1:]
    x, y = _climb([[r] for r in order], (x, y), (0.5 / width, 0.5 / height), 11)
    first = order[0].origin
    near = sorted(order[1:], key=lambda r: math.dist(r.origin, first))
    for count in range(1, len(near) + 1):
        reach = max(math.dist(r.origin, first) for r in near[:count]) + max(height, width)
        step = 0.25 / reach
        x, y = _climb([[order[0], *near[:count]]], (x, y), (step, step), 9)
    return x, y


def _climb(
    groups: Sequence[Sequence[_Residual]],
    start: Frequency,
    step: Frequency,
    rounds: int,
) -> Frequency:
    """Pattern search: the best of 3x3 frequencies, with steps that are halved ``rounds`` times."""
    x, y = start
    step_x, step_y = step
    for _ in range(rounds):
        xs = [x - step_x, x, x + step_x]
        ys = [y - step_y, y, y + step_y]
        power = sum(
            np.square(np.abs(sum(_waves(r, xs, ys) for r in group))).sum(0) for group in groups
        )
        j, i = np.unravel_index(int(np.argmax(power)), (3, 3))
        x, y = xs[int(i)], ys[int(j)]
        if (i, j) == (1, 1):
            step_x, step_y = step_x / 2, step_y / 2
    return x, y


def _waves(residual: _Residual, xs: Sequence[float], ys: Sequence[float]) -> np.ndarray:
    """Return the spectrum (C, len(ys), len(xs)) at these frequencies, in the photo's phase."""
    height, width = residual.planes.shape[1:]
    x0, y0 = residual.origin
    along = np.exp(-2j * np.pi * np.outer(xs, np.arange(width) + x0))
    down = np.exp(-2j * np.pi * np.outer(ys, np.arange(height) + y0))
    return down @ residual.measured @ along.T


def _coherence(residuals: Sequence[_Residual], frequency: Frequency) -> float:
    """Return how far the blocks of the views hold the wave with one phase, see ``Peak``."""
    together, apart = 0.0, 0.0
    for residual in residuals:
        height, width = residual.planes.shape[1:]
        along = np.exp(-2j * np.pi * frequency[0] * np.arange(width))
        down = np.exp(-2j * np.pi * frequency[1] * np.arange(height))
        turned = residual.planes * down[:, None] * along
        rows = np.arange(0, height - BLOCK // 2, BLOCK)
        columns = np.arange(0, width - BLOCK // 2, BLOCK)
        sums = np.add.reduceat(np.add.reduceat(turned, rows, 1), columns, 2)
        together += float(np.square(np.abs(sums.sum((1, 2)))).sum())
        apart += float(np.square(np.abs(sums)).sum()) * len(rows) * len(columns)
    return together / max(apart, 1e-30)


def _error(residuals: Sequence[_Residual], ratio: float) -> Frequency:
    """Return the standard errors of a frequency whose peak is ``ratio`` times the median noise."""
    # Cramér-Rao: sd(f) = 1 / (2π sd(x) √2 |Z| / rms noise); the median of a Rayleigh
    # distribution is 0.83 of its root mean square.
    largest = max(residuals, key=lambda r: r.planes[0].size)
    factor = 1 / (2 * math.pi * math.sqrt(2) * 0.83 * ratio)
    return factor / largest.spread[0], factor / largest.spread[1]


def _same(a: Frequency, b: Frequency, residuals: Sequence[_Residual]) -> bool:
    height = max(residual.planes.shape[1] for residual in residuals)
    width = max(residual.planes.shape[2] for residual in residuals)
    return any(
        abs(a[0] - sign * b[0]) < 1.5 / width and abs(a[1] - sign * b[1]) < 1.5 / height
        for sign in (1, -1)
    )


def _medians_around(plane: Tensor, rows: Tensor, columns: Tensor, size: int) -> Tensor:
    """Return the medians of the squares of ``size`` around some places of a plane."""
    padded = F.pad(plane[None, None], (size // 2,) * 4, mode="reflect")[0, 0]
    return padded.unfold(0, size, 1).unfold(1, size, 1)[rows, columns].flatten(1).median(1).values
