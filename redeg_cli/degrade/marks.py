"""What lies on a picture in single marks: where lines run, and how marks are painted.

Scratches, dust and folds are a few thin things on a large image. Only the pixels that they touch
are computed, and of marks that overlap the strongest counts, so that the order of painting, which
no GPU promises, does not matter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from redeg_cli.degrade.canvas import Size
from redeg_cli.degrade.fields import uniform_field

MOST = 1024
"""Marks of one kind on one image, so that no record asks for more than memory holds."""
_KNOTS = 64
"""Random values along a line, which then repeat."""


def mark_count(density: float, size: Size, uniform: float) -> int:
    """Return how many marks an image has where ``density`` are expected per million pixels.

    The fraction is rounded up with a chance as large as itself: ``uniform`` on [0, 1) decides.
    """
    return min(MOST, math.floor(density * size[0] * size[1] / 1e6 + uniform))


def stack_marks(marks: Sequence[NDArray[np.float64]]) -> Tensor:
    """Return the marks of each image, (n_i, F), as one (B, N, F), filled up with zeros."""
    out = np.zeros((len(marks), max(len(rows) for rows in marks), marks[0].shape[1]), np.float32)
    for row, one in zip(out, marks, strict=True):
        row[: len(one)] = one
    return torch.from_numpy(out)


@dataclass(frozen=True)
class Lines:
    """Nearly straight lines, N on each of B images, each at M places.

    A line that is more upright than not is known where it crosses each row, another where it
    crosses each column: that row or column is its place.
    """

    upright: Tensor
    """(B, N, 1), bool."""
    place: Tensor
    """(B, N, M), whole numbers: the row, or column."""
    cross: Tensor
    """(B, N, M): the column there, or row."""
    along: Tensor
    """(B, N, M): distance from the line's middle in pixels, signed."""
    slant: Tensor
    """(B, N, M): what a distance along the row, or column, is multiplied by to be one from the
    line."""


def trace_lines(
    middle: Tensor, angle: Tensor, length: Tensor, bend: Tensor, start: Tensor | None, places: int
) -> Lines:
    """Return the courses of lines (B, N) at ``places`` rows or columns from ``start`` (B, N) on.

    ``middle`` (B, N, 2) is a row and column in pixels, ``angle`` in radians from the vertical (a
    positive one leans to the right on its way down), ``length`` in pixels, ``bend`` what its ends
    are away from the straight line, as a share of its length. Without ``start``, from where the
    line begins.
    """
    cos, sin = angle.cos(), angle.sin()
    upright = cos.abs() >= sin.abs()
    main, other = torch.where(upright, cos, sin), torch.where(upright, sin, cos)
    middle = torch.where(upright[..., None], middle, middle.flip(-1))
    if start is None:
        start = (middle[..., 0] - length / 2 * main.abs()).floor()
    place = start.long()[..., None] + torch.arange(places, device=angle.device)
    main, other, bend, length = (x[..., None] for x in (main, other, bend, length.clamp(min=1)))
    offset = place - middle[..., :1]
    along = offset / main.abs()
    share = 2 * along / length
    cross = middle[..., 1:] + other / main * offset + bend * length * share.square()
    slope = other / main + 4 * bend * share / main.abs()
    slant = (1 + slope.square()).rsqrt()
    return Lines(upright[..., None], place, cross, along, slant)


def knots(seeds: Sequence[int], channels: int, lines: int, device: torch.device) -> Tensor:
    """Return random values uniform on (0, 1) along lines, (B, channels, lines, knots)."""
    return uniform_field(seeds, (channels, lines, _KNOTS), device)


def between_knots(values: Tensor, along: Tensor, spacing: Tensor) -> Tensor:
    """Return values (B, N, knots) smoothly interpolated at ``along`` (B, N, M); knots are
    ``spacing`` (B, N) pixels apart. The mean over all of a line is that of the values."""
    position = along / spacing[..., None]
    knot = position.floor()
    t = position - knot
    before = knot.long().remainder(_KNOTS)
    a = values.gather(2, before)
    b = values.gather(2, (before + 1).remainder(_KNOTS))
    return torch.lerp(a, b, t * t * (3 - 2 * t))


def box_overlap(distance: Tensor, half_width: Tensor) -> Tensor:
    """Return the share of a pixel that a stripe covers whose axis is ``distance`` away from it.

    1 inside of the stripe, falling over one pixel at its edges, and at most its width.
    """
    distance = distance.abs()
    return (half_width.minimum(distance + 0.5) + half_width.minimum(0.5 - distance)).clamp(min=0)


def paint(pixels: Tensor, rows: Tensor, columns: Tensor, cover: Tensor, light: Tensor) -> Tensor:
    """Return images (B, 3, H, W) with marks painted on them: first the dark, then the light ones.

    All others are (B, ...) of shapes that broadcast: the pixels' rows and columns (those outside
    of the canvas are left out), how much of each is covered, in [0, 1], and whether by white or by
    black (bool).
    """
    batch, _, height, width = pixels.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    index = torch.where(inside, (light * height + rows) * width + columns, 0)
    cover = torch.where(inside, cover, 0)
    masks = pixels.new_zeros(batch, 2 * height * width)
    masks.scatter_reduce_(1, index.flatten(1), cover.flatten(1), "amax")
    dark, white = masks.view(batch, 2, 1, height, width).unbind(1)
    out = pixels * (1 - dark)
    return (out + white * (1 - out)).clamp_(0, 1)
