"""How many pixels across a face hold detail: its size, or less when it is out of focus."""

import cv2
import numpy as np

from redeg_cli.degrade.tone import LUMA

FACE_IN_192 = 107.0
"""Width of CenterFace's mean box, px, when the FFHQ square is 192 px wide."""

_LADDER = 6.0 * 2.0 ** (np.arange(8) / 2)
"""A face of that many pixels across can just show the detail of the band, from 6 to 68."""

# Standard deviation of each band over that of the first: median of 40 sharp portraits (faces of
# 222 to 347 px).
_SHARP = np.array([1.0, 0.928, 0.822, 0.698, 0.590, 0.493, 0.401, 0.333])

_LEFT = 0.45
"""Share of a sharp face's detail at which a band counts as lost ..."""
_OVERSHOOT = 2.0
"""... which, with these bands, is at twice the pixels that a face reduced by area averaging has."""

_NOTHING = 1 / 255
"""Detail in the first band below which the face is flat."""


def face_resolution(crop: np.ndarray, margin: int) -> float:
    """Return about how many pixels across the face hold detail, 3 to 34 (which means 34 or more).

    ``crop`` is the upright face (S, S, 3), uint8 or in [0, 1]: the FFHQ square at 192 px with
    ``margin`` px on each side. The standard deviation of the luma is taken in half-octave bands
    (differences of Gaussians) within the face and compared with that of sharp portraits. Portraits
    reduced to 8, 12, 16, 24, 32 px a face give 8.8, 11.9, 15.8, 24.5, 33.9 in the median; Gaussian
    blur of half such a pixel gives about 0.9 of that. Noise and screens hide blur: they count as
    detail.
    """
    luma = np.asarray(crop, np.float32) @ np.array(LUMA, np.float32)
    luma = luma / 255 if crop.dtype == np.uint8 else luma
    y, x = np.mgrid[: luma.shape[0], : luma.shape[1]].astype(np.float32)
    weight = np.exp(-(((x - margin - 95.5) / 40) ** 2 + ((y - margin - 102) / 50) ** 2) / 2)
    detail = np.array([_band(luma, weight, 0.4 * FACE_IN_192 / n) for n in _LADDER])
    left = detail / max(float(detail[0]), _NOTHING) / _SHARP
    lost = np.flatnonzero(left < _LEFT)
    if lost.size == 0:
        return float(_LADDER[-1] / _OVERSHOOT)
    at = int(lost[0])
    if at == 0:
        return float(_LADDER[0] / _OVERSHOOT)
    step = (left[at - 1] - _LEFT) / max(float(left[at - 1] - left[at]), 1e-6)
    return float(_LADDER[at - 1] * 2 ** (step / 2) / _OVERSHOOT)


def _band(luma: np.ndarray, weight: np.ndarray, sigma: float) -> float:
    band = cv2.GaussianBlur(luma, (0, 0), sigma) - cv2.GaussianBlur(luma, (0, 0), 2 * sigma)
    return float(np.sqrt((band * band * weight).sum() / weight.sum()))
