"""The grain of a photo, measured where nothing happens, and made anew for what is pasted in."""

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

_BLOCK = 16
"""Side in pixels of the blocks grain is measured in; structures coarser than half are no grain."""

_QUIET = 0.2
"""Part of the blocks, the flattest, that are taken to hold grain only."""

_FEWEST = 8
"""Blocks needed on either side."""

_MOST = 2000
"""Blocks that are looked at on either side, evenly spread: as many as a face of 350 px has."""


def missing_grain(
    face: np.ndarray, photo: np.ndarray, inside: np.ndarray, seed: int
) -> np.ndarray | None:
    """Return the grain (H, W, 3) to be added to ``face``; None when there is nothing to measure.

    ``face`` and ``photo`` (H, W, 3) lie on one grid; ``inside`` (H, W) in [0, 1] is 1 where the
    face will stand. The grain's power spectrum is the mean periodogram of the flattest fifth of
    the blocks; of the photo's, inside and outside the face, the lesser counts at each frequency:
    what only one side has is texture. What the face lacks of it is drawn as Gaussian noise with
    that spectrum, the same for all channels as far as the channels agree, so that a gray photo
    gets gray grain. ``seed`` decides the draw.
    """
    random = np.random.default_rng(seed)
    added = np.zeros_like(face, np.float32)
    # The mean of the channels and what they differ by: of independent channels these are
    # independent, too.
    for parts in (_mean, _difference):
        noise = parts(random.standard_normal(face.shape, np.float32))
        # White noise is measured by the same rule, of which the flattest blocks are quieter, too.
        found = [_spectrum(part, inside > 0.5) for part in (parts(face), parts(photo), noise)]
        found.append(_spectrum(parts(photo), inside < 0.02))
        if any(spectrum is None for spectrum in found):
            return None
        here, there, white, around = (np.asarray(spectrum) for spectrum in found)
        power = np.maximum(np.minimum(there, around) - here, 0) / white[_USED].mean() * _USED
        kernel = np.fft.fftshift(np.fft.irfft2(np.sqrt(power), (_BLOCK, _BLOCK)))
        added += cv2.filter2D(noise, -1, kernel, borderType=cv2.BORDER_REFLECT)
    return added


def _mean(image: np.ndarray) -> np.ndarray:
    return np.repeat(image.mean(-1, keepdims=True), 3, -1)


def _difference(image: np.ndarray) -> np.ndarray:
    return image - image.mean(-1, keepdims=True)


def _used_frequencies() -> np.ndarray:
    """Whether a frequency of a block's half spectrum is taken for grain."""
    rows = np.abs(np.fft.fftfreq(_BLOCK)) * _BLOCK
    return np.maximum(rows[:, None], np.arange(_BLOCK // 2 + 1)[None]) >= 2


_USED = _used_frequencies()


def _spectrum(image: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """Return the mean periodogram (16, 9) of the flattest blocks of (H, W, C) within ``where``."""
    if min(where.shape) < _BLOCK:
        return None
    step, shape = _BLOCK // 2, (_BLOCK, _BLOCK)
    inside = sliding_window_view(where, shape)[::step, ::step].all((2, 3))
    rows, columns = np.nonzero(inside)
    if len(rows) < _FEWEST:
        return None
    if len(rows) > _MOST:
        spread = np.linspace(0, len(rows) - 1, _MOST).round().astype(int)
        rows, columns = rows[spread], columns[spread]
    blocks = sliding_window_view(image, shape, (0, 1))[::step, ::step][rows, columns]
    blocks = blocks - blocks.mean((2, 3), keepdims=True)
    slope = np.linspace(-1, 1, _BLOCK) / np.sqrt((np.linspace(-1, 1, _BLOCK) ** 2).sum() * _BLOCK)
    for way in (slope[:, None], slope):  # a shade that rises evenly would leak into every frequency
        blocks = blocks - (blocks * way).sum((2, 3), keepdims=True) * way
    window = np.hanning(_BLOCK + 2)[1:-1]
    powers = (np.abs(np.fft.rfft2(blocks * np.outer(window, window))) ** 2).mean(1)
    strength = powers[:, _USED].sum(1)
    quiet = np.argsort(strength)[: max(round(_QUIET * len(powers)), _FEWEST // 2)]
    return powers[quiet].mean(0)
