"""Ω without content: the directions in which degradations differ, less the one that tells content.

Of the 512 numbers of a trained DegNet a few directions hold nearly all of the variance over
degradations. The others hold what is left of the picture, and a linear probe finds it there. Both
steps are linear, so they become part of DegNet's last layer: it gives as many numbers as there are
directions, and zeros, and SynNet's first layer takes them for what they stand for. The room that
this leaves at the end of Ω is for what is measured and not learned (``omega.printed``).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from redeg_cli.device import in_float64
from redeg_cli.errors import RedegError


class Directions(NamedTuple):
    """Those in which Ω is kept."""

    inward: Tensor
    """(R, D): Ω less the mean -> how far it goes in each, without what tells content."""
    outward: Tensor
    """(D, R), orthonormal: back to what Ω was."""
    mean: Tensor
    """(D,)."""

    def keep(self, omega: Tensor) -> Tensor:
        """Return Ωs (N, D) without content, float64."""
        return (in_float64(omega) - self.mean) @ self.inward.T @ self.outward.T + self.mean


def without_content(groups: Sequence[tuple[Tensor, Tensor]], rank: int) -> Directions:
    """Return the ``rank`` directions in which Ω is kept.

    Each group holds Ωs (N, D) of two kinds of content, degraded alike row by row. The principal
    directions of all are kept, and within these the mean difference of the two kinds in each group
    is taken out in the way that changes Ωs least: no linear probe can tell the kinds of a group's
    rows (LEACE: Belrose et al. 2023, theorem 4.3). Raises RedegError for fewer rows than ``rank``.
    """
    rows = in_float64(torch.cat([kind for group in groups for kind in group]))
    if not len(groups) < rank < len(rows):
        raise RedegError(
            f"{len(rows)} Ωs in {len(groups)} groups cannot be kept to {rank} directions: too few"
        )
    mean = rows.mean(0)
    variances, directions = torch.linalg.eigh((rows - mean).T.cov())
    basis, spread = directions[:, -rank:], variances[-rank:].clamp(min=1e-12).sqrt()
    apart = torch.stack([in_float64(a).mean(0) - in_float64(b).mean(0) for a, b in groups])
    told = torch.linalg.qr((apart @ basis / spread).T).Q
    kept = torch.eye(rank, dtype=rows.dtype, device=rows.device) - told @ told.T
    return Directions(spread[:, None] * kept @ (basis / spread).T, basis, mean)


@torch.no_grad()
def fold(last: nn.Linear, first: nn.Linear, directions: Directions) -> None:
    """Make DegNet's ``last`` layer give Ω in these directions, and SynNet's ``first`` take it.

    Ω is then R numbers and zeros, as far apart as they were; weights for the zeros are zero.
    """
    inward, outward, mean = directions
    rank = len(inward)
    bias, weight = inward @ (in_float64(last.bias) - mean), inward @ in_float64(last.weight)
    first.bias.add_((in_float64(first.weight) @ mean).to(first.bias))
    taken = in_float64(first.weight) @ outward
    for tensor in (last.weight, last.bias, first.weight):
        tensor.zero_()
    # Copied, so that they come to the layers' own device and precision.
    last.weight[:rank].copy_(weight)
    last.bias[:rank].copy_(bias)
    first.weight[:, :rank].copy_(taken)
