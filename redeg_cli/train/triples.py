"""Batches of the paper's training: real face pairs, synthetic face pairs, synthetic natural pairs.

Row by row the two synthetic ones share a record, and the two face pairs an HQ image (ReDegNet,
section 3.4, eqs. 4 to 6).
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.errors import InputError
from redeg_cli.io.pairs import find_pairs
from redeg_cli.omega.extract import read_pair
from redeg_cli.progress import OnProgress
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.data import ImageStore, load_store
from redeg_cli.train.recipes import PaperRecipe


class Triples(NamedTuple):
    """B rows of each kind, stacked: real faces, synthetic faces, synthetic natural images."""

    hq: Tensor
    """(3B, 3, H, W) in [0, 1]: I_f^PseH, I_f^PseH, I_n^H. Without pairs (Ours U) the first are
    natural images that have nothing to do with their LQs."""
    lq: Tensor
    """Aligned, (3B, 3, H, W) in [0, 1]: I_f^ReaL, I_f^SynL, I_n^SynL."""


class Stores(NamedTuple):
    """Where the crops of a batch come from; there are faces, or pairs, or both."""

    natural: ImageStore
    faces: ImageStore | None
    pairs: ImageStore | None
    """Of six channels: the aligned LQ of a face beside its HQ."""


def load_stores(
    recipe: PaperRecipe, device: torch.device, progress: OnProgress | None = None
) -> Stores:
    """Decode what the recipe names onto ``device``. Raises InputError and PairError."""
    load = partial(load_store, progress=progress, cache=recipe.cache)
    return Stores(
        load(recipe.data, device, recipe.crop),
        load(recipe.faces, device, recipe.crop) if recipe.faces else None,
        load_pairs(recipe.pairs, device, recipe.crop, progress) if recipe.pairs else None,
    )


def load_pairs(
    inputs: Sequence[Path],
    device: torch.device,
    minimum: int,
    progress: OnProgress | None = None,
) -> ImageStore:
    """Return the pairs of folders or tables as images (6, H, W) uint8: aligned LQ, then HQ.

    Pairs whose HQ has a side under ``minimum`` px are left out; when that leaves none it is an
    InputError. Files that do not pair are a PairError that names the first.
    """
    found, _ = find_pairs(inputs)
    images = []
    for index, files in enumerate(found):
        pair = read_pair(files, None)
        if min(pair.hq.shape[2:]) >= minimum:
            both = torch.cat([pair.lq, pair.hq], 1)[0]
            images.append((both * 255).round().to(torch.uint8).to(device))
        if progress:
            progress(index + 1, len(found), "reading pairs")
    if not images:
        raise InputError(
            f"{inputs[0]} has no pair whose HQ has at least {minimum} px on its shorter side"
        )
    return ImageStore([images], [1.0])


@torch.no_grad()
def make_triples(
    stores: Stores, recipe: PaperRecipe, degrader: Degrader, key: str, rows: Sequence[int]
) -> Triples:
    """Return the rows of a batch; everything random comes from ``key`` and a row's number.

    A real pair is rescaled, cropped and flipped as one. Where a row has none (there are no pairs,
    or by ``real_share``), the "real" LQ is made by a second record, not that of the synthetic
    pairs. LQs of records have the 256 levels of a file. The batch is turned as a whole.
    """
    seeds = [sample_seed(recipe.seed, key, row) for row in rows]
    drawn = [_face(stores, recipe, seed) for seed in seeds]
    face = torch.stack([hq for hq, _ in drawn])
    natural = _crops(stores.natural, recipe, seeds, "natural")
    # The same record twice: the same kernels, qualities and noise fields.
    records = [degrader.draw(sample_seed(seed, "record")) for seed in seeds]
    lq = aligned_lqs(degrader, torch.cat([face, natural]), records * 2)
    others = [degrader.draw(sample_seed(seed, "other record")) for seed in seeds]
    real = torch.stack([hq if real_lq is None else real_lq for hq, real_lq in drawn])
    if made := [row for row, (_, real_lq) in enumerate(drawn) if real_lq is None]:
        real[made] = aligned_lqs(degrader, face[made], [others[row] for row in made])
    content = face if recipe.paired else _crops(stores.natural, recipe, seeds, "unpaired")
    turn = int(numpy_generator(sample_seed(recipe.seed, key, -1)).integers(4))
    return Triples(
        *(
            torch.cat(parts).rot90(turn, (2, 3)).contiguous()
            for parts in ((content, face, natural), (real, lq))
        )
    )


def aligned_lqs(degrader: Degrader, hq: Tensor, records: Sequence[dict]) -> Tensor:
    """Return the LQs (B, 3, H, W) that records make of HQ images, in 256 levels, on their grid."""
    lq = (degrader.apply(hq, records) * 255).round() / 255
    return to_aligned(lq, degrader.scale)


def _face(stores: Stores, recipe: PaperRecipe, seed: int) -> tuple[Tensor, Tensor | None]:
    """Return an HQ face (3, crop, crop) and its real LQ, if it has one."""
    real = numpy_generator(sample_seed(seed, "real")).random() < recipe.real_share
    if stores.pairs is not None and (real or stores.faces is None):
        crop = stores.pairs.crop(sample_seed(seed, "pair"), recipe.crop, recipe.crop_scales)
        return crop[3:], crop[:3] if real else None
    assert stores.faces is not None
    return _crops(stores.faces, recipe, [seed], "face")[0], None


def _crops(store: ImageStore, recipe: PaperRecipe, seeds: Sequence[int], kind: str) -> Tensor:
    return torch.stack(
        [
            store.crop(sample_seed(seed, kind), recipe.crop, recipe.crop_scales, recipe.gray)
            for seed in seeds
        ]
    )
