"""Blur kernels: Gaussian, generalised Gaussian and plateau of any shape, and the sinc filter.

All are made on the CPU in float64, a few hundred numbers each, so that every device filters with
the very same kernel.
"""

import math

import torch
from torch import Tensor


def gaussian_kernels(
    sigma_x: Tensor, sigma_y: Tensor, theta: Tensor, size: int = 21, shift: Tensor | None = None
) -> Tensor:
    """Return anisotropic Gaussian kernels (B, size, size), each summing to 1.

    ``sigma_x`` and ``sigma_y`` (B,) are standard deviations in pixels along the kernel's own
    axes, ``theta`` (B,) the rotation in radians, ``shift`` (B,) the offset of the centre towards
    the lower right in pixels. Source: BSRGAN (Zhang et al. 2021), section 3.1.
    """
    return _normalised((-0.5 * _quadratic_form(sigma_x, sigma_y, theta, size, shift)).exp())


def generalised_kernels(
    sigma_x: Tensor, sigma_y: Tensor, theta: Tensor, beta: Tensor, size: int
) -> Tensor:
    """Return generalised Gaussian kernels (B, size, size): exp(-q^β / 2) of the quadratic form q.

    ``beta`` (B,): 1 is the Gaussian, below it heavier tails, above it a flatter top. Source: Liu
    et al. 2020, "Estimating generalized Gaussian blur kernels", as Real-ESRGAN uses it.
    """
    form = _quadratic_form(sigma_x, sigma_y, theta, size)
    return _normalised((-0.5 * form ** beta.double()[:, None, None]).exp())


def plateau_kernels(
    sigma_x: Tensor, sigma_y: Tensor, theta: Tensor, beta: Tensor, size: int
) -> Tensor:
    """Return plateau-shaped kernels (B, size, size): 1 / (1 + q^β) of the quadratic form q.

    Source: Real-ESRGAN (Wang et al. 2021), section 3.1.
    """
    form = _quadratic_form(sigma_x, sigma_y, theta, size)
    return _normalised(1 / (1 + form ** beta.double()[:, None, None]))


def sinc_kernels(cutoff: Tensor, size: int) -> Tensor:
    """Return circular low-pass kernels (B, size, size): ω/(2πr) J1(ωr), each summing to 1.

    ``cutoff`` ω (B,) in radians per pixel, up to π. They ring, as sharpened and resampled pictures
    do. Source: Real-ESRGAN, section 3.4, eq. 6.
    """
    x, y = _grid(size)
    radius = (x.square() + y.square()).sqrt()[None]
    omega = cutoff.double()[:, None, None]
    away = omega * torch.special.bessel_j1(omega * radius) / (2 * math.pi * radius.clamp(min=1e-9))
    return _normalised(torch.where(radius == 0, omega.square() / (4 * math.pi), away))


def _quadratic_form(
    sigma_x: Tensor, sigma_y: Tensor, theta: Tensor, size: int, shift: Tensor | None = None
) -> Tensor:
    """Return xᵀ Σ⁻¹ x, (B, size, size): squared distances from the centre in deviations."""
    x, y = _grid(size)
    if shift is not None:
        moved = shift.double()[:, None, None]
        x, y = x - moved, y - moved
    cos, sin = theta.double().cos()[:, None, None], theta.double().sin()[:, None, None]
    along = (cos * x + sin * y) / sigma_x.double()[:, None, None]
    across = (cos * y - sin * x) / sigma_y.double()[:, None, None]
    return along.square() + across.square()


def _grid(size: int) -> tuple[Tensor, Tensor]:
    if size % 2 == 0:
        raise ValueError(f"kernel size must be odd, got {size}")
    axis = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def _normalised(kernels: Tensor) -> Tensor:
    return (kernels / kernels.sum((1, 2), keepdim=True)).float()
