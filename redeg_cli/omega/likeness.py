"""Do an HQ and an LQ show the same picture?"""

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
_GRIDS = (16, 8)
_LEAST_CONTRAST = 0.04


def likeness(hq: Tensor, lq: Tensor) -> float:
    """Return the correlation of the luma of an HQ and an aligned LQ, (1, 3, H, W) both, shrunk.

    Shrunk to 16x16 or to 8x8, whichever gives more: the dots of a coarse print and scratches are
    still seen at 16x16. 1 where the HQ is so flat (its deviation is under 0.04) that marks and
    noise of the LQ would count for more than the picture, or the LQ is all of one tone.
    """
    return max(_correlation(hq, lq, side) for side in _GRIDS)


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
