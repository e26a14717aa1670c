"""What of a photo SynNet may be fitted on: regions, the rows kept back in them, crops of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.peaks import View
from redeg_cli.seeds import numpy_generator

CROP = 96
"""Side of a crop in pixels."""
KEPT_BACK = 0.2
"""Share of the rows that may be fitted on, the last ones, that only say when to stop."""
LEAST_KEPT = 16
"""Fewer rows say nothing: then all are fitted on."""


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

    def view(self) -> View:
        """Return the rows to fit on, as lattice and tone are sought in them."""
        rows = (..., slice(*self.rows), slice(None))
        return View(self.hq[rows], self.lq[rows], (self.origin[0], self.origin[1] + self.rows[0]))


def keep_back(
    regions: Sequence[FittedRegion],
) -> tuple[list[FittedRegion], list[FittedRegion]]:
    """Return what to fit on, and the last rows of the regions that are tall enough to check on."""
    fitted, checked = [], []
    for region in regions:
        start, stop = region.rows
        kept = int((stop - start) * KEPT_BACK) // 4 * 4
        if kept < LEAST_KEPT:
            fitted.append(region)
            continue
        width = region.hq.shape[3] // 4 * 4
        part = (..., slice(stop - kept, stop), slice(0, width))
        origin = region.origin[0], region.origin[1] + stop - kept
        checked.append(FittedRegion(region.hq[part], region.lq[part], origin, (0, kept)))
        fitted.append(replace(region, rows=(start, stop - kept)))
    return fitted, checked


def draw_crops(
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
