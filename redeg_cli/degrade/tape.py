"""Tape noise and dropouts: what the magnetic layer of a video tape adds and leaves out.

The noise is white before the player's filters and as coarse as they are behind them: fine grain in
the luma, long streaks of one row in the chroma, whose band is some eight times narrower. Where the
layer is missing, the head reads nothing, and a row goes white until the circuit has recovered.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.fields import normal_field, uniform_field
from redeg_cli.degrade.rows import correlated
from redeg_cli.degrade.tone import LUMA


class TapeNoise(Step):
    """Gaussian noise of the luma and of the colour differences, correlated along the rows."""

    luma: Annotated[float, Field(ge=0, le=0.5)]
    """Standard deviation, of a range of 1."""
    chroma: Annotated[float, Field(ge=0, le=0.5)]
    """Standard deviation of R - Y and of B - Y, of a range of 1."""
    luma_sigma: Annotated[float, Field(ge=0, le=4)] = 0.5
    """Gaussian filter that the luma's noise has been through, in pixels."""
    chroma_sigma: Annotated[float, Field(ge=0, le=32)] = 4.5
    """The same of the chroma's."""
    seed: Seed


class Dropouts(Step):
    """White streaks along rows, sudden on the left and fading to the right."""

    rows: Share
    """Share of the rows that hold one."""
    length: Annotated[float, Field(gt=0, le=512)]
    """Mean length in pixels (exponentially distributed)."""
    seed: Seed


def tape_noise(shape: tuple[int, int], steps: Sequence[TapeNoise], device: torch.device) -> Tensor:
    """Return RGB noise (B, 3, H, W) of ``shape`` (H, W)."""
    height, width = shape
    sigmas = [(step.luma_sigma, step.chroma_sigma, step.chroma_sigma) for step in steps]
    reach = math.ceil(3 * max(map(max, sigmas)))
    white = normal_field([step.seed for step in steps], (3, height, width + 2 * reach), device)
    noise = correlated(white, torch.tensor(sigmas, device=device), reach)
    levels = [(step.luma, step.chroma, step.chroma) for step in steps]
    # Columns: what one unit of Y, R - Y and B - Y adds to R, G and B.
    mix = torch.tensor(
        [[1, 1, 0], [1, -LUMA[0] / LUMA[1], -LUMA[2] / LUMA[1]], [1, 0, 1]], device=device
    ) * torch.tensor(levels, device=device).view(-1, 1, 3)
    return (mix @ noise.flatten(2)).view(-1, 3, height, width)


def dropout_cover(
    canvas: Canvas, rows: Sequence[float], length: Sequence[float], seeds: Sequence[int]
) -> Tensor:
    """Return how far each pixel has gone white, (B, 1, H, W) in [0, 1].

    With a probability of ``rows`` a row holds a dropout. It begins anywhere in the image's width
    and fades as exp(-x / length') where length' is exponentially distributed around ``length``.
    """
    height = canvas.pixels.shape[2]
    chance, start, span = uniform_field(seeds, (3, height, 1), canvas.device).split(1, 1)
    _, widths = canvas.lengths()
    _, columns = canvas.coordinates()
    behind = columns - start * widths
    fading = torch.exp(-behind.clamp(min=0) / (-span.log() * canvas.column(length)).clamp(min=0.5))
    return fading * (behind >= 0) * (chance < canvas.column(rows))


def apply_tape_noise(canvas: Canvas, steps: Sequence[TapeNoise]) -> Canvas:
    """Add tape noise to each image of the canvas."""
    height, width = canvas.pixels.shape[2:]
    noise = tape_noise((height, width), steps, canvas.device)
    return canvas.with_pixels(noise.add_(canvas.pixels).clamp_(0, 1))


def apply_dropouts(canvas: Canvas, steps: Sequence[Dropouts]) -> Canvas:
    """Put dropouts on each image of the canvas."""
    rows, length = [step.rows for step in steps], [step.length for step in steps]
    cover = dropout_cover(canvas, rows, length, [step.seed for step in steps])
    return canvas.with_pixels(torch.lerp(canvas.pixels, torch.ones_like(cover), cover))
