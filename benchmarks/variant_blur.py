"""A camera whose blur is known at every pixel: defocus by depth, aberration by place.

HQ-LQ pairs of natural images for which a learned degradation model can be compared with the truth
(Degradation Model Learning, Xiao et al. 2020, has no such test). Each pixel's kernel is a Gaussian:

- defocus: its deviation grows with the depth, which is a smooth map of the picture itself. Far is
  bright, as in haze, so that the depth can be seen in the HQ: what no picture shows, no model of
  this kind can learn;
- aberration: the deviation along the radius grows with the square of the distance from the middle,
  as coma and field curvature do. It is not seen in the HQ, and no model that sees only the HQ can
  know it.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.degrade.tone import to_luma

_STRIP = 16
"""Rows whose kernels are held at a time."""


@dataclass(frozen=True)
class Camera:
    """Deviations are in HQ pixels."""

    sharpest: float = 0.9
    """Deviation of the kernels of what is nearest, in the middle of the picture."""
    defocus: float = 2.2
    """Deviation that the farthest has more, squares added."""
    aberration: float = 0.8
    """Deviation along the radius that the corners have more, squares added."""
    smoothness: float = 10.0
    """Deviation in pixels of the blur that makes the depth smooth."""
    kernel: int = 15
    """Side of the kernels in pixels."""


@dataclass(frozen=True)
class Widths:
    """The kernel of every pixel, as its deviations, each (H, W)."""

    across: Tensor
    along: Tensor
    """Along the radius."""
    angle: Tensor
    """Direction of the radius in radians; y goes down."""

    @property
    def mean(self) -> Tensor:
        """One number for a kernel: the geometric mean of both deviations."""
        return (self.across * self.along).sqrt()


def depth_of(hq: Tensor, camera: Camera) -> Tensor:
    """Return the depth (H, W) in [0, 1] of an HQ (1, 3, H, W): its luma, blurred and stretched."""
    size = int(6 * camera.smoothness) // 2 * 2 + 1
    line = torch.arange(size, dtype=torch.float32) - size // 2
    weights = torch.exp(-0.5 * (line / camera.smoothness) ** 2)
    weights = (weights / weights.sum()).to(hq)
    luma = F.pad(to_luma(hq), (size // 2,) * 4, mode="replicate")
    smooth = F.conv2d(F.conv2d(luma, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
    x = ((smooth[0, 0] - 0.15) / 0.6).clamp(0, 1)
    return x * x * (3 - 2 * x)


def widths_of(depth: Tensor, camera: Camera) -> Widths:
    """Return the kernels' deviations for a depth (H, W) that fills the picture."""
    height, width = depth.shape
    y = (torch.arange(height) - (height - 1) / 2)[:, None].expand(height, width)
    x = (torch.arange(width) - (width - 1) / 2)[None].expand(height, width)
    field = (x.square() + y.square()) / ((height - 1) ** 2 + (width - 1) ** 2) * 4
    across = (camera.sharpest**2 + (camera.defocus * depth).square()).sqrt()
    along = (across.square() + (camera.aberration * field).square()).sqrt()
    return Widths(across, along, torch.atan2(y, x))


def kernels_of(widths: Widths, rows: slice, camera: Camera) -> Tensor:
    """Return the kernels (n, W, k, k) of some rows, each of sum 1."""
    half = camera.kernel // 2
    line = torch.arange(-half, half + 1, dtype=torch.float32)
    dy, dx = line[:, None], line[None, :]
    across, along, angle = (
        each[rows, :, None, None] for each in (widths.across, widths.along, widths.angle)
    )
    u = angle.cos() * dx + angle.sin() * dy
    v = angle.cos() * dy - angle.sin() * dx
    values = torch.exp(-0.5 * ((u / along).square() + (v / across).square()))
    return values / values.sum((2, 3), keepdim=True)


def photograph(hq: Tensor, widths: Widths, camera: Camera) -> Tensor:
    """Return the LQ (1, 3, H, W) without noise of an HQ (1, 3, H, W), on the HQ's grid (eq. 2)."""
    half, width = camera.kernel // 2, hq.shape[3]
    padded = F.pad(hq, (half,) * 4, mode="replicate")
    strips = []
    for top in range(0, hq.shape[2], _STRIP):
        kernels = kernels_of(widths, slice(top, top + _STRIP), camera)
        part = padded[:, :, top : top + kernels.shape[0] + 2 * half]
        windows = F.unfold(part.transpose(0, 1), camera.kernel)
        windows = windows.view(3, camera.kernel**2, kernels.shape[0], width)
        strips.append(torch.einsum("ckhw,hwk->chw", windows, kernels.flatten(2)))
    return torch.cat(strips, 1)[None]


def width_map(kernels: Tensor, weights: Tensor) -> Tensor:
    """Return the widths (H, W) of the kernels that weights (M, H, W) make of kernels (M, k, k).

    As ``Widths.mean``: a Gaussian has Σk² = (Σk)² / (4π σ₁σ₂). Of any other kernel it is the width
    of the Gaussian that averages as much noise away. (The second moment says more of the faint
    values far from the middle than of the blur: it grows with the square of their distance.) The
    kernels' products with each other are summed by the weights: no pixel's kernel is made.
    """
    flat = kernels.double().flatten(1).cpu()
    shares = weights.double().cpu()
    total = torch.einsum("m,mhw->hw", flat.sum(1), shares)
    square = torch.einsum("mn,mhw,nhw->hw", flat @ flat.T, shares, shares)
    return (total.square() / (4 * math.pi * square.clamp(min=1e-12))).sqrt().float()
