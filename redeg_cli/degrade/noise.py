"""Additive Gaussian noise and Poisson noise, replayable from a seed."""

import torch

from redeg_cli.degrade.tone import to_luma
from redeg_cli.seeds import torch_generator


def standard_normal(shape: tuple[int, ...], seed: int, device: torch.device) -> torch.Tensor:
    """Return N(0, 1) noise of ``shape``. Drawn on the CPU, so that every device gets the same."""
    return torch.randn(shape, generator=torch_generator(seed)).to(device)


def gaussian_noise(image: torch.Tensor, sigma: float, gray: bool, seed: int) -> torch.Tensor:
    """Add Gaussian noise to one image (3, H, W); ``sigma`` in units of the range [0, 1].

    ``gray`` gives all channels the same field. The result is clamped to [0, 1].
    """
    shape = (1 if gray else 3, *image.shape[1:])
    return (image + sigma * standard_normal(shape, seed, image.device)).clamp(0, 1)


def poisson_noise(image: torch.Tensor, photons: float, gray: bool, seed: int) -> torch.Tensor:
    """Add shot noise to one image (3, H, W): a white pixel collects ``photons`` photons.

    The Gaussian limit of the Poisson law (variance = value / photons) is used, which is replayable
    on every device and exact enough from 10 photons up. Clamped to [0, 1].
    """
    field = standard_normal((1 if gray else 3, *image.shape[1:]), seed, image.device)
    level = image
    if gray:
        level = to_luma(image)
    return (image + (level.clamp(min=0) / photons).sqrt() * field).clamp(0, 1)
