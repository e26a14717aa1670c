"""Tone: luma, and the fading and colour cast of prints and scans."""

import torch

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G and B in the luma, which JPEG and Pillow's "L" use."""


def to_luma(rgb: torch.Tensor) -> torch.Tensor:
    """Return the BT.601 luma (..., 1, H, W) of (..., 3, H, W)."""
    weights = rgb.new_tensor(LUMA).view(3, 1, 1)
    return (rgb * weights).sum(-3, keepdim=True)


def to_gray(rgb: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, H, W) with three equal channels: the luma of ``rgb``."""
    return to_luma(rgb).expand_as(rgb).contiguous()


def fade(
    image: torch.Tensor, black: tuple[float, ...], white: tuple[float, ...], gamma: float
) -> torch.Tensor:
    """Map one image (3, H, W) so that black and white take the given RGB values in [0, 1]."""
    low = torch.tensor(black, device=image.device, dtype=image.dtype).view(3, 1, 1)
    high = torch.tensor(white, device=image.device, dtype=image.dtype).view(3, 1, 1)
    return (low + (high - low) * image.clamp(0, 1) ** gamma).clamp(0, 1)
