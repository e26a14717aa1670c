"""Gaussian blur: batched kernels and per-image filtering."""

import torch
import torch.nn.functional as F


def gaussian_kernels(
    sigma_x: torch.Tensor, sigma_y: torch.Tensor, theta: torch.Tensor, size: int = 21
) -> torch.Tensor:
    """Return anisotropic Gaussian kernels (B, size, size), each summing to 1.

    ``sigma_x`` and ``sigma_y`` (B,) are standard deviations in pixels along the kernel's own
    axes, ``theta`` (B,) the rotation in radians. Source: BSRGAN (Zhang et al. 2021), section 3.1.
    """
    if size % 2 == 0:
        raise ValueError(f"kernel size must be odd, got {size}")
    axis = torch.arange(size, dtype=sigma_x.dtype, device=sigma_x.device) - size // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = theta.cos()[:, None, None], theta.sin()[:, None, None]
    along = cos * x + sin * y
    across = -sin * x + cos * y
    exponent = (along / sigma_x[:, None, None]) ** 2 + (across / sigma_y[:, None, None]) ** 2
    kernels = torch.exp(-0.5 * exponent)
    return kernels / kernels.sum((1, 2), keepdim=True)


def filter2d(images: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Filter images (B, C, H, W) with kernels (B, k, k), one per image; reflected borders."""
    batch, channels, height, width = images.shape
    size = kernels.shape[-1]
    padded = pad_reflect(images, size // 2)
    weight = kernels[:, None].repeat_interleave(channels, 0).to(images.dtype)
    out = F.conv2d(
        padded.reshape(1, batch * channels, *padded.shape[2:]), weight, groups=batch * channels
    )
    return out.view(batch, channels, height, width)


def pad_reflect(images: torch.Tensor, pad: int) -> torch.Tensor:
    """Pad all four sides by reflection, or by replication where the image is too small for it."""
    small = min(images.shape[2:]) <= pad
    return F.pad(images, (pad, pad, pad, pad), mode="replicate" if small else "reflect")
