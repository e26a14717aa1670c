"""Creases: folds across a print, where the emulsion has cracked and the paper no longer lies flat.

The crack shows white paper in a jagged, broken line; beside it the paper rises to a ridge, so that
one side is turned towards the light and the other away from it.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas, Size
from redeg_cli.degrade.marks import between_knots, box_overlap, knots, stack_marks, trace_lines
from redeg_cli.seeds import numpy_generator


class Creases(Step):
    """Folds that run across the image."""

    count: Annotated[int, Field(ge=0, le=8)] = 1
    """How many folds cross the image."""
    angle: Annotated[float, Field(ge=-90, le=90)] = 0.0
    """Their common direction in degrees from the vertical."""
    spread: Annotated[float, Field(ge=0, le=90)] = 90.0
    """By how much each may deviate from it, in degrees: 90 is any direction."""
    width: Annotated[float, Field(ge=0.1, le=20)] = 2.0
    """Of the widest place of a crack in pixels."""
    jag: Annotated[float, Field(ge=0, le=20)] = 1.0
    """By how much the crack strays from the fold to either side, in pixels."""
    wear: Share = 0.6
    """Share of the length where the emulsion is cracked."""
    strength: Share = 0.8
    """Opacity of the white of the cracks."""
    shade: Share = 0.1
    """By how much the flanks are lighter and darker, as a share of the value."""
    flank: Annotated[float, Field(ge=0.5, le=100)] = 4.0
    """Distance from the fold in pixels at which they are most so."""
    seed: Seed


def draw_creases(step: Creases, size: Size) -> NDArray[np.float64]:
    """Return the folds on an image of ``size``, (n, 6): row and column of the middle in pixels,
    angle in radians, length, bend, and -1 for those whose left (or upper) flank is light, else 1.
    """
    u = numpy_generator(step.seed).random((step.count, 5))
    columns = [
        u[:, 0] * size[0],
        u[:, 1] * size[1],
        np.radians(step.angle + (2 * u[:, 2] - 1) * step.spread),
        np.full(step.count, float(sum(size))),
        0.01 * (2 * u[:, 3] - 1),
        np.where(u[:, 4] < 0.5, -1.0, 1.0),
    ]
    return np.stack(columns, 1)


def crease(images: Tensor, creases: Tensor, shapes: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return images (B, 3, H, W) with folds, in [0, 1].

    ``creases`` (B, N, 6), see ``draw_creases``; folds of length 0 do not exist. ``shapes`` (B, 6)
    are width, jag, wear, strength, shade and flank as in ``Creases``. At the signed distance d
    from a fold, a flank of breadth f is shaded by d/f exp((1 - d²/f²) / 2), whose extrema are -1
    and 1 at -f and f: the slope of a ridge of Gaussian section.
    """
    height, width = images.shape[2:]
    angle, length, bend, side = creases[..., 2:].unbind(2)
    exists = (length > 0)[..., None]
    start, places = torch.zeros_like(angle), max(height, width)
    lines = trace_lines(creases[..., :2], angle, length, bend, start, places)
    widest, jag, wear, strength, shade, flank = shapes[:, :, None, None].unbind(1)

    random = knots(seeds, 4, creases.shape[1], images.device)
    # Splinters are about as long as the crack is wide, whole pieces seven times that.
    near = torch.full_like(angle, 1.5) * shapes[:, :1].clamp(min=1)
    far = 7 * near
    stray = between_knots(random[:, 0] - 0.5, lines.along, near)
    stray = stray + between_knots(random[:, 1] - 0.5, lines.along, far)
    crack = lines.cross + jag * stray
    there = between_knots((random[:, 2] < wear).float(), lines.along, far)
    there = exists * strength * there
    half_width = widest / 2 * between_knots(0.3 + 0.7 * random[:, 3], lines.along, near)
    side = exists * side[..., None] * shade / flank

    rows = torch.arange(height, device=images.device)[:, None]
    columns = torch.arange(width, device=images.device)
    cover = slope = torch.zeros((), device=images.device)
    # One by one: they lie all over the image, and eight at once would take eight times the memory.
    for number in range(creases.shape[1]):
        upright = lines.upright[:, number, :, None]

        def lay_out(values: Tensor, number: int = number, upright: Tensor = upright) -> Tensor:
            """Return what holds at the places of the line as (B, H, W)."""
            down, right = values[:, number, :height, None], values[:, number, None, :width]
            return torch.where(upright, down, right)

        other = torch.where(upright, columns, rows)
        slant = lay_out(lines.slant)
        gap = (other - lay_out(crack)) * slant
        cover = torch.maximum(cover, box_overlap(gap, lay_out(half_width)) * lay_out(there))
        distance = (other - lay_out(lines.cross)) * slant
        bell = torch.exp(0.5 - 0.5 * (distance / flank[:, 0, 0, None, None]).square())
        slope = slope + side[:, number, :, None] * distance * bell
    lit = images * (1 + slope[:, None])
    return (lit + cover[:, None] * (1 - lit)).clamp_(0, 1)


def apply_creases(canvas: Canvas, steps: Sequence[Creases]) -> Canvas:
    """Fold each image of a canvas."""
    if all(step.count == 0 for step in steps):
        return canvas
    drawn = [draw_creases(step, size) for step, size in zip(steps, canvas.sizes, strict=True)]
    shapes = torch.tensor(
        [
            [step.width, step.jag, step.wear, step.strength, step.shade, step.flank]
            for step in steps
        ],
        device=canvas.device,
    )
    creases = stack_marks(drawn).to(canvas.device)
    seeds = [step.seed for step in steps]
    return canvas.with_pixels(crease(canvas.pixels, creases, shapes, seeds))
