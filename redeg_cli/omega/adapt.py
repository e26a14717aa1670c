"""SynNet adapted to one photo: Ω, weights and a lattice fitted on its own face pairs.

A face region gives thousands of pixel pairs of exactly the degradation that is wanted, so what
the training set never held (a print screen, a woven paper, stripes) can be fitted before
synthesis.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.device import autocast
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.statistics import grain_distance
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import numpy_generator, sample_seed, torch_generator

CROP = 96


@dataclass(frozen=True)
class FittedRegion:
    """One aligned pair of a photo and where it lies, with what of it may be fitted on."""

    hq: Tensor
    """(1, 3, H, W) in [0, 1]."""
    lq: Tensor
    """Aligned, (1, 3, H, W)."""
    origin: tuple[int, int]
    """(x, y) of the top-left pixel on the photo's HQ grid: lattices run through all regions."""
    rows: tuple[int, int]
    """Rows [start, stop) to fit on; the others are held out."""


@dataclass(frozen=True)
class Adapted:
    """A SynNet fitted to one photo."""

    net: ReDegNetLite
    omega: Tensor
    """(1, 512), fitted too."""
    lattice: Lattice | None
    losses: tuple[float, float]
    """The mean L1 over the first and over the last tenth of the steps."""


def with_lattice(net: ReDegNetLite, lattice: Lattice | None) -> ReDegNetLite:
    """Return a copy of the network that takes the lattice's maps, whose weights start at zero."""
    fitted = copy.deepcopy(net)
    if lattice is None:
        return fitted
    head = fitted.synnet.head
    count = 2 * len(lattice.frequencies)
    outputs, _, k, _ = head.weight.shape
    fresh = head.weight.new_zeros((outputs, count, k, k))
    head.weight = nn.Parameter(torch.cat([head.weight.detach(), fresh], 1))
    modulation = nn.Linear(head.modulation.in_features, head.weight.shape[1])
    with torch.no_grad():
        nn.init.zeros_(modulation.weight)
        nn.init.ones_(modulation.bias)
        known = head.modulation.weight.shape[0]
        modulation.weight[:known] = head.modulation.weight
        modulation.bias[:known] = head.modulation.bias
    head.modulation = modulation.to(head.weight.device)
    fitted.synnet.periodic = count
    return fitted


def adapt(
    net: ReDegNetLite,
    omega: Tensor,
    regions: Sequence[FittedRegion],
    lattice: Lattice | None,
    device: torch.device,
    *,
    steps: int = 300,
    batch: int = 4,
    learning_rate: float = 1e-3,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Adapted:
    """Fit Ω (1, 512) and SynNet to the regions of one photo.

    Loss: L1 of the predicted mean, and the distance of the statistics of the grain from those of
    what the mean leaves over, in the smoother half of each crop (where the restored face misses
    texture, the rest is not grain). With a ``lattice`` (see ``find_lattice``) its maps become
    further inputs.
    """
    on_progress = on_progress or no_progress
    fitted = with_lattice(net, lattice).to(device, memory_format=torch.channels_last).train()  # pyright: ignore[reportCallIssue]
    fitted_omega = nn.Parameter(omega.to(device).clone())
    parameters = [*fitted.synnet.parameters(), fitted_omega]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate, betas=(0.9, 0.99))
    curve: list[float] = []
    for step in range(steps):
        rate = learning_rate * min(1.0, (step + 1) / 20) * (1 - 0.95 * step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        key = sample_seed(seed, "adapt", step)
        hq, lq, periodic = _draw(regions, lattice, batch, key)
        hq, lq = hq.to(device), lq.to(device)
        periodic = None if periodic is None else periodic.to(device)
        noise = torch.randn(hq.shape, generator=torch_generator(key)).to(device)
        with autocast(device):
            made = fitted(hq, fitted_omega.expand(batch, -1), noise, periodic)
        distance = (made.mean - lq).abs().mean()
        flat = _flat_half(hq)
        rest = (lq - made.mean.detach()) * flat
        loss = distance + 0.1 * grain_distance(made.grain * flat, rest)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        curve.append(float(distance.detach()))
        on_progress(step + 1, steps, f"L1 {np.mean(curve[-20:]):.4f}")
    tenth = max(1, steps // 10)
    return Adapted(
        fitted.eval(),
        fitted_omega.detach().cpu(),
        lattice,
        (float(np.mean(curve[:tenth])), float(np.mean(curve[-tenth:]))),
    )


def _draw(
    regions: Sequence[FittedRegion], lattice: Lattice | None, batch: int, seed: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return crops of the fitted rows: HQ, LQ (B, 3, c, c) and the lattice's maps there."""
    rng = numpy_generator(seed)
    areas = np.array([(r.rows[1] - r.rows[0]) * r.hq.shape[3] for r in regions], float)
    side = min(CROP, *(min(r.rows[1] - r.rows[0], r.hq.shape[3]) for r in regions)) // 4 * 4
    hqs, lqs, maps = [], [], []
    for _ in range(batch):
        region = regions[int(rng.choice(len(regions), p=areas / areas.sum()))]
        top = int(rng.integers(region.rows[0], region.rows[1] - side + 1))
        left = int(rng.integers(region.hq.shape[3] - side + 1))
        part = (..., slice(top, top + side), slice(left, left + side))
        hqs.append(region.hq[part])
        lqs.append(region.lq[part])
        if lattice is not None:
            origin = (region.origin[0] + left, region.origin[1] + top)
            maps.append(lattice.maps(side, side, origin)[None])
    return torch.cat(hqs), torch.cat(lqs), torch.cat(maps) if maps else None


def _flat_half(hq: Tensor) -> Tensor:
    """Return a mask (B, 1, H, W): 1 where the HQ varies less than its own median."""
    luma = hq.mean(1, keepdim=True)
    variance = F.avg_pool2d(luma.square(), 9, 1, 4) - F.avg_pool2d(luma, 9, 1, 4).square()
    median = variance.flatten(1).median(1).values[:, None, None, None]
    return (variance <= median).float()
