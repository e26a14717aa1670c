"""Camera noise: the picture is taken back to the sensor, gets noise there, and is developed again.

Noise of a sensor is white and grows with the light. Demosaicing makes blotches of it, white balance
and the colour matrix colour it, gamma and the tone curve strengthen it in the shadows. So noise in
photographs looks like no noise that is added to finished pictures (BSRGAN, section 3.3).
"""

import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, field_validator
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.fields import normal_field

Gain = Annotated[float, Field(ge=1, le=4)]
Variance = Annotated[float, Field(ge=0, le=0.1)]

CAMERAS = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.6130, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.8380, -0.2630, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.0970, 0.1581, 0.5181)),
)
"""Matrices from CIE XYZ to the colours of four cameras of the Darmstadt Noise Dataset, as Brooks
et al. 2019 publish them with their code."""
_SRGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_GAMMA = 2.2
_SHOULDER = 0.9
"""Linear gray above which a pixel is taken to have been saturated on the sensor."""


class IspNoise(Step):
    """A camera and the noise of its sensor. Amounts of light are shares of what saturates it.

    The ranges of Brooks et al.: ``shot`` log-uniform on [1e-4, 0.012], ``red_gain`` on [1.9, 2.4],
    ``blue_gain`` on [1.5, 1.9], ``rgb_gain`` 1 / N(0.8, 0.1), ``ccm`` uniform weights.
    """

    shot: Variance = 0.003
    """Variance per light: of the photons that were counted."""
    read: Variance | None = None
    """Variance without light, of the electronics; without it what goes with ``shot``:
    log read = 2.18 log shot + 1.2 (in Brooks et al. with a spread of N(0, 0.26))."""
    red_gain: Gain = 2.1
    """What white balance multiplies red by."""
    blue_gain: Gain = 1.7
    """What white balance multiplies blue by."""
    rgb_gain: Gain = 1.25
    """What all colours are multiplied by: the exposure was shorter by as much."""
    ccm: tuple[Share, Share, Share, Share] = (1.0, 1.0, 1.0, 1.0)
    """How much of each of ``CAMERAS`` the camera's colours are; only their ratio counts."""
    gradient: Share = 1.0
    """Of the demosaicing: 0 is bilinear, 1 sharpens with the other colours' second differences
    (Malvar et al.), which makes the noise's grain finer too."""
    seed: Seed = 0
    """Decides the noise."""

    @field_validator("ccm")
    @classmethod
    def _some(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if sum(weights) < 1e-3:
            raise ValueError("at least one weight must be above 0")
        return weights


def camera_matrices(weights: Tensor) -> Tensor:
    """Return the matrices (B, 3, 3) from linear sRGB to camera colours, rows summing to 1.

    ``weights`` (B, 4) mix ``CAMERAS``. On the CPU in float64.
    """
    share = weights.double() / weights.double().sum(1, keepdim=True)
    cameras = torch.tensor(CAMERAS, dtype=torch.float64)
    mixed = (share[:, :, None, None] * cameras).sum(1)
    matrices = mixed @ torch.tensor(_SRGB_TO_XYZ, dtype=torch.float64)
    return matrices / matrices.sum(2, keepdim=True)


def unprocess(images: Tensor, matrices: Tensor, gains: Tensor) -> Tensor:
    """Return camera colours (B, 3, H, W), 1 where the sensor saturates, of sRGB in [0, 1].

    ``matrices`` (B, 3, 3) are ``camera_matrices``, ``gains`` (B, 3, 1, 1) those of white balance
    and exposure together. Source: Brooks et al., "Unprocessing Images for Learned Raw Denoising",
    CVPR 2019, section 3, with their inverse of the tone curve 3x² - 2x³ and the gains taken back
    from near-white pixels only in part, so that what is white stays saturated. Unlike there,
    colours that the camera sees as negative are kept: without noise ``process`` brings them back.
    """
    linear = 0.5 - (((1 - 2 * images.clamp(0, 1)).asin_()) / 3).sin_()
    linear = linear.clamp_(min=1e-8).pow_(_GAMMA)
    camera = _mixed(linear, matrices)
    bright = ((camera.mean(1, keepdim=True) - _SHOULDER) / (1 - _SHOULDER)).clamp_(0, 1).square_()
    return camera.mul_(1 / gains + bright * (1 - 1 / gains))


def process(camera: Tensor, matrices: Tensor) -> Tensor:
    """Return sRGB in [0, 1] of white-balanced camera colours: the way back of ``unprocess``."""
    linear = _mixed(camera, torch.linalg.inv(matrices)).clamp_(1e-8, 1).pow_(1 / _GAMMA)
    return linear.square().mul_(linear.mul_(-2).add_(3))


def _mixed(images: Tensor, matrices: Tensor) -> Tensor:
    """Return the colours (B, 3, H, W) times matrices (B, 3, 3): sums of products in float32, which
    neither autocast nor TF32 makes coarser."""
    columns = matrices.float().to(images.device)[..., None, None].unbind(2)
    mixed = columns[0] * images[:, :1]
    for column, plane in zip(columns[1:], (images[:, 1:2], images[:, 2:]), strict=True):
        mixed.addcmul_(column, plane)
    return mixed


def mosaic(colours: Tensor) -> Tensor:
    """Return what an RGGB sensor sees, (B, 1, H, W), of colours (B, 3, H, W)."""
    raw = colours[:, 1:2].clone()
    raw[..., 0::2, 0::2] = colours[:, 0:1, 0::2, 0::2]
    raw[..., 1::2, 1::2] = colours[:, 2:3, 1::2, 1::2]
    return raw


def expose(raw: Tensor, shot: Tensor, read: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return raw (B, 1, H, W) with noise of variance ``shot`` x raw + ``read``, at most 1.

    Noise may go below 0, as it does in raw files, which have their black level above 0.
    """
    shape = (1, raw.shape[2], raw.shape[3])
    noise = normal_field(seeds, shape, raw.device)
    deviation = raw.clamp(min=0).mul_(shot).add_(read).sqrt_()
    return torch.addcmul(raw, noise, deviation).clamp_(max=1)


def demosaic(bordered: Tensor, gradient: Tensor) -> Tensor:
    """Return colours (B, 3, H, W) of a mosaic (B, 1, 2 + H + 2, 2 + W + 2) that begins with red.

    ``gradient`` (B, 1, 1, 1) from 0, bilinear, to 1: Malvar, He and Cutler, "High-quality linear
    interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004.
    """
    height, width = bordered.shape[2] - 4, bordered.shape[3] - 4

    def at(down: int, right: int) -> Tensor:
        return bordered[..., 2 + down : 2 + down + height, 2 + right : 2 + right + width]

    own = at(0, 0)
    columns, rows = at(-1, 0) + at(1, 0), at(0, -1) + at(0, 1)
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    far_columns, far_rows = at(-2, 0) + at(2, 0), at(0, -2) + at(0, 2)
    far = far_columns + far_rows
    eighth = gradient / 8
    green = (columns + rows) / 4 + eighth * (4 * own - far)
    # Red and blue where their neighbours are in the row, in the column, and at the corners.
    beside = 5 * own - corners
    in_row = rows / 2 + eighth * (beside - far_rows + far_columns / 2)
    in_column = columns / 2 + eighth * (beside - far_columns + far_rows / 2)
    diagonal = corners / 4 + eighth * (6 * own - 1.5 * far)

    even_row = (torch.arange(height, device=own.device) % 2 == 0)[:, None]
    even_column = torch.arange(width, device=own.device) % 2 == 0
    red = torch.where(even_column, own, in_row), torch.where(even_column, in_column, diagonal)
    blue = torch.where(even_column, diagonal, in_column), torch.where(even_column, in_row, own)
    return torch.cat(
        [
            torch.where(even_row, *red),
            torch.where(even_row == even_column, green, own),
            torch.where(even_row, *blue),
        ],
        1,
    )


def apply_isp_noise(canvas: Canvas, steps: Sequence[IspNoise]) -> Canvas:
    """Take each image of a canvas with its noisy camera."""
    matrices = camera_matrices(torch.tensor([step.ccm for step in steps]))
    gains = torch.tensor(
        [[s.red_gain * s.rgb_gain, s.rgb_gain, s.blue_gain * s.rgb_gain] for s in steps],
        device=canvas.device,
    )[..., None, None]
    raw = expose(
        mosaic(unprocess(canvas.pixels, matrices, gains)),
        canvas.column([step.shot for step in steps]),
        canvas.column([usual_read(s.shot) if s.read is None else s.read for s in steps]),
        [step.seed for step in steps],
    )
    balance = mosaic(gains.expand(-1, -1, 2, 2))
    repeats = (1, 1, -(-raw.shape[2] // 2), -(-raw.shape[3] // 2))
    raw *= balance.repeat(repeats)[..., : raw.shape[2], : raw.shape[3]]
    # A mirrored mosaic goes on as a mosaic: the mirror stands on a pixel, colours keep their turn.
    bordered = canvas.with_pixels(raw.clamp_(max=1)).bordered(2, 2, "mirror")
    gradient = canvas.column([step.gradient for step in steps])
    return canvas.with_pixels(process(demosaic(bordered, gradient), matrices))


def usual_read(shot: float) -> float:
    """Return the read variance that goes with a shot variance (Brooks et al., section 3.1)."""
    return math.exp(2.18 * math.log(shot) + 1.2) if shot > 0 else 0.0
