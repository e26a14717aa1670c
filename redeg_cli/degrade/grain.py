"""Film grain: noise that is correlated from pixel to pixel and depends on the tone.

White noise is filtered with a Gaussian of unit energy, so that its deviation is the one asked for
at any correlation length, at the border too. On scans of old photos the correlation of
neighbouring pixels in flat places is 0.4 to 0.8, that of white noise 0.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.tone import to_luma


class Grain(Step):
    """Film grain."""

    sigma: float = Field(ge=0, le=1)
    """Standard deviation in a middle gray, in units of the range [0, 1]."""
    length: Annotated[float, Field(ge=0, le=32)] = 1.0
    """Distance in pixels at which the correlation has fallen to 1/e; 0 is white noise."""
    alike: Share = 1.0
    """Correlation of the channels with each other: 1 is gray grain, 0 independent dyes."""
    midtones: Share = 1.0
    """How much black and white are spared: 1 has no grain there, 0 the same at all tones."""
    seed: Seed


def grain_kernels(lengths: Sequence[float]) -> Tensor:
    """Return kernels (B, k) whose squares sum to 1, for correlation lengths in pixels.

    White noise filtered with a Gaussian of deviation s has the correlation exp(-d² / 4s²), so s is
    half the length. Each kernel begins at the left and is filled up with zeros: image i reads the
    same noise whatever the batch.
    """
    reaches = [math.ceil(1.5 * length) for length in lengths]
    place = torch.arange(2 * max(reaches) + 1, dtype=torch.float64)[None]
    reach = torch.tensor(reaches)[:, None]
    sigma = torch.tensor(lengths, dtype=torch.float64)[:, None].clamp(min=0.1) / 2
    kernels = (-0.5 * ((place - reach) / sigma).square()).exp() * (place <= 2 * reach)
    return (kernels / kernels.square().sum(1, keepdim=True).sqrt()).float()


def correlated_field(
    seeds: Sequence[int], shape: tuple[int, int, int], kernels: Tensor, device: torch.device
) -> Tensor:
    """Return Gaussian noise (B, C, H, W) for ``shape`` (C, H, W), filtered with ``kernels`` (B, k)
    along rows and columns; of variance 1 if their squares sum to 1."""
    batch, taps = kernels.shape
    channels, height, width = shape
    noise = normal_field(seeds, (channels, height + taps - 1, width + taps - 1), device)
    weights = kernels.to(device).T.reshape(taps, batch, 1, 1, 1)
    # Tap by tap: on a CPU core 0.5 to 2.4 ms for four planes of 256x256 and 5 to 25 taps, where
    # grouped conv2d takes 3 to 7.
    rows = noise[..., :width] * weights[0]
    for tap in range(1, taps):
        rows.addcmul_(noise[..., tap : tap + width], weights[tap])
    field = rows[:, :, :height] * weights[0]
    for tap in range(1, taps):
        field.addcmul_(rows[:, :, tap : tap + height], weights[tap])
    return field


def film_grain(
    images: Tensor,
    sigma: Tensor,
    lengths: Sequence[float],
    alike: Tensor,
    midtones: Tensor,
    seeds: Sequence[int],
) -> Tensor:
    """Return the grain of images (B, 3, H, W) in [0, 1], not yet added.

    ``sigma``, ``alike`` and ``midtones`` are (B, 1, 1, 1), on the CPU or with the images; see
    ``Grain``. The deviation at the value u is sigma * (1 - midtones + midtones * 2 √(u (1 - u))):
    a spot is covered by a grain or not, so its variance is that of a coin with the chance u (as in
    Newson et al. 2017, "A stochastic film grain model for resolution-independent rendering",
    section 3; their grains overlap as discs, ours as a Gaussian field). Channels that are alike
    share their tone too: the luma.
    """
    height, width = images.shape[2:]
    colour = bool((alike < 1).any())
    sigma, alike, midtones = (x.to(images.device) for x in (sigma, alike, midtones))
    shape = (4 if colour else 1, height, width)
    field = correlated_field(seeds, shape, grain_kernels(lengths), images.device)
    noise, level = field[:, :1], to_luma(images)
    if colour:
        noise = alike.sqrt() * noise + (1 - alike).sqrt() * field[:, 1:]
        level = torch.lerp(images, level, alike)
    level = level.clamp(0, 1)
    strength = torch.lerp(torch.ones_like(level), 2 * (level * (1 - level)).sqrt(), midtones)
    return (sigma * strength * noise).expand_as(images)


def apply_grain(canvas: Canvas, steps: Sequence[Grain]) -> Canvas:
    """Add film grain to each image of a canvas."""
    values = torch.tensor([[step.sigma, step.alike, step.midtones] for step in steps])
    sigma, alike, midtones = (column.view(-1, 1, 1, 1) for column in values.unbind(1))
    noise = film_grain(
        canvas.pixels,
        sigma,
        [step.length for step in steps],
        alike,
        midtones,
        [step.seed for step in steps],
    )
    return canvas.with_pixels((canvas.pixels + noise).clamp_(0, 1))
