"""Chroma bleed: the colour of analogue video is coarser than its brightness, and lies beside it.

A tape keeps some 3 MHz of luma but only 0.4 MHz of chroma (VHS; of the 13.5 MHz at which a line
becomes 720 pixels), so colours run over edges, and they leave the recorder later than the luma.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.rows import bordered_rows, filter_rows, row_kernels
from redeg_cli.degrade.tone import LUMA, to_luma


class ChromaBleed(Step):
    """Colour, filtered and displaced along the rows; the luma stays as it is."""

    sigma: Annotated[float, Field(ge=0, le=32)]
    """Gaussian blur of the chroma in pixels, along the rows only. A band of f MHz has 1.8 / f at
    720 pixels a line: VHS 4.4, a broadcast (1.3 MHz) 1.4."""
    shift: Annotated[float, Field(ge=-32, le=32)] = 0
    """How far the chroma lies to the right of the luma, in pixels."""
    lines: Annotated[int, Field(ge=0, le=8)] = 0
    """Each row shows the mean chroma of itself and of so many rows above it: 1 is a PAL decoder's
    delay line, and every copy of a tape adds one."""


def bleed(canvas: Canvas, chroma: Tensor, sigma: Sequence[float], shift: Sequence[float]) -> Tensor:
    """Return chroma (B, C, H, W) blurred along the rows by ``sigma`` and moved to the right by
    ``shift``, both in pixels and one per image."""
    # 3.5 sigma leave 0.05 % of the kernel out.
    reaches = [math.ceil(3.5 * s + abs(d)) + 1 for s, d in zip(sigma, shift, strict=True)]
    centre = canvas.column(shift)[:, 0, 0]
    spread = canvas.column(sigma)[:, 0, 0].clamp(min=1e-3) * math.sqrt(2)
    kernels = row_kernels(lambda x: torch.erf((x - centre) / spread), reaches, canvas.device)
    return filter_rows(bordered_rows(canvas, chroma, max(reaches)), kernels)


def delayed(canvas: Canvas, chroma: Tensor, lines: Sequence[int]) -> Tensor:
    """Return chroma (B, C, H, W) in which each row is averaged with the ``lines`` rows above it,
    one number per image; above the picture its first row goes on."""
    most, height = max(lines), chroma.shape[2]
    above = F.pad(chroma, (0, 0, most, 0), mode="replicate")
    total = chroma
    for back in range(1, most + 1):
        row = above[:, :, most - back : most - back + height]
        total = total + row * canvas.column([float(back <= line) for line in lines])
    return total / canvas.column([line + 1.0 for line in lines])


def apply_chroma_bleed(canvas: Canvas, steps: Sequence[ChromaBleed]) -> Canvas:
    """Blur, shift and delay the chroma of each image of the canvas.

    BT.601 luma is kept exactly except where the new colour cannot be shown and is clamped.
    """
    luma = to_luma(canvas.pixels)
    chroma = canvas.pixels[:, 0::2] - luma  # R - Y and B - Y
    chroma = bleed(canvas, chroma, [step.sigma for step in steps], [step.shift for step in steps])
    lines = [step.lines for step in steps]
    if any(lines):
        chroma = delayed(canvas, chroma, lines)
    red, green, blue = LUMA
    middle = (chroma[:, :1] * -red - chroma[:, 1:] * blue) / green
    rgb = luma + torch.cat([chroma[:, :1], middle, chroma[:, 1:]], 1)
    return canvas.with_pixels(rgb.clamp_(0, 1))
