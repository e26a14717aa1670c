"""NIQE: how far the statistics of an image are from those of pristine photographs.

Mittal, Soundararajan, Bovik: Making a "Completely Blind" Image Quality Analyzer, IEEE SPL 2013.
Computed as the authors' MATLAB release does, with its published model of pristine photographs:
blocks of 96x96 without overlap, at full and at half size (imresize, bicubic with antialiasing), all
of them used (the release picks sharp blocks for training only), float64 throughout.
"""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from redeg_cli.errors import MetricError
from redeg_cli.models import embedded_folder

BLOCK = 96
"""Side of a block in pixels, as that of the published model."""

_WINDOW = 7
_SIGMA = 7 / 6
_ROUNDING = 1e-9
"""Far above the rounding of float64 in 0..255 and far below any real difference."""
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns by which the neighbour lies off: the four orientations of section II-B."""


def niqe(images: Tensor) -> Tensor:
    """Return the NIQE (B,) of RGB images (B, 3, H, W) in [0, 1]: float64, lower is better.

    Images are rounded to 8 bits first, as if read from a file, and looked at in Y of YCbCr (16 to
    235, rounded) as super-resolution papers and BasicSR do. (The MATLAB release itself takes
    rgb2gray of colour images, as pyiqa nearly does: see ``niqe_of_luma``.) No border is left out.
    """
    eight_bit = (images.double() * 255 + 0.5).floor()
    # MATLAB's rgb2ycbcr in whole numbers, so that halves are rounded up whatever the machine: one
    # pixel changes the third decimal of a small image's NIQE.
    weights = eight_bit.new_tensor([65481, 128553, 24966])
    scaled = torch.einsum("bchw,c->bhw", eight_bit, weights)[:, None]
    return niqe_of_luma(((scaled + 127500) / 255000).floor() + 16)


def niqe_of_luma(luma: Tensor) -> Tensor:
    """Return the NIQE (B,) of planes (B, 1, H, W) in 0..255.

    Rows and columns behind the last whole block are left out. A plane that is flat in all blocks,
    or all but one, has no NIQE: NaN. Raises MetricError for planes in which not even two blocks
    have room: one alone has no spread.
    """
    height, width = luma.shape[-2:]
    down, across = height // BLOCK, width // BLOCK
    if down * across < 2:
        raise MetricError(
            f"{width}x{height} is too small for NIQE: wanted {BLOCK}x{2 * BLOCK} pixels or more"
        )
    mean, covariance = (part.to(luma.device) for part in _pristine())
    plane = luma[..., : down * BLOCK, : across * BLOCK].double()
    scales = ((plane, BLOCK), (_halve(plane), BLOCK // 2))
    features = torch.cat([_features(_normalise(each), block) for each, block in scales], -1)
    return torch.stack([_distance(blocks, mean, covariance) for blocks in features])


def _normalise(plane: Tensor) -> Tensor:
    """Return the mean-subtracted, contrast-normalised coefficients of eq. 1."""
    at = torch.arange(_WINDOW, dtype=torch.float64, device=plane.device) - _WINDOW // 2
    taps = torch.exp(-at.square() / (2 * _SIGMA**2))
    taps = taps / taps.sum()

    def blur(x: Tensor) -> Tensor:
        x = F.pad(x, (_WINDOW // 2,) * 4, mode="replicate")
        return F.conv2d(F.conv2d(x, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))

    local = blur(plane)
    deviation = (blur(plane.square()) - local.square()).abs().sqrt()
    difference = plane - local
    # Where the neighbourhood is flat this is zero but for rounding, whose sign would count as much
    # as that of any other pixel in the fits below: up to 0.2 in the NIQE of images with flat areas.
    difference = torch.where(difference.abs() < _ROUNDING, 0.0, difference)
    return difference / (deviation + 1)


def _halve(plane: Tensor) -> Tensor:
    """Return MATLAB's ``imresize(plane, 0.5)``: 8 taps of a cubic twice as wide, mirrored edges."""
    at = (torch.arange(8, dtype=torch.float64, device=plane.device) - 3.5).abs() / 2
    near = 1.5 * at**3 - 2.5 * at**2 + 1
    far = -0.5 * at**3 + 2.5 * at**2 - 4 * at + 2
    taps = torch.where(at <= 1, near, far)
    taps = taps / taps.sum()
    for dim, kernel in ((-2, taps.view(1, 1, -1, 1)), (-1, taps.view(1, 1, 1, -1))):
        size = plane.shape[dim]
        first = plane.narrow(dim, 0, 3).flip(dim)
        last = plane.narrow(dim, size - 3, 3).flip(dim)
        stride = (2, 1) if dim == -2 else (1, 2)
        plane = F.conv2d(torch.cat((first, plane, last), dim), kernel, stride=stride)
    return plane


def _features(coefficients: Tensor, block: int) -> Tensor:
    """Return the 18 features of each block, (B, blocks, 18) (section II-B)."""
    blocks = coefficients[:, 0].unfold(1, block, block).unfold(2, block, block).flatten(1, 2)
    shape, left, right = _fit_aggd(blocks)
    features = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = _fit_aggd(blocks * blocks.roll(shift, (-2, -1)))
        ratio = torch.exp(torch.lgamma(2 / shape) - torch.lgamma(1 / shape))
        features += [shape, (right - left) * ratio, left, right]  # the mean is eq. 8
    return torch.stack(features, -1)


def _fit_aggd(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Fit the asymmetric generalised Gaussian of eq. 7 to each block: γ, β left, β right.

    By moments, γ looked up in steps of 0.001 as in the release. A block without values on one
    side has no β there: NaN.
    """
    values = blocks.flatten(-2)
    squares = values.square()
    negative, positive = values < 0, values > 0
    left = ((squares * negative).sum(-1) / negative.sum(-1)).sqrt()
    right = ((squares * positive).sum(-1) / positive.sum(-1)).sqrt()
    skew = left / right
    ratio = values.abs().mean(-1).square() / squares.mean(-1)
    ratio = ratio * (skew**3 + 1) * (skew + 1) / (skew.square() + 1).square()
    shapes, ratios, to_scale = (table.to(blocks.device) for table in _aggd_tables())
    # The ratios rise with the shape: the nearest is one of the two around the place.
    above = torch.searchsorted(ratios, ratio).clamp(1, len(ratios) - 1)
    nearer_below = ratio - ratios[above - 1] <= ratios[above] - ratio
    # Where there is no ratio the release's ``min`` gives the first shape.
    place = torch.where(ratio.isnan(), 0, above - nearer_below.long())
    return shapes[place], left * to_scale[place], right * to_scale[place]


def _distance(features: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Return the distance of an image's model from the pristine one (eq. 10)."""
    whole = features[~features.isnan().any(-1)]
    if len(whole) < 2:
        return features.new_tensor(torch.nan)
    difference = mean - features.nanmean(0)
    pooled = (covariance + torch.cov(whole.T)) / 2
    return (difference @ torch.linalg.pinv(pooled, hermitian=True) @ difference).sqrt()


@cache
def _aggd_tables() -> tuple[Tensor, Tensor, Tensor]:
    """Return the shapes γ, their moment ratios and the factors from deviation to β."""
    shapes = torch.arange(9801, dtype=torch.float64) / 1000 + 0.2
    one, two, three = (torch.lgamma(k / shapes) for k in (1, 2, 3))
    return shapes, torch.exp(2 * two - one - three), torch.exp((one - three) / 2)


@cache
def _pristine() -> tuple[Tensor, Tensor]:
    """Return the mean (36,) and covariance (36, 36) of the features of pristine photographs."""
    with np.load(embedded_folder() / "niqe.npz") as arrays:
        return torch.from_numpy(arrays["mean"]), torch.from_numpy(arrays["covariance"])
