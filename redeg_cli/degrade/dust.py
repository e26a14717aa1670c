"""Dust: specks and fibres that lay on the film, the print or the scanner's glass.

Dust on a negative prints white, dust on the glass of a scanner is gray or dark. There are far more
small specks than large ones.
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
from redeg_cli.degrade.marks import box_overlap, mark_count, paint, stack_marks
from redeg_cli.seeds import numpy_generator

_PACE = 0.75
"""Distance in pixels of the points that a fibre is painted by."""


class Dust(Step):
    """Dust."""

    density: float = Field(ge=0, le=5000)
    """Specks expected per million pixels; at most 1024 on an image."""
    size: Annotated[float, Field(ge=0.5, le=64)] = 4.0
    """Diameter of the largest speck in pixels; the smallest has an eighth of it."""
    fibres: Annotated[float, Field(ge=0, le=500)] = 0.0
    """Fibres expected per million pixels; at most 1024 on an image."""
    fibre_length: Annotated[float, Field(ge=1, le=500)] = 40.0
    """Of the longest in pixels; each has between a quarter of it and all."""
    fibre_width: Annotated[float, Field(ge=0.05, le=10)] = 1.0
    """Of the widest in pixels; each has between half of it and all."""
    softness: Annotated[float, Field(ge=1, le=16)] = 1.0
    """Width in pixels of the edge of a speck: more than 1 where it lay out of focus."""
    strength: Share = 0.7
    """Opacity of the strongest; each has between a quarter of it and all."""
    light: Share = 0.7
    """Share that is white; the rest is black."""
    seed: Seed


def draw_specks(step: Dust, size: Size) -> NDArray[np.float64]:
    """Return the specks on an image of ``size``, (n, 11): row and column in pixels, radius,
    opacity, 1 for white ones, then the amplitudes and phases of the outline's waves.

    The number of specks larger than d falls as d^-2 (clean rooms: d^-2.08, ISO 14644-1).
    """
    random = numpy_generator(step.seed).random
    u = random((mark_count(step.density, size, random()), 11))
    columns = [
        u[:, 0] * size[0],
        u[:, 1] * size[1],
        step.size / 2 / np.sqrt(1 + 63 * u[:, 2]),
        step.strength * (0.25 + 0.75 * u[:, 3]),
        u[:, 4] < step.light,
        *(0.25 * u[:, 5], 0.15 * u[:, 6], 0.08 * u[:, 7]),
        *(2 * np.pi * u[:, 8:]).T,
    ]
    return np.stack(columns, 1)


def draw_fibres(step: Dust, size: Size) -> NDArray[np.float64]:
    """Return the fibres on an image of ``size``, (n, 11): row and column of an end in pixels,
    half width, opacity, 1 for white ones, length, direction, turn, and amplitude, period and phase
    of the curl. Angles are in radians."""
    # Not the numbers of the specks once more.
    random = numpy_generator(step.seed ^ 1 << 62).random
    u = random((mark_count(step.fibres, size, random()), 11))
    length = step.fibre_length * (0.25 + 0.75 * u[:, 2])
    columns = [
        u[:, 0] * size[0],
        u[:, 1] * size[1],
        step.fibre_width * (0.5 + 0.5 * u[:, 3]) / 2,
        step.strength * (0.25 + 0.75 * u[:, 4]),
        u[:, 5] < step.light,
        length,
        2 * np.pi * u[:, 6],
        # From nearly straight to nearly a ring.
        1.5 * np.pi * (2 * u[:, 7] - 1),
        0.9 * u[:, 8],
        length * (0.6 + u[:, 9]),
        2 * np.pi * u[:, 10],
    ]
    return np.stack(columns, 1)


def paint_specks(images: Tensor, specks: Tensor, softness: Tensor) -> Tensor:
    """Return images (B, 3, H, W) with ``specks`` (B, N, 11) on them, in [0, 1].

    ``specks`` are on the CPU, see ``draw_specks``; ``softness`` (B,) in pixels. The outline is a
    circle with waves of 2, 3 and 5 periods on it.
    """
    if specks.shape[1] == 0:
        return images
    reach = math.ceil(1.48 * float(specks[..., 2].max()) + float(softness.max()) / 2 + 0.5)
    values, softness = specks.to(images.device)[..., None, None], softness.to(images.device)
    row, column, radius, opacity, light, *waves = values.unbind(2)
    offset = torch.arange(-reach, reach + 1, device=images.device)
    rows = row.round() + offset[:, None]
    columns = column.round() + offset
    down, right = rows - row, columns - column
    direction = torch.atan2(down, right)
    outline = torch.ones_like(direction)
    for periods, amplitude, phase in zip((2, 3, 5), waves[:3], waves[3:], strict=True):
        outline += amplitude * torch.cos(periods * direction + phase)
    edge = softness.view(-1, 1, 1, 1)
    cover = ((radius * outline - (down.square() + right.square()).sqrt()) / edge + 0.5).clamp(0, 1)
    # Less than a pixel cannot cover a whole one.
    cover = cover * opacity * (2 * radius).square().clamp(max=1)
    rows, columns = rows.long().expand_as(cover), columns.long().expand_as(cover)
    return paint(images, rows, columns, cover, (light > 0.5).expand_as(cover))


def paint_fibres(images: Tensor, fibres: Tensor) -> Tensor:
    """Return images (B, 3, H, W) with ``fibres`` (B, N, 11) on them, in [0, 1].

    ``fibres`` are on the CPU, see ``draw_fibres``. Each is painted by points along it, as short
    straight pieces.
    """
    if fibres.shape[1] == 0:
        return images
    points = math.ceil(float(fibres[..., 5].max()) / _PACE) + 1
    reach = math.ceil(float(fibres[..., 2].max()) + 0.5)
    values = fibres.to(images.device)[..., None]
    row, column, half_width, opacity, light, length, direction, turn, curl, period, phase = (
        values.unbind(2)
    )
    along = torch.arange(points, device=images.device) * _PACE
    wave = curl * torch.sin(2 * torch.pi * along / period.clamp(min=1) + phase)
    direction = direction + turn * along / length.clamp(min=1) + wave
    down, right = direction.sin(), direction.cos()
    row, column = row + _PACE * down.cumsum(2), column + _PACE * right.cumsum(2)
    # The first point is a pace from the end, and each paints a pace to either side.
    opacity = opacity * (along <= (length - 2 * _PACE).clamp(min=0))

    offset = torch.arange(-reach, reach + 1, device=images.device)
    rows = row.round()[..., None, None] + offset[:, None]
    columns = column.round()[..., None, None] + offset
    row, column, down, right = (x[..., None, None] for x in (row, column, down, right))
    ahead = (rows - row) * down + (columns - column) * right
    aside = (columns - column) * down - (rows - row) * right
    # Pieces reach a little over their neighbours' beginnings, so that bends have no holes.
    cover = box_overlap(aside, half_width[..., None, None]) * (ahead.abs() <= _PACE)
    cover = cover * opacity[..., None, None]
    rows, columns = rows.long().expand_as(cover), columns.long().expand_as(cover)
    return paint(images, rows, columns, cover, (light > 0.5)[..., None, None].expand_as(cover))


def apply_dust(canvas: Canvas, steps: Sequence[Dust]) -> Canvas:
    """Put dust on each image of a canvas."""
    both = list(zip(steps, canvas.sizes, strict=True))
    specks = stack_marks([draw_specks(step, size) for step, size in both])
    fibres = stack_marks([draw_fibres(step, size) for step, size in both])
    softness = torch.tensor([step.softness for step in steps])
    return canvas.with_pixels(paint_fibres(paint_specks(canvas.pixels, specks, softness), fibres))
