"""Gaussian, speckle and Poisson noise: gray, coloured or correlated between the channels."""

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.tone import to_luma

Row = tuple[float, float, float]


class GaussianNoise(Step):
    """Gaussian noise, of the ops ``noise`` (added) and ``speckle`` (times the image)."""

    sigma: Share | None = None
    """Standard deviation in units of the range [0, 1]."""
    gray: bool = False
    """The same noise in all channels."""
    mixing: tuple[Row, Row, Row] | None = None
    """M of correlated channels, in place of ``sigma``: the noise is M times white noise of
    deviation 1."""
    seed: Seed

    @model_validator(mode="after")
    def _one_of_both(self) -> "GaussianNoise":
        if (self.sigma is None) == (self.mixing is None):
            raise ValueError("give either sigma or mixing")
        return self

    def matrix(self) -> tuple[Row, Row, Row]:
        """Return what white noise in three channels is multiplied by."""
        if self.mixing is not None:
            return self.mixing
        s = self.sigma or 0.0
        if self.gray:
            return (s, 0, 0), (s, 0, 0), (s, 0, 0)
        return (s, 0, 0), (0, s, 0), (0, 0, s)


class PoissonNoise(Step):
    """Shot noise."""

    photons: float = Field(gt=0, le=1e7)
    """What a white pixel collects on average."""
    strength: Annotated[float, Field(ge=0, le=10)] = 1.0
    """What the noise is multiplied by once it is drawn (Real-ESRGAN's "scale")."""
    gray: bool = False
    """The noise of the luma, added to all channels."""
    seed: Seed


def gaussian_noise(images: Tensor, mixing: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return the noise of images (B, 3, H, W): N(0, M Mᵀ) at each pixel, not yet added.

    ``mixing`` M (B, 3, 3) in units of the range [0, 1]: a multiple of the identity for coloured
    noise, one column for gray noise. Source: BSRGAN, section 3.3 (generalised zero-mean Gaussian).
    """
    batch, _, height, width = images.shape
    channels = 3 if bool(mixing[:, :, 1:].any()) else 1
    field = normal_field(seeds, (channels, height, width), images.device)
    mixing = mixing[:, :, :channels].to(images)
    return torch.einsum("bdc,bchw->bdhw", mixing, field).view(batch, 3, height, width)


def poisson_noise(
    images: Tensor, photons: Tensor, strength: Tensor, gray: Tensor, seeds: Sequence[int]
) -> Tensor:
    """Return the shot noise of images (B, 3, H, W) in [0, 1], not yet added.

    ``photons``, ``strength`` (float) and ``gray`` (bool) are (B, 1, 1, 1): the noise is strength *
    (k / photons - x) with k drawn from the Poisson law of mean photons * x, where x is the luma
    and the noise common to all channels for gray images. Source: BSRGAN, section 3.3; Real-ESRGAN,
    section 3.2.
    """
    height, width = images.shape[2:]
    channels = 1 if bool(gray.all()) else 3
    level = to_luma(images) if channels == 1 else torch.where(gray, to_luma(images), images)
    field = normal_field(seeds, (channels, height, width), images.device)
    field = torch.where(gray, field[:, :1], field)
    mean = level.clamp(min=0) * photons
    return (strength * (_poisson(mean, field) - mean) / photons).expand_as(images)


def _poisson(mean: Tensor, normal: Tensor) -> Tensor:
    """Return whole numbers of the Poisson law of ``mean``, from N(0, 1) numbers.

    The Cornish-Fisher expansion of the quantile (Giles 2016, "Algorithm 955", eq. 5), rounded down:
    from a mean of 2 on its variance is right to 1.4 %. Below, the law is summed up.
    """
    root = mean.sqrt()
    squared = normal.square()
    third = normal * (2 + squared) / (72 * root.clamp(min=1))
    counts = (mean + root * normal + (2 + squared) / 6 - third).floor().clamp_(min=0)
    rare = mean < 2
    if bool(rare.any()):
        # Black has no noise, and often there is much of it.
        counts *= mean > 0
        rare &= mean > 0
        counts[rare] = _rare_poisson(mean[rare], normal[rare])
    return counts


def _rare_poisson(mean: Tensor, normal: Tensor) -> Tensor:
    """Return the quantile for means (N,) below 2, where 13 or more has a chance under 1e-7."""
    uniform = torch.special.ndtr(normal)
    chance = (-mean).exp()
    below, counts = chance.clone(), torch.zeros_like(mean)
    for k in range(1, 13):
        more = uniform > below
        if not bool(more.any()):
            break
        counts += more
        below += chance.mul_(mean).div_(k)
    return counts


def _noise(canvas: Canvas, steps: Sequence[GaussianNoise]) -> Tensor:
    mixing = torch.tensor([step.matrix() for step in steps], dtype=torch.float32)
    return gaussian_noise(canvas.pixels, mixing, [step.seed for step in steps])


def apply_noise(canvas: Canvas, steps: Sequence[GaussianNoise]) -> Canvas:
    """Add Gaussian noise to each image of a canvas."""
    return canvas.with_pixels((canvas.pixels + _noise(canvas, steps)).clamp(0, 1))


def apply_speckle(canvas: Canvas, steps: Sequence[GaussianNoise]) -> Canvas:
    """Add to each image of a canvas Gaussian noise times the image (BSRGAN's code)."""
    x = canvas.pixels
    return canvas.with_pixels((x + x * _noise(canvas, steps)).clamp(0, 1))


def apply_poisson(canvas: Canvas, steps: Sequence[PoissonNoise]) -> Canvas:
    """Add shot noise to each image of a canvas."""
    noise = poisson_noise(
        canvas.pixels,
        canvas.column([step.photons for step in steps]),
        canvas.column([step.strength for step in steps]),
        canvas.column([step.gray for step in steps]),
        [step.seed for step in steps],
    )
    return canvas.with_pixels((canvas.pixels + noise).clamp(0, 1))
