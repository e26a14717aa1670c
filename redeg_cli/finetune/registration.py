"""Where a sharp picture lies on the photo: its shift, to a fraction of a pixel."""

import math

import numpy as np

from redeg_cli.degrade.tone import LUMA

_LOWEST, _HIGHEST = 0.02, 0.15
"""Cycles per photo pixel: below lies uneven light, above what the degradation has destroyed."""


def find_shift(
    sharp: np.ndarray, photo: np.ndarray, scale: int, most: float
) -> tuple[float, float]:
    """Return by how many pixels (x, y) ``sharp`` has to be moved to lie on ``photo``.

    Both are (H, W, 3) in [0, 1] on the HQ grid, ``scale`` times finer than the photo's; ``most``
    is the largest shift, HQ pixels, in each direction. Phase correlation (Kuglin and Hines 1975)
    within the band of frequencies that a degraded photo still holds: being of phases only, it does
    not see the blur, and hardly the tones. The peak of the band is wide, so a parabola through it
    tells fractions of a pixel.
    """
    height, width = photo.shape[:2]
    spectra = [_spectrum(image) for image in (sharp, photo)]
    cross = spectra[1] * np.conj(spectra[0])
    # Half whitened where there is next to nothing, so that rounding has no say.
    size = np.abs(cross)
    correlation = np.fft.irfft2(
        cross / (size + 1e-3 * size.max()) * _band(height, width, scale), (height, width)
    )
    reach = [min(math.ceil(most), side // 2 - 1) for side in (height, width)]
    rows = np.arange(-reach[0], reach[0] + 1)
    columns = np.arange(-reach[1], reach[1] + 1)
    near = correlation[np.ix_(rows % height, columns % width)]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return (
        float(columns[column] + _between(near[row], int(column))),
        float(rows[row] + _between(near[:, column], int(row))),
    )


def similarity_of(first: np.ndarray, second: np.ndarray, scale: int) -> float:
    """Return the correlation in [-1, 1] of the gradients of two pictures (H, W, 3) in that band.

    A portrait and its blurred, noisy, faded or halftoned version have 0.94 to 1.0, the portrait
    and its mirrored version 0.41 (0.69 without the gradient: light and shade lie alike).
    """
    height, width = first.shape[:2]
    band = _band(height, width, scale) * _frequency(height, width, scale)
    a, b = (np.fft.irfft2(_spectrum(image) * band, (height, width)) for image in (first, second))
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-12))


def _band(height: int, width: int, scale: int) -> np.ndarray:
    """Return the weights of the half spectrum's frequencies."""
    frequency = _frequency(height, width, scale)
    return np.exp(-((frequency / _HIGHEST) ** 2)) * (1 - np.exp(-((frequency / _LOWEST) ** 2)))


def _frequency(height: int, width: int, scale: int) -> np.ndarray:
    """Return the half spectrum's frequencies in cycles per photo pixel."""
    return scale * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])


def _spectrum(image: np.ndarray) -> np.ndarray:
    """Return the half spectrum of the luma, faded out towards the edges."""
    height, width = image.shape[:2]
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    luma = np.asarray(image, np.float64) @ np.array(LUMA)
    return np.fft.rfft2((luma - (luma * window).sum() / window.sum()) * window)


def _between(values: np.ndarray, at: int) -> float:
    """Return where the parabola through three values is highest, from the middle one."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, peak, after = values[at - 1 : at + 2]
    return float(0.5 * (before - after) / min(before - 2 * peak + after, -1e-12))
