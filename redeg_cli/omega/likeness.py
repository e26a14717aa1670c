"""Do an HQ and an LQ show the same picture, and is the HQ the sharper one?"""

import cv2
import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.tone import to_luma

LEAST_ALIKE = 0.85
"""Less than this is worth a look: faces restored from real photos have at least 0.992, and 0.71 at
most when they are mixed up; heavy degradations of faces (bsrgan, real-esrgan, old-photo, halftone,
vhs at scale 4) leave at least 0.9."""
DIFFERENT = 0.5
"""Less than this, of an LQ of ``LEAST_SIDE`` px, is another picture. The heaviest degradations of
184 crops of any content leave 0.54 for LQs of 48 px and 0.44 once for LQs of 32 px; of crops mixed
up, 19 in 20 of 256 px have less, of aligned faces, which are alike, 7 in 10."""
LEAST_SIDE = 32
"""Shorter side in px of the smallest native LQs of which ``DIFFERENT`` says anything."""
MOST_DETAIL = 1.15
"""More than this, the LQ is sharper than the HQ. Degradations leave at most 1.0, ringing and
sharpening (real-esrgan) 1.3 now and then; blur and shrinking, the pair swapped, mostly 1.1 to 2."""
_GRIDS = (16, 8)
_LEAST_CONTRAST = 0.04
_LEAST_DETAIL = 0.25 / 255


def likeness(hq: Tensor, lq: Tensor) -> float:
    """Return the correlation of the luma of an HQ and an aligned LQ, (1, 3, H, W) both, shrunk.

    Shrunk to 16x16 or to 8x8, whichever gives more: the dots of a coarse print and scratches are
    still seen at 16x16. 1 where the HQ is so flat (its deviation is under 0.04) that marks and
    noise of the LQ would count for more than the picture, or the LQ is all of one tone.
    """
    return max(_correlation(hq, lq, side) for side in _GRIDS)


def detail_gain(hq: Tensor, lq: Tensor, scale: int) -> float:
    """Return by which factor the fine detail of the HQ is stronger in the aligned LQ.

    Detail is the luma between Gaussians of 0.7 and of 2 native pixels; what the LQ has of its own,
    as noise, does not count. 1 for an HQ without any.
    """
    detail_hq, detail_lq = (_detail(to_luma(image), scale) for image in (hq, lq))
    energy = float((detail_hq**2).mean())
    if energy < _LEAST_DETAIL**2:
        return 1.0
    return float((detail_hq * detail_lq).mean()) / energy


def _detail(luma: Tensor, scale: int) -> np.ndarray:
    plane = luma[0, 0].float().cpu().numpy()
    fine, coarse = (
        cv2.GaussianBlur(plane, (0, 0), sigma * scale, borderType=cv2.BORDER_REFLECT)
        for sigma in (0.7, 2.0)
    )
    return fine - coarse


def _correlation(hq: Tensor, lq: Tensor, side: int) -> float:
    shrunk = [
        torch.nn.functional.interpolate(to_luma(image), size=(side, side), mode="area").flatten()
        for image in (hq, lq)
    ]
    one, other = (image - image.mean() for image in shrunk)
    norm = float(one.norm() * other.norm())
    if norm <= 1e-6 or float(one.std()) < _LEAST_CONTRAST:
        return 1.0
    return float((one * other).sum()) / norm
