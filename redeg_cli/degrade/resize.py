"""Resizing between grids, with pixel centres aligned (half-pixel convention)."""

from typing import Literal

import torch
import torch.nn.functional as F

Filter = Literal["area", "bilinear", "bicubic", "nearest"]


def resize(
    images: torch.Tensor, size: tuple[int, int], filter: Filter = "bicubic", antialias: bool = True
) -> torch.Tensor:
    """Resize images (B, C, H, W) to ``size`` (height, width); the result is clamped to [0, 1].

    ``antialias`` widens the filter where the image shrinks (MATLAB's and Pillow's convention);
    OpenCV and Real-ESRGAN leave it off.
    """
    if tuple(images.shape[2:]) == tuple(size):
        return images
    if filter in ("area", "nearest"):
        return F.interpolate(images, size=size, mode=filter).clamp(0, 1)
    return F.interpolate(
        images, size=size, mode=filter, align_corners=False, antialias=antialias
    ).clamp(0, 1)


def to_aligned(native: torch.Tensor, scale: int) -> torch.Tensor:
    """Resize a native LQ (B, C, h, w) onto the HQ grid (B, C, h*scale, w*scale), bicubic."""
    return resize(native, (native.shape[2] * scale, native.shape[3] * scale))


def to_native(aligned: torch.Tensor, scale: int) -> torch.Tensor:
    """Bring an aligned LQ (B, C, H, W) back to its own grid (B, C, H/scale, W/scale).

    The aligned image holds nothing above the native grid's Nyquist frequency, so it is sampled
    (bicubic without antialias) rather than averaged: averaging would blur the grain once more.
    """
    size = (aligned.shape[2] // scale, aligned.shape[3] // scale)
    return resize(aligned, size, antialias=False)
