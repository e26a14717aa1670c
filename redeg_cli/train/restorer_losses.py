"""What a restorer is trained by, beside the discriminator: what its image is compared in.

Î is what it made, I what it should be, both (B, 3, H, W) in [0, 1]; Φ_i are the layers of a feature
extractor (``train.features``). Every loss is a scalar.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.train.losses import (
    Extractor,
    Features,
    Terms,
    feature_loss,
    pixel_l1,
    style_loss,
)


def restorer_terms(
    made: Tensor,
    truth: Tensor,
    phi: Extractor,
    weights: Mapping[str, float],
    *,
    style: bool = True,
    energy: bool = False,
) -> Terms:
    """Return what a restorer's image is compared in: pixels, features, Grams and local energies.

    All by L1, as Real-ESRGAN and the release have it. Both images go through ``phi`` once.
    """
    phi_made, phi_truth = phi(made), phi(truth)
    terms = {
        "pixel": pixel_l1(made, truth),
        "perceptual": feature_loss(phi_made, phi_truth, weights, "l1"),
    }
    if style:
        terms["style"] = style_loss(phi_made, phi_truth, weights, "l1")
    if energy:
        terms["energy"] = local_energy(phi_made, phi_truth, weights)
    return terms


def psnr_loss(made: Tensor, truth: Tensor, floor: float = 1e-4) -> Tensor:
    """Mean over the batch of log(1 + MSE / floor) / 2: the PSNR in nepers, downwards (Chen et al.
    2022, "Simple Baselines for Image Restoration").

    ``floor`` is a mean square: what is nearer to the truth (the default is 40 dB) hardly counts.
    The pixel-wise mean of what may have been is best here, their median by ``pixel_l1``.
    """
    return ((made - truth).square().mean((1, 2, 3)) / floor).log1p().mean() / 2


def gradient_l1(made: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the horizontal and vertical first differences."""
    error = made - truth
    return error.diff(dim=3).abs().mean() + error.diff(dim=2).abs().mean()


def local_energy(
    phi_made: Features,
    phi_truth: Features,
    weights: Mapping[str, float],
    *,
    window: int = 8,
    floor: float = 0.1,
) -> Tensor:
    """Return Σ_i w_i mean |log(P(Φ_i(Î)²) + ε) − log(P(Φ_i(I)²) + ε)|, P the mean of a window.

    What cannot be known pixel by pixel is blurred by any pixel-wise distance; how strong each
    feature is around a place can be known, and must be right here. ``floor`` is ε, in the squared
    units of the features: to the finest filters of ``train.filters`` the default is white noise of
    two levels of 255 (at a tenth of it, flat parts were given a weave). Windows overlap by half.
    """

    def energies(phi: Tensor) -> Tensor:
        side = min(window, *phi.shape[2:])
        pooled = F.avg_pool2d(phi.square(), side, max(1, side // 2))
        return (pooled + floor).log()

    distances = [
        weight * (energies(phi_made[layer]) - energies(phi_truth[layer])).abs().mean()
        for layer, weight in weights.items()
    ]
    return torch.stack(distances).sum()


_GRIDS = (2, 4, 8)
"""Sides in native pixels of the cells that ``lattice`` looks at: those of the coarser grids that
``f2n-compact`` looks at too. With cells of two alone, flat parts got a weave of four."""
_CELLS = 4
"""Cells along the shorter side of an image, without which a grid says nothing."""


def lattice(
    made: Tensor, truth: Tensor, scale: int, window: int = 8, floor: float = 1 / 255
) -> Tensor:
    """Return how much of the error is the same in each cell of native pixels.

    A network that ends in a pixel shuffle can feign texture by a pattern that repeats with its
    grid, or with a coarser one it also looks at, which is near to every pixel, but coherent. Of a
    window of ``window`` by ``window`` cells it is P / sqrt(S + floor²), P the power of what repeats
    (the variance of the mean cell, less what errors that do not repeat leave in a mean), S the
    power of all: an amplitude that counts less where other errors hide it, and not at all without
    a pattern. The mean over windows, and over cells of two, four and eight native pixels' side, as
    far as the image holds enough of them. Images are (B, C, H, W) in [0, 1]; what is left over of
    whole cells does not count.
    """
    error = made - truth
    shorter = min(error.shape[2:])
    sides = [cell * scale for cell in _GRIDS if _CELLS * cell * scale <= shorter]
    found = [_repeated(error, side, window, floor) for side in sides or [_GRIDS[0] * scale]]
    return torch.stack(found).mean()


def _repeated(error: Tensor, period: int, window: int, floor: float) -> Tensor:
    """Return the mean over windows of what repeats with ``period`` px, see ``lattice``."""
    height, width = (side - side % period for side in error.shape[2:])
    cells = F.pixel_unshuffle(error[..., :height, :width], period)
    side = min(window, *cells.shape[2:])
    step = max(1, side // 2)
    # (B, C, phases, windows): what each phase of a cell is on average, and how much it varies.
    parts = (cells.shape[0], error.shape[1], period**2, -1)
    mean = F.avg_pool2d(cells, side, step).view(parts)
    square = F.avg_pool2d(cells.square(), side, step).view(parts)
    count = side**2
    chance = (square - mean.square()).mean(2) / max(1, count - 1)
    repeats = (mean.var(2, correction=0) - chance).clamp(min=0)
    power = square.mean(2) - mean.mean(2).square()
    return (repeats / (power.clamp(min=0) + floor**2).sqrt().detach()).mean()
