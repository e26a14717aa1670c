"""Vignetting: what a lens loses towards the corners, or a print to the air at its edges.

Light falls off as cos^4 of the angle to the axis (the natural law) and faster where the barrel cuts
it off. Silver prints fade from their edges inwards instead, so the corners may also grow lighter.
"""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas

Place = Annotated[float, Field(ge=-2, le=3)]


class Vignette(Step):
    """Darkening or lightening towards the corners."""

    strength: float = Field(ge=-1, le=1)
    """Share of the value that the farthest corner loses; below 0, share of what it lacks to white
    that it gains."""
    falloff: Annotated[float, Field(ge=0.5, le=16)] = 2.0
    """Exponent of the distance from the centre: 2 is near the natural law, 4 and more leave the
    middle alone."""
    centre: tuple[Place, Place] = (0.5, 0.5)
    """Row and column of the centre in shares of the image's height and width; outside of [0, 1]
    the image is a part of a larger picture."""


def vignette(
    images: Tensor,
    lengths: tuple[Tensor, Tensor],
    strength: Tensor,
    falloff: Tensor,
    centre: Tensor,
) -> Tensor:
    """Return images (B, 3, H, W) darker or lighter towards the corners, in [0, 1].

    ``lengths`` are the images' own heights and widths in pixels, each (B, 1, 1, 1); ``strength``
    and ``falloff`` (B,), ``centre`` (B, 2) as in ``Vignette``. With r the distance in pixels over
    that of the farthest corner, the amount is strength * r^falloff.
    """
    squared = torch.zeros((), device=images.device)
    farthest = torch.zeros((), device=images.device)
    for axis, length in enumerate(lengths):
        shape = (1, 1, -1, 1) if axis == 0 else (1, 1, 1, -1)
        place = torch.arange(images.shape[2 + axis], device=images.device).view(shape) + 0.5
        middle = centre[:, axis].view(-1, 1, 1, 1) * length
        squared = squared + (place - middle).square()
        farthest = farthest + torch.maximum(middle.abs(), (length - middle).abs()).square()
    reach = (squared / farthest).clamp_(max=1).pow(falloff.view(-1, 1, 1, 1) / 2)
    amount = strength.view(-1, 1, 1, 1) * reach
    darker = images * (1 - amount.clamp(min=0))
    return (darker - amount.clamp(max=0) * (1 - darker)).clamp_(0, 1)


def apply_vignette(canvas: Canvas, steps: Sequence[Vignette]) -> Canvas:
    """Darken or lighten the corners of each image of a canvas."""
    values = torch.tensor(
        [[step.strength, step.falloff, *step.centre] for step in steps], device=canvas.device
    )
    return canvas.with_pixels(
        vignette(canvas.pixels, canvas.lengths(), values[:, 0], values[:, 1], values[:, 2:])
    )
