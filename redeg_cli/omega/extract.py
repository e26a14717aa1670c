"""LQ/HQ pairs -> Ω: sizes checked, both brought onto the HQ grid, one Ω or many crops.

What was printed in dots is told from the pair first (``omega.find_print``): DegNet then sees the
printed HQ beside the LQ, and the print is the end of Ω.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.resize import resize, to_aligned
from redeg_cli.errors import PairError
from redeg_cli.io.images import read_photo, to_tensor
from redeg_cli.io.pairs import ImagePair, pair_scale
from redeg_cli.models import DegradationNet
from redeg_cli.nets.lite import PRINT, has_room
from redeg_cli.omega.find_print import find_print
from redeg_cli.omega.lattice import find_common_lattice, without_lattice
from redeg_cli.omega.likeness import (
    DIFFERENT,
    LEAST_ALIKE,
    LEAST_SIDE,
    MOST_DETAIL,
    detail_gain,
    likeness,
)
from redeg_cli.omega.peaks import View
from redeg_cli.omega.printed import Print, read_code, with_print
from redeg_cli.seeds import numpy_generator, sample_seed

MINIMUM = 32
"""Least side in pixels, on the HQ grid, that says anything about a degradation."""
LARGEST = 1024
"""Pairs beyond this side are read in pieces, whose Ωs are averaged."""
_ATTEMPTS = 20
"""Draws of a crop that is to be another than those before."""
_PRINT = (64, 768)
"""Least side in pixels of a pair whose print is looked for, and the side of its middle in which."""


@dataclass(frozen=True)
class AlignedPair:
    """HQ and LQ on one grid."""

    hq: Tensor
    """(1, 3, H, W) in [0, 1]."""
    lq: Tensor
    """(1, 3, H, W) in [0, 1]; its top-left corner is the corner of a JPEG block."""
    scale: int


def read_pair(pair: ImagePair, scale: int | None) -> AlignedPair:
    """Read a pair and bring the LQ onto the HQ's grid.

    ``scale`` None takes the ratio of a native LQ, and 4 for an aligned one. Raises PairError when
    the sizes cannot be a pair's, InputError when a file cannot be read.
    """
    lq, hq = to_tensor(read_photo(pair.lq).rgb), to_tensor(read_photo(pair.hq).rgb)
    try:
        return align_pair(lq, hq, scale)
    except PairError as error:
        raise PairError(f"{pair.lq} and {pair.hq}: {error}") from None


def read_same(pair: ImagePair, scale: int | None) -> AlignedPair:
    """Read a pair as ``read_pair`` does; also PairError when it is of two different pictures.

    LQs so small that this cannot be told are taken as they are.
    """
    aligned = read_pair(pair, scale)
    if min(aligned.hq.shape[2:]) < LEAST_SIDE * aligned.scale:
        return aligned
    alike = likeness(aligned.hq, aligned.lq)
    if alike < DIFFERENT:
        raise PairError(
            f"{pair.lq} and {pair.hq} do not show the same picture: their likeness is "
            f"{alike:.2f}, that of a pair at least {DIFFERENT}"
        )
    return aligned


def doubt(pair: AlignedPair) -> str | None:
    """Return one line when a pair is unlike most, so that it is worth a look."""
    alike = likeness(pair.hq, pair.lq)
    if alike < LEAST_ALIKE:
        return (
            f"LQ and HQ are little alike ({alike:.2f}, pairs have mostly at least {LEAST_ALIKE}): "
            "Ω means something only if they show the same picture at the same place"
        )
    gain = detail_gain(pair.hq, pair.lq, pair.scale)
    if gain > MOST_DETAIL:
        return f"the LQ is sharper than the HQ ({gain:.1f} times its detail): are they swapped?"
    return None


def align_pair(lq: Tensor, hq: Tensor, scale: int | None) -> AlignedPair:
    """Return the aligned pair of an LQ (1, 3, h, w), native or aligned, and an HQ (1, 3, H, W)."""
    found, native = pair_scale((lq.shape[2], lq.shape[3]), (hq.shape[2], hq.shape[3]), scale)
    if min(hq.shape[2:]) < MINIMUM:
        raise PairError(
            f"the HQ is {hq.shape[3]}x{hq.shape[2]} px: a pair needs at least {MINIMUM} px a side"
        )
    if native:
        lq = to_aligned(lq, found)[:, :, : hq.shape[2], : hq.shape[3]]
    return AlignedPair(hq, lq, found)


def unprinted(net: object, pair: AlignedPair) -> tuple[AlignedPair, Print | None]:
    """Return a pair as DegNet is to see it, and how it was printed in dots, if it was.

    Of a printed pair the HQ is printed too; ink, paper and scanner are left between it and the LQ.
    None for a network whose Ω has no room for a print.
    """
    height, width = pair.hq.shape[2:]
    least, most = _PRINT
    if not has_room(net) or min(height, width) < least:
        return pair, None
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    part = (..., slice(top, top + most), slice(left, left + most))
    view = View(pair.hq[part].cpu(), pair.lq[part].cpu(), (left, top))
    lattice = find_common_lattice([view], pair.scale)
    if lattice is None:
        return pair, None
    view = replace(view, hq=without_lattice(view.hq, lattice))
    found = find_print([view], lattice)
    if found is None:
        return pair, None
    hq = found.apply(without_lattice(pair.hq.cpu(), lattice), (0, 0))
    return replace(pair, hq=hq), found.how


@torch.no_grad()
def extract_batch(net: DegradationNet, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
    """Return Ωs (B, 512) of HQs and aligned LQs (B, 3, H, W) on the network's device."""
    pairs = [
        unprinted(net, AlignedPair(*pair, scale))
        for pair in zip(hq.split(1), lq.split(1), strict=True)
    ]
    seen = torch.cat([pair.hq.to(hq.device) for pair, _ in pairs])
    return _coded(net, net.extract(seen, lq, scale), [how for _, how in pairs])


@torch.no_grad()
def extract_omega(net: DegradationNet, pair: AlignedPair, device: torch.device) -> Tensor:
    """Return Ω (1, 512) of a pair on the CPU (ReDegNet, eq. 1)."""
    seen, how = unprinted(net, pair)
    return _coded(net, _whole_omega(net, seen, device), [how])


def print_of(net: object, omega: Tensor) -> Print | None:
    """Return the print that an Ω (512,) of this network speaks of."""
    return read_code(omega[PRINT]) if has_room(net) else None


def _coded(net: DegradationNet, omega: Tensor, prints: Sequence[Print | None]) -> Tensor:
    return with_print(omega, prints) if has_room(net) else omega


def _whole_omega(net: DegradationNet, pair: AlignedPair, device: torch.device) -> Tensor:
    height, width = pair.hq.shape[2:]
    step = LARGEST // (8 * pair.scale) * 8 * pair.scale
    omegas, areas = [], []
    for top in range(0, height, step):
        for left in range(0, width, step):
            part = (..., slice(top, top + step), slice(left, left + step))
            hq, lq = pair.hq[part], pair.lq[part]
            if min(hq.shape[2:]) < MINIMUM and (top or left):
                continue
            omegas.append(net.extract(hq.to(device), lq.to(device), pair.scale).float().cpu())
            areas.append(hq.shape[2] * hq.shape[3])
    weights = torch.tensor(areas, dtype=torch.float32)[:, None]
    return (torch.cat(omegas) * weights).sum(0, keepdim=True) / weights.sum()


@torch.no_grad()
def extract_many(
    net: DegradationNet, pair: AlignedPair, count: int, seed: int, device: torch.device
) -> tuple[np.ndarray, list[str]]:
    """Return ``count`` Ωs (count, 512) of one pair and how each was taken.

    The first is of the whole pair, the others of random crops, turned by quarter turns and half
    of them resampled by 0.7 to 1.3 (ReDegNet, sections 3.2 and 3.3: to widen the space of
    degradations). Crops start on JPEG block corners. They are run through DegNet as one batch.
    """
    return extract_printed(net, *unprinted(net, pair), count, seed, device)


@torch.no_grad()
def extract_printed(
    net: DegradationNet,
    pair: AlignedPair,
    how: Print | None,
    count: int,
    seed: int,
    device: torch.device,
) -> tuple[np.ndarray, list[str]]:
    """Return what ``extract_many`` does, of a pair whose HQ is printed already, if it is to be."""
    omegas, notes, prints = [_whole_omega(net, pair, device)], ["whole"], [how]
    block = 8 * pair.scale
    height, width = pair.hq.shape[2:]
    # Whole blocks, so that a turned crop begins with one too.
    side = min(256, height, width) // block * block
    if count > 1 and side >= MINIMUM:
        crops = _draw_crops(pair, side, count - 1, seed)
        for start in range(0, len(crops), 32):
            part = crops[start : start + 32]
            hq = torch.cat([crop.hq for crop in part]).to(device)
            lq = torch.cat([crop.lq for crop in part]).to(device)
            omegas.append(net.extract(hq, lq, pair.scale).float().cpu())
        notes += [crop.note for crop in crops]
        prints += [how and how.enlarged(crop.enlarged) for crop in crops]
    return _coded(net, torch.cat(omegas), prints).numpy(), notes


class _Crop(NamedTuple):
    """Of a pair: (1, 3, s, s) each."""

    hq: Tensor
    lq: Tensor
    enlarged: float
    note: str


def _draw_crops(pair: AlignedPair, side: int, count: int, seed: int) -> list[_Crop]:
    """Return crops of which, in all but the smallest pairs, no two are the same."""
    crops: list[_Crop] = []
    taken: set[str] = set()
    for index in range(count):
        crop = _draw_crop(pair, side, sample_seed(seed, "crop", index))
        for attempt in range(_ATTEMPTS):
            if crop.note not in taken:
                break
            crop = _draw_crop(pair, side, sample_seed(seed, f"crop/{attempt}", index))
        taken.add(crop.note)
        crops.append(crop)
    return crops


def _draw_crop(pair: AlignedPair, side: int, seed: int) -> _Crop:
    rng = numpy_generator(seed)
    block = 8 * pair.scale
    height, width = pair.hq.shape[2:]
    factor = float(rng.uniform(0.7, 1.3)) if rng.random() < 0.5 else 1.0
    need = min(int(side / factor), height, width)
    if need == height == width:  # a small square: another part of it, not all of it again
        need = int(side / rng.uniform(1.05, 1.3))
    top = int(rng.integers((height - need) // block + 1)) * block
    left = int(rng.integers((width - need) // block + 1)) * block
    turn = int(rng.integers(4))
    images = []
    for image in (pair.hq, pair.lq):
        crop = image[:, :, top : top + need, left : left + need]
        images.append(resize(crop, (side, side)).rot90(turn, (2, 3)))
    actual = side / need
    note = f"crop at {left},{top} of {need} px, turned {90 * turn}°"
    note += f", resampled {actual:.2f}" if need != side else ""
    return _Crop(images[0], images[1], actual, note)


def build_omegas(
    net: DegradationNet,
    pair: ImagePair,
    scale: int | None,
    count: int,
    seed: int,
    device: torch.device,
) -> tuple[np.ndarray, list[str], AlignedPair]:
    """Read one pair of files; return its Ωs (count, 512), their notes and the pair."""
    aligned = read_same(pair, scale)
    omegas, notes = extract_many(net, aligned, count, sample_seed(seed, pair.name), device)
    return omegas, notes, aligned


def single(path_lq: Path, path_hq: Path, scale: int | None) -> AlignedPair:
    """Read the pair of two files, of the same picture."""
    return read_same(ImagePair(path_lq, path_hq, path_lq.name), scale)
