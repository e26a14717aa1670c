"""Networks that see luma only: Y of YCbCr and back (ITU-R BT.601, full range, as in JPEG)."""

from typing import Literal

import torch
from torch import Tensor

Colour = Literal["y", "rgb"]
"""What a network sees: the luma, or all three channels."""

CHANNELS: dict[str, int] = {"y": 1, "rgb": 3}

_TO_YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def channels_of(colour: str) -> int:
    """Return how many channels a network of ``colour`` sees. Raises ValueError."""
    if colour not in CHANNELS:
        raise ValueError(f"colour is 'y' or 'rgb', not {colour!r}")
    return CHANNELS[colour]


def to_ycbcr(rgb: Tensor) -> Tensor:
    """Return Y in [0, 1], Cb and Cr in [-0.5, 0.5], (B, 3, H, W), of RGB in [0, 1]."""
    return _mixed(rgb, _TO_YCBCR)


def to_rgb(ycbcr: Tensor) -> Tensor:
    """Return RGB (B, 3, H, W) of what ``to_ycbcr`` returned; not clamped."""
    return _mixed(ycbcr, _TO_RGB)


def seen(rgb: Tensor, colour: Colour) -> Tensor:
    """Return what a network of ``colour`` sees of RGB: (B, 1, H, W) luma, or ``rgb`` itself."""
    return to_ycbcr(rgb)[:, :1] if colour == "y" else rgb


def _mixed(channels: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return weighted sums of channels, by no product of matrices: autocast makes 8 bits of one."""
    r, g, b = channels.unbind(1)
    return torch.stack([first * r + second * g + third * b for first, second, third in matrix], 1)
