"""Interlacing: a frame of video is two fields, the even and the odd rows, a sixtieth of a second
apart.

What moved meanwhile lies elsewhere in the odd rows: shown together, edges become combs. The usual
ways out leave marks of their own: one field alone is coarse, both averaged show things twice.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.rows import move_rows

Deinterlacer = Literal["weave", "double", "interpolate", "blend"]


class Interlace(Step):
    """Two fields, and how a frame was made of them."""

    motion: Annotated[float, Field(ge=-32, le=32)]
    """How far everything has moved to the right from the even field to the odd one, in pixels."""
    method: Deinterlacer = "weave"
    """``weave`` shows both fields as they are; ``double`` shows each even row twice;
    ``interpolate`` fills the odd rows with the mean of their neighbours; ``blend`` weaves and
    averages the rows with weights 1/4, 1/2, 1/4."""


def weave_fields(canvas: Canvas, motion: Tensor) -> Tensor:
    """Return the canvas' pixels with the odd rows moved to the right by ``motion`` (B,) pixels."""
    odd = torch.arange(canvas.pixels.shape[2], device=canvas.device) % 2
    return move_rows(canvas, motion[:, None] * odd)


def fill_odd_rows(canvas: Canvas, mean: bool) -> Tensor:
    """Return the canvas' pixels with each odd row replaced by the row above it or by the mean of
    the rows above and below it. Below an image's last row, its last even row goes on."""
    above = canvas.pixels[:, :, 0::2]
    filling = above
    if mean:
        last = torch.tensor([(height - 1) // 2 for height, _ in canvas.sizes], device=canvas.device)
        index = torch.arange(1, above.shape[2] + 1, device=canvas.device)[None]
        index = index.minimum(last[:, None]).view(len(canvas.sizes), 1, -1, 1)
        filling = (above + above.gather(2, index.expand_as(above))) / 2
    out = torch.stack([above, filling], 3).flatten(2, 3)
    return out[:, :, : canvas.pixels.shape[2]]


def blend_rows(canvas: Canvas) -> Tensor:
    """Return the canvas' pixels averaged with the rows above and below: 1/4, 1/2, 1/4."""
    rows = canvas.bordered(1, 1, "replicate")[..., 1:-1]
    return (rows[:, :, :-2] + rows[:, :, 2:]) / 4 + rows[:, :, 1:-1] / 2


def apply_interlace(canvas: Canvas, steps: Sequence[Interlace]) -> Canvas:
    """Interlace each image of the canvas."""
    motion = [step.motion if step.method in ("weave", "blend") else 0.0 for step in steps]
    out = canvas
    if any(motion):
        out = canvas.with_pixels(weave_fields(canvas, torch.tensor(motion, device=canvas.device)))
    for method in ("double", "interpolate", "blend"):
        chosen = [row for row, step in enumerate(steps) if step.method == method]
        if chosen:
            part = out.select(chosen)
            filled = (
                blend_rows(part) if method == "blend" else fill_odd_rows(part, method != "double")
            )
            out = out.merge(chosen, part.with_pixels(filled))
    return out
