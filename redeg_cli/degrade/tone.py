"""Tone: luma, the match of colours, and the fading and colour cast of prints and scans.

A faded print keeps its picture between a black that is no longer black and a white that is no
longer white, each with a colour of its own; between the two every channel is a ramp. In 42 of 59
scans of old photos each channel is a smooth function of the luma to within 0.02, so a black, a
white and a gamma say nearly all of it.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Rgb, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.resize import resize

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of R, G and B in the luma, which JPEG and Pillow's "L" use."""


class Fade(Step):
    """The tones of a print: between which colours, with which gamma, and how colourful."""

    black: Rgb = (0.0, 0.0, 0.0)
    """What becomes of black; above 0 the print has faded or the scan is hazy."""
    white: Rgb = (1.0, 1.0, 1.0)
    """What becomes of white. May lie below ``black``: a negative."""
    gamma: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """Exponent on values in [0, 1]: above 1 the middle tones become darker."""
    saturation: Share = 1.0
    """Share of the colour that is left: 0 for black-and-white and sepia prints, whose colour is
    that of ``black`` and ``white``."""


def to_luma(rgb: torch.Tensor) -> torch.Tensor:
    """Return the BT.601 luma (..., 1, H, W) of (..., 3, H, W)."""
    weights = rgb.new_tensor(LUMA).view(3, 1, 1)
    return (rgb * weights).sum(-3, keepdim=True)


def to_gray(rgb: torch.Tensor) -> torch.Tensor:
    """Return (B, 3, H, W) with three equal channels: the luma of ``rgb``."""
    return to_luma(rgb).expand_as(rgb).contiguous()


def is_gray(rgb: np.ndarray, tolerance: float = 1.5 / 255) -> bool:
    """Whether the three channels of (H, W, 3) are equal to within rounding."""
    return bool((rgb.max(-1) - rgb.min(-1)).max() <= tolerance)


def match_colour(images: Tensor, reference: Tensor, cells: tuple[int, int]) -> Tensor:
    """Return ``images`` with the low-frequency colour of ``reference``, in [0, 1].

    ``images`` is (B, 3, H, W), ``reference`` (B, 3, h, w), both in [0, 1] and of the same picture
    at any sizes. The difference of their means over ``cells`` (rows, columns) is spread smoothly
    and added: detail finer than a cell is the images', colour coarser than a cell the reference's.
    """
    if images.shape[:2] != reference.shape[:2]:
        raise ValueError(f"{tuple(images.shape)} and {tuple(reference.shape)} do not go together")
    difference = resize(reference, cells, "pool") - resize(images, cells, "pool")
    size = (images.shape[2], images.shape[3])
    field = F.interpolate(difference, size, mode="bilinear", align_corners=False)
    return field.add_(images).clamp_(0, 1)


def fade(images: Tensor, black: Tensor, white: Tensor, gamma: Tensor, saturation: Tensor) -> Tensor:
    """Return images (B, 3, H, W) whose black and white have taken other colours, in [0, 1].

    ``black`` and ``white`` (B, 3) in [0, 1], ``gamma`` and ``saturation`` (B,): black + (white -
    black) * y^gamma, where y is the image with ``saturation`` times its colour.
    """
    low, high = black[:, :, None, None], white[:, :, None, None]
    x = images.clamp(0, 1)
    y = torch.lerp(to_luma(x), x, saturation[:, None, None, None])
    # Rounding may leave a luma of 1 + 6e-8, and one below 0 where x is.
    y = y.clamp_(0, 1).pow(gamma[:, None, None, None])
    return (low + (high - low) * y).clamp_(0, 1)


def apply_fade(canvas: Canvas, steps: Sequence[Fade]) -> Canvas:
    """Fade each image of a canvas."""
    values = torch.tensor(
        [[*step.black, *step.white, step.gamma, step.saturation] for step in steps],
        device=canvas.device,
    )
    return canvas.with_pixels(
        fade(canvas.pixels, values[:, :3], values[:, 3:6], values[:, 6], values[:, 7])
    )
