"""Opacity beside the colours: resized on its own, and what it hides does not bleed."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def resize_alpha(alpha: Tensor, scale: int) -> Tensor:
    """Return (B,1,H,W) opacity enlarged ``scale`` times, bicubic, clamped to [0,1]."""
    if scale == 1:
        return alpha
    enlarged = F.interpolate(alpha, scale_factor=scale, mode="bicubic", align_corners=False)
    return enlarged.clamp(0, 1)


def fill_hidden(rgb: Tensor, alpha: Tensor) -> Tensor:
    """Return ``rgb`` with the colours of fully transparent pixels taken from visible neighbours.

    ``rgb`` is (1,3,H,W), ``alpha`` (1,1,H,W). What stands under transparent pixels is often black;
    a network would draw it into the visible edge as a dark fringe. Visible pixels are unchanged.
    A picture without a visible pixel is returned as it is.
    """
    visible = (alpha > 0).to(rgb.dtype)
    if bool(visible.all()) or not bool(visible.any()):
        return rgb
    # Averages over ever larger cells; each pixel takes the finest that holds something visible.
    levels = [(rgb * visible, visible)]
    for _ in range(math.ceil(math.log2(max(rgb.shape[-2:])))):
        colour, weight = levels[-1]
        levels.append(
            (
                F.avg_pool2d(colour, 2, ceil_mode=True, count_include_pad=False),
                F.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False),
            )
        )
    colour, weight = levels[-1]
    filled = colour / weight.clamp_min(torch.finfo(rgb.dtype).tiny)
    for colour, weight in reversed(levels[:-1]):
        size = colour.shape[-2:]
        coarse = F.interpolate(filled, size=size, mode="bilinear", align_corners=False)
        known = colour / weight.clamp_min(torch.finfo(rgb.dtype).tiny)
        filled = torch.where(weight > 0, known, coarse)
    return torch.where(visible > 0, rgb, filled)
