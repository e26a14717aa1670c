"""Pools of kernels and of noise whose content is known."""

from pathlib import Path

import numpy as np
import torch

from redeg_cli.degrade.jpeg_quality import JpegTraits
from redeg_cli.degrade.kernel_pool import KernelPool
from redeg_cli.degrade.kernels import gaussian_kernels
from redeg_cli.degrade.noise_pool import NoisePool, Source

SIGMA = 4 / 255
"""Deviation of the noise."""


def gaussians(*sigmas: tuple[float, float], scale: int = 2, side: int = 17) -> np.ndarray:
    """Return Gaussian kernels (N, side, side) at 30°, centred as those of a pool."""
    values = torch.tensor(sigmas, dtype=torch.float64)
    angle = torch.full((len(sigmas),), 0.52)
    shift = torch.full((len(sigmas),), (scale - 1) / 2)
    return gaussian_kernels(values[:, 0], values[:, 1], angle, side, shift).numpy()


def kernel_pool(count: int = 3, scale: int = 2) -> KernelPool:
    sigmas = [(1.0 + 0.3 * i, 0.8) for i in range(count)]
    names = tuple(f"lr {i}.png" for i in range(count))
    return KernelPool(gaussians(*sigmas, scale=scale), names, scale)


def noise_pool(count: int = 4, side: int = 16, quality: float | None = 40.0) -> NoisePool:
    """White noise of two images, the second of which was no JPEG."""
    rng = np.random.default_rng(0)
    patches = (SIGMA * rng.standard_normal((count, side, side, 3))).astype(np.float16)
    names = tuple(f"lr {i % 2}.png" for i in range(count))
    how = "none" if quality is None else "tables"
    jpegs = (JpegTraits(quality, True, how), JpegTraits())
    sources = tuple(
        Source(f"lr {i}.png", jpeg, names.count(f"lr {i}.png")) for i, jpeg in enumerate(jpegs)
    )
    places = np.arange(2 * count).reshape(count, 2)
    return NoisePool(patches, names, places, np.full((count, 3), 0.5, np.float32), sources)


def save_pools(folder: Path) -> tuple[Path, Path]:
    """Write kernels.npz and noise.npz; return both."""
    kernel_pool().save(folder / "kernels.npz")
    noise_pool().save(folder / "noise.npz")
    return folder / "kernels.npz", folder / "noise.npz"
