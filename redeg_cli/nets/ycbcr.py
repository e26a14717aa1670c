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
    return torch.einsum("ij,bjhw->bihw", rgb.new_tensor(_TO_YCBCR), rgb)


def to_rgb(ycbcr: Tensor) -> Tensor:
    """Return RGB (B, 3, H, W) of what ``to_ycbcr`` returned; not clamped."""
    return torch.einsum("ij,bjhw->bihw", ycbcr.new_tensor(_TO_RGB), ycbcr)


def seen(rgb: Tensor, colour: Colour) -> Tensor:
    """Return what a network of ``colour`` sees of RGB: (B, 1, H, W) luma, or ``rgb`` itself."""
    return to_ycbcr(rgb)[:, :1] if colour == "y" else rgb
