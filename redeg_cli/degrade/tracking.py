"""Tracking error: a band of rows that the heads of a video recorder read from beside the track.

The rows of the band are torn to one side and snow covers them. In the middle of the picture it is
a player out of adjustment, at the bottom the place where one head takes over from the other.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.rows import correlated, move_rows

SNOW_SIGMA = 3.0
"""Correlation of the snow along the rows in pixels: flakes are streaks a few pixels long."""


class Tracking(Step):
    """One band of torn and snowy rows."""

    centre: Share
    """Share of the image's height above the middle of the band: 1 is head switching."""
    height: Annotated[float, Field(gt=0, le=1)]
    """Of the band, as a share of the image's height."""
    shift: Annotated[float, Field(ge=-64, le=64)]
    """How far the rows in the middle of the band go to the right, in pixels; single rows differ by
    a fifth of it (standard deviation)."""
    snow: Share
    """Share of the pixels in the middle of the band with snow on them."""
    seed: Seed


def band_profile(canvas: Canvas, centre: Sequence[float], height: Sequence[float]) -> Tensor:
    """Return (B, 1, H, 1): 1 in the middle of the band, 0 beyond it, a raised cosine between.

    ``centre`` and ``height`` are shares of each image's own height.
    """
    heights, _ = canvas.lengths()
    rows, _ = canvas.coordinates()
    away = ((rows + 0.5) / heights - canvas.column(centre)) / (canvas.column(height) / 2)
    return (1 + torch.cos(math.pi * away.clamp(-1, 1))) / 2


def torn_rows(canvas: Canvas, right: Tensor, share: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return the canvas' pixels with rows moved to the right by about ``right`` pixels and snow on
    a ``share`` of their pixels, both (B, 1, H, 1)."""
    reach = math.ceil(3 * SNOW_SIGMA)
    height, width = canvas.pixels.shape[2:]
    # Column 0 of the field moves the row, the others snow on it.
    field = normal_field(seeds, (1, height, width + 2 * reach + 1), canvas.device)
    moved = move_rows(canvas, (right * (1 + field[..., :1] / 5))[:, 0, :, 0])
    sigma = torch.full((len(seeds), 1), SNOW_SIGMA, device=canvas.device)
    flakes = correlated(field[..., 1:], sigma, reach)
    # The rank of a flake is uniform on [0, 1]; half of those that show are white all through.
    rank = torch.special.ndtr(flakes)
    white = (2 - 2 * rank / share.clamp(min=1e-6)).clamp(0, 1) * (share > 0)
    return torch.lerp(moved, torch.ones_like(white), white)


def apply_tracking(canvas: Canvas, steps: Sequence[Tracking]) -> Canvas:
    """Tear a band of each image of the canvas."""
    profile = band_profile(canvas, [step.centre for step in steps], [step.height for step in steps])
    right = profile * canvas.column([step.shift for step in steps])
    share = profile * canvas.column([step.snow for step in steps])
    return canvas.with_pixels(torn_rows(canvas, right, share, [step.seed for step in steps]))
