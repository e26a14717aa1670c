"""Halftone printing: clustered-dot (AM) screens in black ink or in the four printing inks.

A screen is a periodic wave whose values are ranked: the threshold at a pixel is the share of the
paper where the wave is higher. So ink of tone t covers exactly t of the paper, whatever the shape
of the dot, and a print keeps its tones on average. Tones are the images' own values (a print that
covers 1 - v of the paper averages to v when it is blurred, as every filter here averages values).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.tone import to_luma
from redeg_cli.seeds import numpy_generator

INK_ANGLES = (15.0, 75.0, 0.0, 45.0)
"""Traditional screen angles in degrees of cyan, magenta, yellow and black."""

Dot = Literal["round", "ellipse", "line"]
_WEIGHTS: dict[Dot, tuple[float, float]] = {
    "round": (0.5, 0.5),
    "ellipse": (0.6, 0.4),
    "line": (1.0, 0.0),
}
"""How much each of the two crossed waves counts in the screen of a dot."""
_LEVELS = 8192
"""Entries of the ranks of a wave; no entry holds more than 0.1 % of the paper (lines: 0.5 %)."""

Angle = Annotated[float, Field(ge=-360, le=360)]
Phase = Annotated[float, Field(ge=-1e3, le=1e3)]


class Halftone(Step):
    """A print in dots: one screen makes black ink, four make cyan, magenta, yellow and black."""

    pitch: Annotated[float, Field(ge=1, le=200)]
    """Distance of the dots (of the lines, in a line screen) in pixels."""
    angles: tuple[Angle, ...]
    """Directions of the screens in degrees: one, or four as in ``INK_ANGLES``."""
    tilt: Angle = 0.0
    """Degrees added to every angle: how askew the page lay on the scanner."""
    softness: Share = 0.3
    """Width of a dot's edge in tone: 0 is a pixel, which is 1 / pitch, 1 leaves no flat parts."""
    dot: Dot = "round"
    """Shape: round (a checkerboard at half tone), ellipses that join into chains, or lines."""
    gain: Annotated[float, Field(ge=0, le=0.25)] = 0.0
    """Dot gain: how much more of the paper than asked ink covers at half tone. Up to 0.25 darker
    tones stay darker."""
    black: Share = 1.0
    """Share of the gray in the three colours that is printed in black (under-colour removal)."""
    phases: tuple[tuple[Phase, Phase], ...] | None = None
    """Where the dots lie, in periods along and across each screen; without it ``seed`` decides."""
    seed: Seed = 0
    """Decides the phases if they are not given."""

    @model_validator(mode="after")
    def _screens(self) -> "Halftone":
        phases = len(self.angles) if self.phases is None else len(self.phases)
        if len(self.angles) not in (1, 4) or phases != len(self.angles):
            raise ValueError(
                f"expected 1 or 4 angles and as many phases, got {len(self.angles)} and {phases}"
            )
        return self


def screen_thresholds(
    size: tuple[int, int], pitch: Tensor, angles: Tensor, phases: Tensor, dots: Sequence[Dot]
) -> Tensor:
    """Return the thresholds of screens in [0, 1], (B, S, H, W) for ``size`` (H, W).

    ``pitch`` (B,) is the distance of dots in pixels, ``angles`` (B, S) in degrees, ``phases``
    (B, S, 2) in periods; ``dots`` names one shape per image. Thresholds are uniform over the paper
    and lowest in the middle of a dot.
    """
    device = pitch.device
    rows = torch.arange(size[0], device=device, dtype=torch.float32)[:, None]
    columns = torch.arange(size[1], device=device, dtype=torch.float32)[None]
    turn = angles * (math.pi / 180)
    cos, sin = (2 * math.pi * f(turn) / pitch[:, None] for f in (torch.cos, torch.sin))
    weights = torch.tensor([_WEIGHTS[dot] for dot in dots], device=device)[:, :, None, None, None]
    wave = torch.zeros((*angles.shape, *size), device=device)
    for i, (across, down) in enumerate(((cos, sin), (-sin, cos))):
        # cos(x + y) is cos x cos y - sin x sin y: the plane takes products, no cosines.
        x = across[..., None, None] * columns + 2 * math.pi * phases[..., i, None, None]
        y = down[..., None, None] * rows
        wave.addcmul_(weights[:, i] * x.cos(), y.cos())
        wave.addcmul_(weights[:, i] * x.sin(), y.sin(), value=-1)
    index = wave.add_(1).mul_(_LEVELS / 2).int().clamp_(0, _LEVELS - 1)
    kinds = list(dict.fromkeys(dots))
    ranks = torch.stack([_ranks(kind) for kind in kinds]).to(device)
    if len(kinds) > 1:
        offsets = torch.tensor([_LEVELS * kinds.index(dot) for dot in dots], device=device)
        index = index + offsets.int().view(-1, 1, 1, 1)
    return ranks.flatten().index_select(0, index.flatten()).view(wave.shape)


@lru_cache(maxsize=len(_WEIGHTS))
def _ranks(dot: Dot) -> Tensor:
    """Return the share of the paper where the wave of a dot is above each of its levels."""
    levels = (torch.arange(_LEVELS, dtype=torch.float64) + 0.5) * 2 / _LEVELS - 1
    first, second = _WEIGHTS[dot]
    if second == 0:
        return (levels.acos() / math.pi).float()
    # Of one wave's values at 512 places, how much the other must add, and where it is above that.
    along = first * (math.pi * (torch.arange(512, dtype=torch.float64) + 0.5) / 512).cos()
    needed = ((levels[:, None] - along) / second).clamp(-1, 1)
    return (needed.acos().mean(1) / math.pi).float()


def separate_inks(images: Tensor, black: Tensor, gray: Tensor) -> Tensor:
    """Return the tones of cyan, magenta, yellow and black, (B, 4, H, W), of RGB images.

    ``black`` (B, 1, 1, 1) is the share of the common gray that goes into black, where ``gray``
    (B, 1, 1, 1) is true all of the luma does. ``print_inks`` of the tones are the images again.
    """
    paper = 1 - black * (1 - images.amax(1, keepdim=True))
    colours = 1 - images / paper.clamp(min=1e-3)
    colours.masked_fill_(gray | (paper < 1e-3), 0)
    return torch.cat([colours, 1 - torch.where(gray, to_luma(images), paper)], 1).clamp_(0, 1)


def print_inks(inks: Tensor) -> Tensor:
    """Return RGB (B, 3, H, W) of black ink (B, 1, H, W) or CMYK (B, 4, H, W), ideal inks."""
    paper = 1 - inks
    if paper.shape[1] == 1:
        return paper.expand(-1, 3, -1, -1).contiguous()
    return paper[:, :3] * paper[:, 3:]


def screen_inks(inks: Tensor, thresholds: Tensor, edge: Tensor) -> Tensor:
    """Return inks (B, S, H, W) printed in dots with edges (B, 1, 1, 1) in tone, above 0, up to 1.

    A soft edge of width e makes a dot clamp((t' - threshold) / e + 1/2). Its mean over the paper
    is t' itself in the middle tones, (t' + e/2)² / 2e below e/2 and likewise near 1; t' is chosen
    so that the mean is the ink's tone t. Without that white paper would turn e/8 gray.
    """
    half = (edge / 2).sqrt()
    tones = inks - (half - inks.sqrt()).relu_().square_()
    tones += (half - (1 - inks).sqrt_()).relu_().square_()
    return tones.sub_(thresholds).div_(edge).add_(0.5).clamp_(0, 1)


def apply_halftone(canvas: Canvas, steps: Sequence[Halftone]) -> Canvas:
    """Print each image of a canvas as halftone."""
    device, pixels = canvas.device, canvas.pixels
    screens = max(len(step.angles) for step in steps)
    # Where other images of the batch have four inks, one screen is the fourth, black.
    angles = [[0.0] * (screens - len(step.angles)) + [*step.angles] for step in steps]
    angles = torch.tensor(angles) + torch.tensor([[step.tilt] for step in steps])
    phases = torch.zeros(len(steps), screens, 2, dtype=torch.float64)
    for row, step in enumerate(steps):
        given = step.phases or numpy_generator(step.seed).random((len(step.angles), 2)).tolist()
        phases[row, screens - len(given) :] = torch.tensor(given)
    thresholds = screen_thresholds(
        (pixels.shape[2], pixels.shape[3]),
        torch.tensor([step.pitch for step in steps], device=device),
        angles.to(device),
        phases.remainder(1).float().to(device),
        [step.dot for step in steps],
    )
    if screens == 1:
        inks = (1 - to_luma(pixels)).clamp_(0, 1)
    else:
        gray = canvas.column([len(step.angles) == 1 for step in steps])
        inks = separate_inks(pixels, canvas.column([step.black for step in steps]), gray)
    gain = [step.gain for step in steps]
    if any(gain):
        inks += 4 * canvas.column(gain) * inks * (1 - inks)
    # A pixel sees an area. Seen at points, dots at a pitch of whole pixels would have few tones.
    edge = canvas.column([max(step.softness, 1 / step.pitch) for step in steps])
    return canvas.with_pixels(print_inks(screen_inks(inks, thresholds, edge)))
