"""The parts of a photo whose sharp version is known: what is fitted on, what is held out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.resize import resize, to_aligned
from redeg_cli.errors import BoxError, PairError
from redeg_cli.faces.align import warp
from redeg_cli.faces.crop import ORIGIN_STEP, middle_of_box
from redeg_cli.faces.restore import follow_colour
from redeg_cli.finetune.choose import CONTEXT, HeldOut
from redeg_cli.finetune.registration import find_shift, similarity_of
from redeg_cli.io.images import read_photo, to_array, to_tensor
from redeg_cli.io.pairs import pair_scale
from redeg_cli.omega.adapt import FittedRegion
from redeg_cli.omega.extract import MINIMUM, AlignedPair
from redeg_cli.omega.find_print import FoundPrint, find_print
from redeg_cli.omega.lattice import Lattice, find_common_lattice, without_lattice
from redeg_cli.omega.photo_pairs import FacePair

MOST = 768
"""Pixels of a region's side on the HQ grid: more tell no more about the degradation."""

FITTED = 0.62
"""Share of a region's rows that is fitted on: for a face, down to about the nose's tip."""

LEAST_SIMILAR = 0.6
"""Least ``similarity_of`` a region and the sharp version that was brought: the same part of a
photo has 0.94 and more, another one 0.4 and less."""


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
    kind: Literal["face", "region", "pair"] = "face"
    """A face that was found; a region that a sharp version was given of; a pair that was given."""

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
        """Return the part the choice is made on, and ``CONTEXT`` around it.

        With all the rows above, as fitted on, a score takes 2.5 times as long; ``f2n-compact``,
        which looks farther, then has 0.02 dB more or less.
        """
        scale, split = self.pair.scale, self.split
        first = self.inset[0] + split // scale
        top = max(0, first - CONTEXT)
        offset = ((first - top) * scale, self.inset[1] * scale)
        return HeldOut(
            self.context[:, :, top:], self.pair.hq[:, :, split:], self.valid[:, :, split:], offset
        )


def clean_regions(
    regions: list[Region], of_one_photo: Sequence[Region] | None = None
) -> tuple[list[Region], Lattice | None]:
    """Return the regions with the lattice of the degradation, if any, taken out of their HQs.

    The lattice is sought in the fitted rows of all regions of one photo, by default all of them.
    """
    views = [region.fitted().view() for region in of_one_photo or regions]
    lattice = find_common_lattice(views, regions[0].pair.scale)
    if lattice is None:
        return regions, None
    cleaned = [
        replace(region, pair=replace(region.pair, hq=without_lattice(region.pair.hq, lattice)))
        for region in regions
    ]
    return cleaned, lattice


def find_region_print(regions: Sequence[Region]) -> FoundPrint | None:
    """Return how the photo that the regions are of was printed in dots, if it was."""
    views = [region.fitted().view() for region in regions]
    return find_print(views, find_common_lattice(views, regions[0].pair.scale)) if views else None


def printed_region(region: Region, found: FoundPrint | None) -> Region:
    """Return a region with its HQ printed like the photo."""
    if found is None:
        return region
    scale = region.pair.scale
    hq = found.apply(region.pair.hq, (region.box[0] * scale, region.box[1] * scale))
    return replace(region, pair=replace(region.pair, hq=hq))


def face_regions(rgb: np.ndarray, faces: list[FacePair]) -> list[Region]:
    """Return the regions of a photo's face pairs."""
    return [
        _region(rgb, f"face of {face.face.size:.0f} px at", face.pair, face.valid, face.box)
        for face in faces
    ]


def photo_region(
    rgb: np.ndarray,
    box: tuple[float, float, float, float],
    sharp_path: Path,
    scale: int,
    *,
    keep_colours: bool = False,
) -> Region:
    """Return the region of a part of a photo that the user has a sharp version of.

    ``box`` (left, top, right, bottom) in pixels of the photo (H, W, 3); the file shows the same
    part, at any size of that aspect, from another source. It is moved to lie on the photo (a few
    pixels at most, ``find_shift``) and takes the photo's low-frequency colour, unless it is to
    ``keep_colours``. The region is what lies within the box on the photo's grid of 16 px. Raises
    BoxError when the box is outside the photo, InputError when the file cannot be read, PairError
    when the two do not show the same or too little is left.
    """
    height, width = rgb.shape[:2]
    left, top, right, bottom = (round(value) for value in box)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise BoxError(
            f"the region {left},{top},{right},{bottom} is not within the photo of {width}x{height} "
            "px: give LEFT,TOP,RIGHT,BOTTOM in its pixels"
        )
    wanted = ((bottom - top) * scale, (right - left) * scale)
    sharp = to_tensor(read_photo(sharp_path).rgb)
    aspect = (sharp.shape[3] / sharp.shape[2]) / (wanted[1] / wanted[0])
    if not 0.95 < aspect < 1.05:
        raise PairError(
            f"{sharp_path} is {sharp.shape[3]}x{sharp.shape[2]} px, the region "
            f"{right - left}x{bottom - top} px of the photo: their sides must be in proportion"
        )
    hq = to_array(resize(sharp, wanted))
    aligned = to_array(to_aligned(to_tensor(rgb[top:bottom, left:right]), scale))
    most = scale * max(4.0, 0.05 * max(right - left, bottom - top))
    shift = find_shift(hq, aligned, scale, most)
    matrix = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    hq = np.clip(warp(hq, matrix, wanted), 0, 1)
    same = similarity_of(hq, aligned, scale)
    if same < LEAST_SIMILAR:
        raise PairError(
            f"{sharp_path} does not show what the photo shows at {left},{top},{right},{bottom}: "
            f"their likeness is {same:.2f}, at least {LEAST_SIMILAR:g} wanted"
        )
    known = _still_inside(matrix, wanted)
    x0, y0 = (-(-start // ORIGIN_STEP) * ORIGIN_STEP for start in (left, top))
    x1, y1 = x0 + (right - x0) // 8 * 8, y0 + (bottom - y0) // 8 * 8
    if min(x1 - x0, y1 - y0) * scale < 2 * MINIMUM:
        raise PairError(
            f"the region {left},{top},{right},{bottom} holds {max(x1 - x0, 0)}x{max(y1 - y0, 0)} "
            f"px of the photo's grid of {ORIGIN_STEP} px: at least {2 * MINIMUM // scale} px a "
            f"side are needed at scale {scale}"
        )
    x0, y0, x1, y1 = middle_of_box((x0, y0, x1, y1), MOST // scale)
    seen = (
        slice(max(y0 - ORIGIN_STEP - top, 0) * scale, (y1 + ORIGIN_STEP - top) * scale),
        slice(max(x0 - ORIGIN_STEP - left, 0) * scale, (x1 + ORIGIN_STEP - left) * scale),
    )
    if not keep_colours:
        hq[seen] = follow_colour(hq[seen], aligned[seen], known[seen])
    part = (
        slice((y0 - top) * scale, (y1 - top) * scale),
        slice((x0 - left) * scale, (x1 - left) * scale),
    )
    pair = AlignedPair(to_tensor(hq[part]), to_tensor(aligned[part]), scale)
    return _region(rgb, f"{sharp_path.name} at", pair, known[part], (x0, y0, x1, y1))


def _still_inside(matrix: np.ndarray, out_hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) float32: 1 where a picture of ``out_hw`` still is after a shift."""
    y, x = np.mgrid[: out_hw[0], : out_hw[1]]
    u, v = x - matrix[0, 2], y - matrix[1, 2]
    return ((u >= 0) & (u <= out_hw[1] - 1) & (v >= 0) & (v <= out_hw[0] - 1)).astype(np.float32)


def _region(
    rgb: np.ndarray,
    what: str,
    pair: AlignedPair,
    valid: np.ndarray,
    box: tuple[int, int, int, int],
) -> Region:
    """Return the region of a pair that lies at ``box`` of the photo.

    ``what`` begins its name, which ends with where it is.
    """
    x0, y0, x1, y1 = box
    top, left = max(0, y0 - CONTEXT), max(0, x0 - CONTEXT)
    return Region(
        f"{what} {x0},{y0}",
        pair,
        torch.from_numpy(np.ascontiguousarray(valid, np.float32))[None, None],
        to_tensor(rgb[top : y1 + CONTEXT, left : x1 + CONTEXT]),
        (y0 - top, x0 - left),
        box,
    )


def brought_region(
    lq_path: Path, hq_path: Path, scale: int, *, keep_colours: bool = False
) -> Region:
    """Return the region of a pair the user brought: a crop of the photo and its sharp version.

    The LQ is at the photo's own resolution; the HQ may be of any size with the same aspect and
    is brought to ``scale`` times the LQ and takes its low-frequency colour, unless it is to
    ``keep_colours``: what a face restorer does to the colour is not the photo's degradation.
    Raises PairError when the two cannot be a pair.
    """
    lq, hq = to_tensor(read_photo(lq_path).rgb), to_tensor(read_photo(hq_path).rgb)
    height, width = lq.shape[2] // 8 * 8, lq.shape[3] // 8 * 8
    if min(height, width) * scale < MINIMUM * 2:
        raise PairError(
            f"{lq_path} is {lq.shape[3]}x{lq.shape[2]} px: a face crop needs at least "
            f"{2 * MINIMUM // scale} px a side at scale {scale}"
        )
    wanted = (lq.shape[2] * scale, lq.shape[3] * scale)
    if hq.shape[2] < lq.shape[2]:
        raise PairError(f"{hq_path} is smaller than {lq_path}: are they swapped?")
    if tuple(hq.shape[2:]) != wanted:
        aspect = (hq.shape[3] / hq.shape[2]) / (lq.shape[3] / lq.shape[2])
        if not 0.98 < aspect < 1.02:
            pair_scale((lq.shape[2], lq.shape[3]), (hq.shape[2], hq.shape[3]), scale)
        hq = resize(hq, wanted)
    lq, hq = lq[:, :, :height, :width], hq[:, :, : height * scale, : width * scale]
    aligned = to_aligned(lq, scale)
    same = similarity_of(to_array(hq), to_array(aligned), scale)
    if same < LEAST_SIMILAR:
        raise PairError(
            f"{hq_path} does not show what {lq_path} shows: their likeness is {same:.2f}, at least "
            f"{LEAST_SIMILAR:g} wanted"
        )
    if not keep_colours:
        hq = to_tensor(follow_colour(to_array(hq), to_array(aligned)))
    return Region(
        f"{lq_path.name} and {hq_path.name}",
        AlignedPair(hq, aligned, scale),
        torch.ones_like(hq[:, :1]),
        lq,
        (0, 0),
        (0, 0, width, height),
    )
