"""Blur: filtering each image with a kernel of its own, through the Fourier transform.

One 256x256 image on one CPU core takes 2 ms at any kernel size; direct convolution takes 2 ms at
7x7 and 10 ms at 25x25 (grouped ``conv2d``), OpenCV 5 ms from 11x11 up.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.kernels import (
    gaussian_kernels,
    generalised_kernels,
    plateau_kernels,
    sinc_kernels,
)

Deviation = Annotated[float, Field(ge=0, le=100)]
_LEAST_SIGMA = 0.05
"""In pixels: such a kernel is a single point to seven digits."""


class Blur(Step):
    """A blur kernel."""

    family: Literal["gaussian", "generalised", "plateau", "sinc"] = "gaussian"
    size: Annotated[int, Field(ge=1, le=127)] = 21
    """Side of the kernel in pixels, odd."""
    sigma: Deviation = 1.0
    """Standard deviation in pixels, along the kernel's first axis if it is not round."""
    sigma_y: Deviation | None = None
    """Standard deviation along the second axis; that of the first if not given."""
    theta: float = 0.0
    """Rotation in radians."""
    beta: Annotated[float, Field(gt=0, le=20)] = 1.0
    """Shape of the generalised and plateau families."""
    cutoff: Annotated[float, Field(gt=0, le=3.1415926535897936)] = 3.141592653589793
    """Of the sinc family, in radians per pixel."""
    shift: Annotated[float, Field(ge=-20, le=20)] = 0.0
    """Offset of a Gaussian's centre towards the lower right in pixels."""

    @field_validator("size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"a kernel size must be odd, got {value}")
        return value

    @model_validator(mode="after")
    def _centred(self) -> "Blur":
        if abs(self.shift) > self.size // 2:
            raise ValueError(f"shift {self.shift:g} is outside of a kernel of size {self.size}")
        return self

    @property
    def across(self) -> float:
        """Standard deviation along the second axis in pixels."""
        return self.sigma if self.sigma_y is None else self.sigma_y


def make_kernels(steps: Sequence[Blur]) -> Tensor:
    """Return the kernels of some steps on the CPU, (B, k, k) with k the largest size."""
    largest = max(step.size for step in steps)
    kernels = torch.zeros(len(steps), largest, largest)
    for family in dict.fromkeys(step.family for step in steps):
        rows = [row for row, step in enumerate(steps) if step.family == family]
        kernels[rows] = _family_kernels(family, [steps[row] for row in rows], largest)
    sizes = torch.tensor([step.size for step in steps])[:, None]
    inside = (torch.arange(largest) - largest // 2).abs()[None] <= sizes // 2
    kernels = kernels * inside[:, :, None] * inside[:, None, :]
    return kernels / kernels.sum((1, 2), keepdim=True)


def _family_kernels(family: str, steps: Sequence[Blur], size: int) -> Tensor:
    if family == "sinc":
        return sinc_kernels(torch.tensor([step.cutoff for step in steps]), size)
    values = torch.tensor(
        [[step.sigma, step.across, step.theta, step.beta, step.shift] for step in steps],
        dtype=torch.float64,
    )
    sigma_x, sigma_y = values[:, :2].clamp(min=_LEAST_SIGMA).unbind(1)
    theta, beta, shift = values[:, 2:].unbind(1)
    if family == "gaussian":
        return gaussian_kernels(sigma_x, sigma_y, theta, size, shift)
    make = generalised_kernels if family == "generalised" else plateau_kernels
    return make(sigma_x, sigma_y, theta, beta, size)


def filter2d(images: Tensor, kernels: Tensor) -> Tensor:
    """Filter images (B, 3, H, W) with kernels (B, k, k), one per image; mirrored borders.

    Cross-correlation, as OpenCV's ``filter2D`` (the kernel is not flipped). Not clamped.
    """
    return filter_canvas(Canvas.of(images, 1), kernels)


def filter_canvas(canvas: Canvas, kernels: Tensor) -> Tensor:
    """Return the canvas's pixels filtered with kernels (B, k, k) of odd side k, not clamped."""
    height, width = canvas.pixels.shape[2:]
    half = kernels.shape[-1] // 2
    padded = canvas.bordered(half, half, "mirror")
    size = (_fast_length(height + 2 * half), _fast_length(width + 2 * half))
    spectrum = torch.fft.rfft2(padded, s=size)
    spectrum *= torch.fft.rfft2(kernels.to(padded), s=size)[:, None].conj()
    # What wraps around at the far ends is beyond the rows and columns that are kept.
    return torch.fft.irfft2(spectrum, s=size)[:, :, :height, :width]


@lru_cache(maxsize=1024)
def _fast_length(length: int) -> int:
    """Return the next even length that is a product of 2, 3 and 5, which Fourier transforms favour.

    Of odd ones those of real numbers take 1.3 to 2 times as long.
    """
    length += length % 2
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def apply_blur(canvas: Canvas, steps: Sequence[Blur]) -> Canvas:
    """Blur each image of a canvas with the kernel of its step."""
    kernels = make_kernels(steps).to(canvas.device)
    return canvas.with_pixels(filter_canvas(canvas, kernels).clamp(0, 1))
