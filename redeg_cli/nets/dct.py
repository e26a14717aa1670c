"""The 8x8 discrete cosine transform of JPEG, on batches of planes."""

import math
from functools import lru_cache

import torch


@lru_cache(maxsize=1)
def _matrix() -> torch.Tensor:
    k = torch.arange(8, dtype=torch.float64)
    matrix = 0.5 * torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


def block_dct(plane: torch.Tensor) -> torch.Tensor:
    """Return orthonormal DCT-II coefficients (B, C, H/8, W/8, 8, 8) of a plane (B, C, H, W).

    H and W are multiples of 8. Source: ITU-T T.81, A.3.3.
    """
    b, c, h, w = plane.shape
    matrix = _matrix().to(plane)
    # Whole rows first, then the columns of each block: no copy into blocks, and large products.
    rows = matrix @ plane.reshape(b, c, h // 8, 8, w)
    return (rows.view(b, c, h // 8, 8, w // 8, 8) @ matrix.T).transpose(3, 4)


def inverse_block_dct(coefficients: torch.Tensor) -> torch.Tensor:
    """Return the plane (B, C, H, W) of coefficients (B, C, H/8, W/8, 8, 8)."""
    b, c, rows, columns, _, _ = coefficients.shape
    matrix = _matrix().to(coefficients)
    lines = (coefficients.transpose(3, 4) @ matrix).reshape(b, c, rows, 8, columns * 8)
    return (matrix.T @ lines).view(b, c, rows * 8, columns * 8)
