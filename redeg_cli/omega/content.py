"""Ω without content: the directions in which degradations differ, less the one that tells content.

Of the 512 numbers of a trained DegNet a few directions hold nearly all of the variance over
degradations. The others hold what is left of the picture, and a linear probe finds it there. Both
steps are linear, so they become part of DegNet's last layer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from redeg_cli.errors import RedegError


def without_content(groups: Sequence[tuple[Tensor, Tensor]], rank: int) -> tuple[Tensor, Tensor]:
    """Return a matrix (D, D) and a shift (D,): Ω without content is matrix · Ω + shift.

    Each group holds Ωs (N, D) of two kinds of content, degraded alike row by row. The ``rank``
    principal directions of all are kept, and within these the mean difference of the two kinds in
    each group is taken out in the way that changes Ωs least: no linear probe can tell the kinds of
    a group's rows (LEACE: Belrose et al. 2023, theorem 4.3). Raises RedegError for fewer rows than
    ``rank``.
    """
    rows = torch.cat([kind for group in groups for kind in group]).double()
    if not len(groups) < rank < len(rows):
        raise RedegError(
            f"{len(rows)} Ωs in {len(groups)} groups cannot be kept to {rank} directions: too few"
        )
    mean = rows.mean(0)
    variances, directions = torch.linalg.eigh((rows - mean).T.cov())
    basis, spread = directions[:, -rank:], variances[-rank:].clamp(min=1e-12).sqrt()
    apart = torch.stack([a.double().mean(0) - b.double().mean(0) for a, b in groups])
    told = torch.linalg.qr((apart @ basis / spread).T).Q
    kept = torch.eye(rank, dtype=rows.dtype, device=rows.device) - told @ told.T
    matrix = basis * spread @ kept @ (basis / spread).T
    return matrix, mean - matrix @ mean


@torch.no_grad()
def fold(layer: nn.Linear, matrix: Tensor, shift: Tensor) -> None:
    """Make the layer give matrix · y + shift where it gave y."""
    layer.bias.copy_(matrix @ layer.bias.double() + shift)
    layer.weight.copy_(matrix @ layer.weight.double())
