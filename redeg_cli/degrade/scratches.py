"""Scratches: fine lines along which the emulsion is gone, mostly in the direction of transport.

On a film they run with it, nearly straight and parallel, for long stretches; on a print they are
shorter and go anywhere. A scratch in a negative prints black, one in the print's own emulsion shows
white paper.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas, Size
from redeg_cli.degrade.marks import (
    between_knots,
    box_overlap,
    knots,
    mark_count,
    paint,
    stack_marks,
    trace_lines,
)
from redeg_cli.seeds import numpy_generator


class Scratches(Step):
    """Scratches."""

    density: float = Field(ge=0, le=500)
    """How many are expected per million pixels; at most 1024 on an image."""
    length: Annotated[float, Field(ge=1, le=20000)] = 200.0
    """Of the longest in pixels; each has between a quarter of it and all."""
    width: Annotated[float, Field(ge=0.05, le=20)] = 1.0
    """Of the widest in pixels; each has between half of it and all."""
    angle: Annotated[float, Field(ge=-90, le=90)] = 0.0
    """Their common direction in degrees from the vertical."""
    spread: Annotated[float, Field(ge=0, le=90)] = 3.0
    """By how much each may deviate from it, in degrees."""
    bend: Annotated[float, Field(ge=0, le=0.1)] = 0.01
    """How far the ends lie off the straight line at most, as a share of the length."""
    gaps: Share = 0.3
    """Share of the length that is missing."""
    strength: Share = 0.5
    """Opacity of the strongest; each has between a quarter of it and all."""
    light: Share = 0.8
    """Share of the scratches that are white; the others are black."""
    seed: Seed


def draw_scratches(step: Scratches, size: Size) -> NDArray[np.float64]:
    """Return the scratches on an image of ``size``, (n, 9): row and column of the middle in
    pixels, angle in radians, length, bend, half width, opacity, 1 for white ones, and the distance
    of knots: pieces and gaps are 5 to 40 pixels long."""
    random = numpy_generator(step.seed).random
    u = random((mark_count(step.density, size, random()), 9))
    # No more of a line is seen whose middle lies in the image.
    longest = min(step.length, 2 * sum(size))
    columns = [
        u[:, 0] * size[0],
        u[:, 1] * size[1],
        np.radians(step.angle + (2 * u[:, 2] - 1) * step.spread),
        longest * (0.25 + 0.75 * u[:, 3]),
        step.bend * (2 * u[:, 4] - 1),
        step.width * (0.5 + 0.5 * u[:, 5]) / 2,
        step.strength * (0.25 + 0.75 * u[:, 6]),
        u[:, 7] < step.light,
        5 * 8 ** u[:, 8],
    ]
    return np.stack(columns, 1)


def scratch(images: Tensor, scratches: Tensor, gaps: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return images (B, 3, H, W) with ``scratches`` (B, N, 9) on them, in [0, 1].

    ``scratches`` are on the CPU, see ``draw_scratches``; the opacity of those that do not exist is
    0. ``gaps`` (B,) is the share of the length that is missing. Where that is, and how the line
    trembles, the seed and the number of the scratch decide.
    """
    if scratches.shape[1] == 0:
        return images
    longest, widest = (float(scratches[..., column].max()) for column in (3, 5))
    # Across a row a line of 45 degrees and the largest bend is 1.87 times as wide.
    reach = math.floor(1.87 * (widest + 0.5) + 0.5)
    values = scratches.to(images.device)
    angle, length, bend, half_width, opacity, light, spacing = values[..., 2:].unbind(2)
    lines = trace_lines(values[..., :2], angle, length, bend, None, math.ceil(longest) + 2)

    random = knots(seeds, 3, scratches.shape[1], images.device)
    there = (random[:, 0] >= gaps.to(images.device).view(-1, 1, 1)).float()
    there = between_knots(there, lines.along, spacing)
    tremor = between_knots(random[:, 1] - 0.5, lines.along, spacing)
    pressure = between_knots(0.6 + 0.4 * random[:, 2], lines.along, spacing)
    half_width = half_width[..., None] * pressure
    cross = lines.cross + tremor * half_width
    # Ends run out over a sixth of the length.
    ends = (3 - 6 * lines.along.abs() / length[..., None].clamp(min=1)).clamp(0, 1)
    there = there * ends * opacity[..., None]

    nearest = cross.round()
    offset = torch.arange(-reach, reach + 1, device=images.device)
    distance = (nearest - cross)[..., None] + offset
    cover = box_overlap(distance * lines.slant[..., None], half_width[..., None])
    other = nearest.long()[..., None] + offset
    place, upright = lines.place[..., None].expand_as(other), lines.upright[..., None]
    rows, columns = torch.where(upright, place, other), torch.where(upright, other, place)
    light = (light > 0.5)[..., None, None].expand_as(other)
    return paint(images, rows, columns, cover * there[..., None], light)


def apply_scratches(canvas: Canvas, steps: Sequence[Scratches]) -> Canvas:
    """Scratch each image of a canvas."""
    drawn = [draw_scratches(step, size) for step, size in zip(steps, canvas.sizes, strict=True)]
    gaps = torch.tensor([step.gaps for step in steps])
    seeds = [step.seed for step in steps]
    return canvas.with_pixels(scratch(canvas.pixels, stack_marks(drawn), gaps, seeds))
