"""Moiré: what a screen of dots or lines leaves when it is scanned too coarsely for it.

A printed or displayed picture is a periodic pattern of its own. The scanner averages over its
pixels and takes one value from each, so a frequency above half a cycle per pixel comes out folded
to a low one: coarse coloured bands, since each ink has an angle and a phase of its own.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.seeds import numpy_generator

Turn = Annotated[float, Field(ge=-180, le=180)]


class Moire(Step):
    """The remains of a screen."""

    pitch: float = Field(ge=0.3, le=100)
    """Distance of the screen's lines in pixels; below 2 they fold over."""
    angle: Turn = 0.0
    """Of the screen in degrees."""
    angles: tuple[Turn, Turn, Turn] = (15.0, 75.0, 0.0)
    """What is added to it for red, green and blue: the angles of cyan, magenta and yellow ink."""
    strength: Share = 0.5
    """Amplitude of the screen before the pixels average it: 1 goes from black to white."""
    aperture: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Side of the square that a pixel averages over, in pixels; 0 takes a point. A scanner's is
    near 1; under a colour mosaic it is half the distance of the pixels of one colour."""
    of: Literal["print", "display"] = "print"
    """A print's dots vanish in black and in white, a display's in black alone."""
    warp: Annotated[float, Field(ge=0, le=20)] = 0.0
    """By how many pixels the sheet is out of plane, in slow waves: it bends the bands."""
    seed: Seed


def screen_frequencies(pitch: Tensor, angles: Tensor) -> Tensor:
    """Return the frequency vectors (B, 3, 2), down and right in cycles per pixel, of screens of
    ``pitch`` (B,) in pixels at ``angles`` (B, 3) in radians."""
    return torch.stack([angles.sin(), angles.cos()], 2) / pitch[:, None, None]


def sampled_screen(
    down: Tensor, right: Tensor, frequencies: Tensor, phases: Tensor, aperture: Tensor
) -> Tensor:
    """Return screens (B, 3, H, W) in [-1, 1] as pixels see them that average over an aperture.

    ``down`` and ``right`` (B, H, W) are where on the sheet the pixels' middles are, in pixels;
    ``frequencies`` (B, 3, 2); ``phases`` (B, 3, 2) in cycles; ``aperture`` a (B,) in pixels. The
    screen is the mean of two crossed cosines. A square aperture weakens both by sinc(a f_down)
    sinc(a f_right), for they are the same vector, turned.
    """
    f_down, f_right = frequencies[..., None, None].unbind(2)
    first, second = phases[..., None, None].unbind(2)
    down, right = down[:, None], right[:, None]
    # Whole cycles are taken off first: a float32 cosine of 10^4 is good to three digits only.
    u = (f_down * down + f_right * right + first).remainder(1)
    v = (f_right * down - f_down * right + second).remainder(1)
    side = aperture.view(-1, 1, 1, 1)
    seen = torch.sinc(side * f_down) * torch.sinc(side * f_right)
    return seen / 2 * ((2 * math.pi * u).cos_() + (2 * math.pi * v).cos_())


def add_moire(images: Tensor, screen: Tensor, strength: Tensor, display: Tensor) -> Tensor:
    """Return images (B, 3, H, W) modulated by a screen (B, 3, H, W) in [-1, 1]; in [0, 1].

    ``strength`` (B,) in [0, 1], ``display`` (B,) bool. The first harmonic of dots that cover the
    share x of a print is sin(πx) of the strongest; the light of a display is proportional to x.
    """
    depth = torch.where(display.view(-1, 1, 1, 1), images, (math.pi * images).sin() / 2)
    return (images + strength.view(-1, 1, 1, 1) * depth * screen).clamp_(0, 1)


def apply_moire(canvas: Canvas, steps: Sequence[Moire]) -> Canvas:
    """Leave moiré on each image of a canvas."""
    rows, columns = canvas.coordinates()
    heights, widths = canvas.lengths()
    drawn = np.stack([numpy_generator(step.seed).random(12) for step in steps])
    random = torch.tensor(drawn, device=canvas.device, dtype=torch.float32)
    shape = (len(steps), rows.shape[0], columns.shape[1])
    down, right = rows.expand(shape), columns.expand(shape)
    values = torch.tensor(
        [
            [step.strength, step.pitch, step.warp, step.aperture]
            + [step.angle + turn for turn in step.angles]
            for step in steps
        ],
        device=canvas.device,
    )
    if any(step.warp > 0 for step in steps):
        down, right = (
            place
            + values[:, 2, None, None] * _bulge(rows / heights[:, 0], columns / widths[:, 0], u)
            for place, u in ((down, random[:, 6:9]), (right, random[:, 9:12]))
        )
    screen = sampled_screen(
        down,
        right,
        screen_frequencies(values[:, 1], values[:, 4:].deg2rad()),
        random[:, :6].view(-1, 3, 2),
        values[:, 3],
    )
    display = torch.tensor([step.of == "display" for step in steps], device=canvas.device)
    return canvas.with_pixels(add_moire(canvas.pixels, screen, values[:, 0], display))


def _bulge(row: Tensor, column: Tensor, u: Tensor) -> Tensor:
    """Return a slow wave (B, H, W) in [-1, 1], of at most one period down and across the image,
    whose rows and columns are given as shares of its sides; ``u`` (B, 3) in [0, 1) decides."""
    down, right, phase = (2 * u - 1)[..., None, None].unbind(1)
    return torch.sin(2 * math.pi * (down * row + right * column + phase))
