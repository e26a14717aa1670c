"""Paper texture: the relief of a print, lit from one side while it was copied.

Photographic papers have embossed surfaces (silk, honeycomb, linen) or matte ones, whose fibres
show. Under a scanner's lamp slopes towards it are lighter and slopes away from it darker.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.grain import correlated_field, grain_kernels
from redeg_cli.seeds import numpy_generator

WAVES = {"matte": (), "silk": (0.0, 60.0, 120.0), "linen": (0.0, 90.0)}
"""Directions in degrees of the waves that a surface is embossed with."""


class Paper(Step):
    """The surface of a print."""

    surface: Literal["matte", "silk", "linen"] = "matte"
    """Not embossed, with a hexagonal pattern, or with crossed threads."""
    strength: float = Field(ge=0, le=1)
    """Standard deviation of the shading, as a share of the value."""
    pitch: Annotated[float, Field(ge=1, le=200)] = 6.0
    """Distance of the pattern's waves in pixels."""
    angle: Annotated[float, Field(ge=-180, le=180)] = 0.0
    """Rotation of the pattern in degrees."""
    light: Annotated[float, Field(ge=-180, le=180)] = 0.0
    """Where the light comes from in degrees: 0 from the right, 90 from below."""
    fibre: Annotated[float, Field(ge=0.5, le=32)] = 1.5
    """Correlation length of the fibres' relief in pixels."""
    roughness: Share = 0.4
    """Share of the fibres in the variance of the shading; all of it on matte paper."""
    gloss: Share = 0.2
    """0: the shading scales the picture; 1: it is a reflection, as strong in black as in white."""
    seed: Seed


def fibre_relief(
    seeds: Sequence[int], size: tuple[int, int], lengths: Sequence[float], light: Tensor
) -> Tensor:
    """Return the slope (B, 1, H, W) of a random surface towards the light, of variance 1.

    ``lengths`` are the correlation lengths in pixels, ``light`` (B, 2) unit vectors (down, right)
    on the CPU. The slope is the central difference of filtered white noise. Along the two axes it
    is uncorrelated and equally strong, so its variance does not depend on the light.
    """
    kernels = grain_kernels(lengths)
    height, width = size
    surface = correlated_field(seeds, (1, height + 2, width + 2), kernels, light.device)
    down = surface[:, :, 2:, 1:-1] - surface[:, :, :-2, 1:-1]
    right = surface[:, :, 1:-1, 2:] - surface[:, :, 1:-1, :-2]
    # Variance of a difference two pixels apart: 2 - 2 times the correlation there.
    again = (kernels[:, 2:] * kernels[:, :-2]).sum(1)
    light = light / (2 - 2 * again.to(light)).sqrt()[:, None]
    return down * light[:, 0, None, None, None] + right * light[:, 1, None, None, None]


def embossed_relief(
    size: tuple[int, int], frequencies: Tensor, phases: Tensor, light: Tensor
) -> Tensor:
    """Return the shading (B, 1, H, W) of an embossed surface, of variance 1 (0 without waves).

    ``frequencies`` (B, K, 2) in cycles per pixel (down, right), 0 for waves that do not exist;
    ``phases`` (B, K) in cycles; ``light`` (B, 2). Half of the variance is the slope of the sum of
    waves towards the light, half its height: hollows get less light from anywhere.
    """
    rows = torch.arange(size[0], device=light.device).view(1, 1, -1, 1)
    columns = torch.arange(size[1], device=light.device).view(1, 1, 1, -1)
    down, right = frequencies[..., None, None].unbind(2)
    cycles = down * rows + right * columns + phases[..., None, None]
    slopes = (frequencies * light[:, None]).sum(2)
    exist = (frequencies != 0).any(2).to(slopes)
    angle = 2 * math.pi * cycles.remainder(1)
    height = _unit(exist)[..., None, None] * angle.cos()
    slope = _unit(slopes)[..., None, None] * angle.sin()
    return ((height + slope) / math.sqrt(2)).sum(1, keepdim=True)


def _unit(amplitudes: Tensor) -> Tensor:
    """Return amplitudes (B, K) of waves scaled so that the variance of their sum is 1, or 0."""
    energy = amplitudes.square().sum(1, keepdim=True) / 2
    return amplitudes / energy.clamp(min=1e-12).sqrt()


def shade(images: Tensor, relief: Tensor, strength: Tensor, gloss: Tensor) -> Tensor:
    """Return images (B, 3, H, W) lit from the side, in [0, 1].

    ``relief`` (B, 1, H, W) is the slope towards the light, ``strength`` and ``gloss`` are (B,): a
    matte slope scales what the picture reflects, a glossy one adds light of its own.
    """
    strength, gloss = (x.view(-1, 1, 1, 1) for x in (strength, gloss))
    return (images + strength * relief * torch.lerp(images, torch.ones_like(images), gloss)).clamp_(
        0, 1
    )


def apply_paper(canvas: Canvas, steps: Sequence[Paper]) -> Canvas:
    """Give each image of a canvas the surface of a paper."""
    size = (canvas.pixels.shape[2], canvas.pixels.shape[3])
    rough = [1.0 if step.surface == "matte" else step.roughness for step in steps]
    values = torch.tensor(
        [
            [step.strength, step.gloss, share, *_direction(step.light)]
            for step, share in zip(steps, rough, strict=True)
        ],
        device=canvas.device,
    )
    light, share = values[:, 3:], values[:, 2].view(-1, 1, 1, 1)
    relief = torch.zeros((), device=canvas.device)
    if max(rough) > 0:
        seeds, lengths = [step.seed for step in steps], [step.fibre for step in steps]
        relief = share.sqrt() * fibre_relief(seeds, size, lengths, light)
    if min(rough) < 1:
        waves = torch.tensor([_waves(step) for step in steps], device=canvas.device)
        embossed = embossed_relief(size, waves[..., :2], waves[..., 2], light)
        relief = relief + (1 - share).sqrt() * embossed
    return canvas.with_pixels(shade(canvas.pixels, relief, values[:, 0], values[:, 1]))


def _direction(degrees: float) -> tuple[float, float]:
    return math.sin(math.radians(degrees)), math.cos(math.radians(degrees))


def _waves(step: Paper) -> list[tuple[float, float, float]]:
    """Return frequency (down, right) and phase of three waves; 0 for those that do not exist."""
    phases = numpy_generator(step.seed).random(3)
    waves = [(0.0, 0.0, 0.0)] * 3
    for i, direction in enumerate(WAVES[step.surface]):
        down, right = _direction(step.angle + direction)
        waves[i] = (down / step.pitch, right / step.pitch, float(phases[i]))
    return waves
