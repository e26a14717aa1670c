"""Batches of swapped pairs: two images of any content, degraded by one record, in its parts.

Since the degradations are recorded, each part of the LQ has its own truth: the LQ without grain for
the mean, the grain alone for its statistics, the drawn quality for the JPEG stages.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from redeg_cli.degrade.base import Degrader, Record
from redeg_cli.degrade.jpeg import Jpeg, apply_jpeg
from redeg_cli.degrade.resize import Resize, aligned_pixels
from redeg_cli.degrade.steps import StepTable, read_steps, run_chains
from redeg_cli.faces.pseudo import PseudoHQ, enlarged
from redeg_cli.nets.synnet_lite import Synthesis
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.data import ImageStore
from redeg_cli.train.recipes import ReDegNetRecipe


class SwapModel(nn.Module):
    """DegNet and SynNet with the Ωs of partners exchanged, as one call (so that it distributes)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        hq: torch.Tensor,
        seen: torch.Tensor,
        lq: torch.Tensor,
        noise: torch.Tensor,
        scale: int,
    ) -> tuple[torch.Tensor, Synthesis]:
        """Return Ω (B, 512) of each row and what the partner's Ω makes of the row's HQ.

        ``seen`` are the HQs that DegNet sees.
        """
        omega = self.net.extract(seen, lq, scale)  # pyright: ignore[reportCallIssue]
        return omega, self.net(hq, omega.roll(hq.shape[0] // 2, 0), noise)


class SwapDraw(NamedTuple):
    """What is random about a batch of B rows, of which i and i + B/2 share a record."""

    seeds: list[int]
    records: list[Record]
    first: int
    """Seed of the whole batch, be it of one process or of several."""


class SwapBatch(NamedTuple):
    """Images and their LQ; rows i and i + B/2 share a degradation. All (B, 3, H, W) in [0, 1]."""

    hq: torch.Tensor
    seen: torch.Tensor
    """The HQ as DegNet sees it: of some rows the pseudo-HQ."""
    lq: torch.Tensor
    """Aligned LQ, as DegNet sees it."""
    mean: torch.Tensor
    """Aligned LQ without grain and without the last JPEG."""
    grain: torch.Tensor
    """What the grain adds to ``mean``."""
    jpeg: torch.Tensor
    """Truth for ``Synthesis.jpeg``, (B, 2, 3)."""


def draw_swap(
    seed: int, degrader: Degrader, key: str, count: int, own: slice = slice(None)
) -> SwapDraw:
    """Return ``count`` records for two images each.

    ``own`` are the records of one process of several: partners stay together.
    """
    every = [sample_seed(seed, key, i) for i in range(2 * count)]
    firsts, seconds = every[:count][own], every[count:][own]
    records = [degrader.draw(first) for first in firsts]
    return SwapDraw(firsts + seconds, records * 2, every[0])


def make_swap_batch(store: ImageStore, recipe: ReDegNetRecipe, draw: SwapDraw) -> SwapBatch:
    """Return a batch as drawn, in which DegNet sees the HQs."""
    seeds, records, first = draw
    hq = torch.stack(
        [store.crop(seed, recipe.crop, recipe.crop_scales, recipe.gray) for seed in seeds]
    )
    turn = int(numpy_generator(sample_seed(first, "turn")).integers(4))
    hq = hq.rot90(turn, (2, 3)).contiguous()
    chains = [_own_noise(record, seed) for record, seed in zip(records, seeds, strict=True)]
    truth = torch.stack([jpeg_truth(record) for record in records]).to(hq.device)
    lq, mean, grain = _degrade_in_parts(hq, chains, records[0]["scale"])
    return SwapBatch(hq, hq, lq, mean, grain, truth)


def see_pseudo_hqs(
    batch: SwapBatch, recipe: ReDegNetRecipe, draw: SwapDraw, pseudo: PseudoHQ
) -> SwapBatch:
    """Return a batch in which DegNet sees, of some rows (the recipe's ``pseudo_share``), what
    ``pseudo`` makes of the LQ."""
    rows = _pseudo_rows(draw.seeds, draw.records, recipe.pseudo_share)
    if not rows:
        return batch
    low, high = map(math.log, recipe.pseudo_zoom)
    zoom = math.exp(numpy_generator(sample_seed(draw.first, "zoom")).uniform(low, high))
    seen = batch.hq.clone()
    seen[rows] = enlarged(pseudo, zoom)(batch.lq[rows])
    return batch._replace(seen=seen)


def _pseudo_rows(seeds: Sequence[int], records: Sequence[Record], share: float) -> list[int]:
    """Return the rows of which DegNet sees the pseudo-HQ.

    There are none of faded images: a pseudo-HQ has their colours, so it does not tell of fading.
    """
    return [
        row
        for row, (seed, record) in enumerate(zip(seeds, records, strict=True))
        if numpy_generator(sample_seed(seed, "pseudo")).random() < share
        and all(step["op"] != "fade" for step in record["steps"])
    ]


def _own_noise(record: Record, seed: int) -> list[StepTable]:
    """Return the record's steps with other noise fields: what agrees must be the statistics."""
    return [
        {**step, "seed": (step["seed"] ^ seed) >> 1} if "seed" in step else step
        for step in record["steps"]
    ]


_GRAIN = ("noise", "speckle", "poisson", "grain")
"""Ops whose random field SynNet makes as grain; what others draw by a seed is in the mean."""


def _degrade_in_parts(
    hq: torch.Tensor, chains: Sequence[Sequence[StepTable]], scale: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return aligned (LQ, mean, grain) of images (B, 3, H, W), each with steps of its own."""
    last = {row: jpeg for row, steps in enumerate(chains) if (jpeg := _last_jpeg(steps))}
    bodies = [steps[:-1] if row in last else steps for row, steps in enumerate(chains)]
    silent = [[step for step in steps if step["op"] not in _GRAIN] for steps in bodies]
    noisy = [row for row, steps in enumerate(bodies) if len(silent[row]) < len(steps)]
    made = run_chains(hq, bodies, scale)
    body = aligned_pixels(made)
    mean = body.clone()
    if noisy:
        mean[noisy] = aligned_pixels(run_chains(hq[noisy], [silent[row] for row in noisy], scale))
    if last:
        made = made.merge([*last], apply_jpeg(made.select([*last]), [*last.values()]))
    lq = aligned_pixels(made.with_pixels((made.pixels * 255).round() / 255))
    return lq, mean, body - mean


def _last_jpeg(steps: Sequence[StepTable]) -> Jpeg | None:
    """Return the compression that steps end with, if they do."""
    for _, step in read_steps(steps[-1:]):
        if isinstance(step, Jpeg):
            return step
    return None


def jpeg_truth(record: Record) -> torch.Tensor:
    """Return (2, 3): the record's last JPEG, on the HQ grid or on the native grid.

    The last resize onto one of them tells which. At scale 1 both are one and the stage counts as
    native. See ``jpeg_parameters_loss``.
    """
    truth = torch.zeros(2, 3)
    if last := _last_jpeg(record["steps"]):
        resizes = [step for _, step in read_steps(record["steps"]) if isinstance(step, Resize)]
        grids = [step.of for step in resizes if step.of != "current"]
        stage = 1 if record["scale"] == 1 or grids[-1:] == ["native"] else 0
        truth[stage] = torch.tensor([1.0, (last.quality - 50) / 25, float(last.subsample)])
    return truth
