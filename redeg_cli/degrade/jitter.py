"""Line jitter: rows that begin too early or too late, as an unsteady tape delivers them.

Each row of an analogue picture begins when its synchronisation pulse is seen. Stretched tape, worn
heads and a noisy signal move that moment: upright edges wave and fray.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field

from redeg_cli.degrade.base import Seed, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.rows import correlated, move_rows


class LineJitter(Step):
    """Random displacement of the rows, to the left or right."""

    sigma: Annotated[float, Field(ge=0, le=16)]
    """Standard deviation in pixels."""
    smoothness: Annotated[float, Field(ge=0, le=32)] = 0
    """Rows (sigma of a Gaussian) over which neighbours go together; 0: each row by itself."""
    seed: Seed


def jitter_rows(
    canvas: Canvas, sigma: Sequence[float], smoothness: Sequence[float], seeds: Sequence[int]
) -> torch.Tensor:
    """Return the canvas' pixels with each row displaced by a normally distributed number of pixels:
    standard deviation ``sigma``, correlated over ``smoothness`` rows, both per image."""
    reach = math.ceil(3 * max(smoothness))
    height = canvas.pixels.shape[2]
    white = normal_field(seeds, (1, height + 2 * reach, 1), canvas.device).transpose(2, 3)
    widths = torch.tensor(smoothness, device=canvas.device)[:, None]
    wave = correlated(white, widths, reach)[:, 0, 0]
    return move_rows(canvas, wave * torch.tensor(sigma, device=canvas.device)[:, None])


def apply_line_jitter(canvas: Canvas, steps: Sequence[LineJitter]) -> Canvas:
    """Displace the rows of each image of the canvas."""
    sigma = [step.sigma for step in steps]
    smoothness = [step.smoothness for step in steps]
    seeds = [step.seed for step in steps]
    return canvas.with_pixels(jitter_rows(canvas, sigma, smoothness, seeds))
