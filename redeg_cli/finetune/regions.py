"""The parts of a photo whose sharp version is known: what is fitted on, what is held out."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.resize import resize, to_aligned
from redeg_cli.errors import PairError
from redeg_cli.faces.crop import ORIGIN_STEP
from redeg_cli.finetune.choose import CONTEXT, HeldOut
from redeg_cli.io.images import read_rgb, to_tensor
from redeg_cli.io.pairs import pair_scale
from redeg_cli.omega.adapt import FittedRegion
from redeg_cli.omega.extract import MINIMUM, AlignedPair
from redeg_cli.omega.lattice import Lattice, find_lattice, without_lattice
from redeg_cli.omega.photo_pairs import FacePair

MOST = 768
"""Pixels of a region's side on the HQ grid: more tell no more about the degradation."""

FITTED = 0.62
"""Share of a region's rows that is fitted on: for a face, down to about the nose's tip."""


@dataclass(frozen=True, eq=False)
class Region:
    """An aligned pair of one photo, split into rows to fit on and rows held out."""

    name: str
    pair: AlignedPair
    valid: Tensor
    """(1, 1, H, W): 1 where the HQ is known."""
    context: Tensor
    """The photo around the region, native, (1, 3, h, w)."""
    inset: tuple[int, int]
    """(y, x) of the region in ``context``, photo pixels."""
    box: tuple[int, int, int, int]
    """(x0, y0, x1, y1) in photo pixels."""

    @property
    def split(self) -> int:
        """The first held-out row of the HQ grid, a multiple of 8 · scale."""
        block = 8 * self.pair.scale
        height = self.pair.hq.shape[2]
        return max(block, min(round(height * FITTED / block) * block, height - block))

    def fitted(self) -> FittedRegion:
        """Return the part SynNet may be adapted on."""
        scale = self.pair.scale
        origin = (self.box[0] * scale, self.box[1] * scale)
        return FittedRegion(self.pair.hq, self.pair.lq, origin, (0, self.split))

    def fitted_pair(self) -> AlignedPair:
        """Return the part Ω may be extracted from."""
        rows = (..., slice(0, self.split), slice(None))
        return AlignedPair(self.pair.hq[rows], self.pair.lq[rows], self.pair.scale)

    def held_out(self) -> HeldOut:
        """Return the part the choice is made on."""
        scale, split = self.pair.scale, self.split
        offset = (self.inset[0] * scale + split, self.inset[1] * scale)
        return HeldOut(self.context, self.pair.hq[:, :, split:], self.valid[:, :, split:], offset)


def clean_regions(regions: list[Region]) -> tuple[list[Region], Lattice | None]:
    """Return the regions with the lattice of the degradation, if any, taken out of their HQs.

    The lattice is sought in the fitted rows of the largest region.
    """
    largest = max(regions, key=lambda region: region.pair.hq[0, 0].numel())
    pair = largest.fitted_pair()
    lattice = find_lattice(pair.lq, pair.hq)
    if lattice is None:
        return regions, None
    cleaned = [
        replace(region, pair=replace(region.pair, hq=without_lattice(region.pair.hq, lattice)))
        for region in regions
    ]
    return cleaned, lattice


def face_regions(rgb: np.ndarray, faces: list[FacePair]) -> list[Region]:
    """Return the regions of a photo's face pairs, their middle where a face is very large."""
    regions = []
    for face in faces:
        s = face.pair.scale
        x0, x1 = _middle(face.box[0], face.box[2], MOST // s)
        y0, y1 = _middle(face.box[1], face.box[3], MOST // s)
        left_cut, top_cut = (x0 - face.box[0]) * s, (y0 - face.box[1]) * s
        part = (
            ...,
            slice(top_cut, top_cut + (y1 - y0) * s),
            slice(left_cut, left_cut + (x1 - x0) * s),
        )
        top, left = max(0, y0 - CONTEXT), max(0, x0 - CONTEXT)
        regions.append(
            Region(
                f"face of {face.face.size:.0f} px at {x0},{y0}",
                AlignedPair(face.pair.hq[part], face.pair.lq[part], s),
                torch.from_numpy(face.valid[part[1:]].astype(np.float32))[None, None],
                to_tensor(rgb[top : y1 + CONTEXT, left : x1 + CONTEXT]),
                (y0 - top, x0 - left),
                (x0, y0, x1, y1),
            )
        )
    return regions


def _middle(start: int, stop: int, most: int) -> tuple[int, int]:
    """Return the middle ``most`` pixels of a span at most; the start keeps its place on blocks."""
    spare = stop - start - most
    if spare <= 0:
        return start, stop
    start += spare // 2 // ORIGIN_STEP * ORIGIN_STEP
    return start, start + most


def brought_region(lq_path: Path, hq_path: Path, scale: int) -> Region:
    """Return the region of a pair the user brought: a crop of the photo and its sharp version.

    The LQ is at the photo's own resolution; the HQ may be of any size with the same aspect and
    is brought to ``scale`` times the LQ. Raises PairError when the sizes cannot be a pair.
    """
    lq, hq = to_tensor(read_rgb(lq_path)), to_tensor(read_rgb(hq_path))
    height, width = lq.shape[2] // 8 * 8, lq.shape[3] // 8 * 8
    if min(height, width) * scale < MINIMUM * 2:
        raise PairError(
            f"{lq_path} is {lq.shape[3]}x{lq.shape[2]} px: a face crop needs at least "
            f"{2 * MINIMUM // scale} px a side at scale {scale}"
        )
    wanted = (lq.shape[2] * scale, lq.shape[3] * scale)
    if tuple(hq.shape[2:]) != wanted:
        aspect = (hq.shape[3] / hq.shape[2]) / (lq.shape[3] / lq.shape[2])
        if not 0.98 < aspect < 1.02:
            pair_scale((lq.shape[2], lq.shape[3]), (hq.shape[2], hq.shape[3]), scale)
        hq = resize(hq, wanted)
    lq, hq = lq[:, :, :height, :width], hq[:, :, : height * scale, : width * scale]
    return Region(
        f"{lq_path.name} and {hq_path.name}",
        AlignedPair(hq, to_aligned(lq, scale), scale),
        torch.ones_like(hq[:, :1]),
        lq,
        (0, 0),
        (0, 0, width, height),
    )
