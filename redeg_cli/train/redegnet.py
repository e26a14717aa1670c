"""Train DegNet and SynNet together on pairs that share their recorded degradation.

Two images A and B of any content are degraded by one record. Ω of A must make the LQ of B and the
reverse (the degradation-consistent loss of ReDegNet, eq. 13, which here replaces plain
reconstruction), and both Ωs must agree, and be told from other records' (the attraction and the
repulsion of eq. 7). Since the degradations are
recorded, each part of the LQ has its own truth: the LQ without grain for the mean, the grain
alone for its statistics, the drawn quality for the JPEG stages.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from redeg_cli.degrade.base import Degrader, Record
from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.jpeg import Jpeg, apply_jpeg
from redeg_cli.degrade.resize import Resize, aligned_pixels
from redeg_cli.degrade.steps import StepTable, read_steps, run_chains
from redeg_cli.faces.pseudo import PseudoHQ, enlarged, load_pseudo_hq
from redeg_cli.nets.lite import COLOURS, ReDegNetLite, has_room
from redeg_cli.nets.synnet_lite import Synthesis
from redeg_cli.omega.content import fold, without_content
from redeg_cli.omega.families import families
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.omega.statistics import grain_distance
from redeg_cli.omega.synthesis import noise_like
from redeg_cli.omega.transfer import PairBatch, pair_batches
from redeg_cli.progress import OnProgress
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.data import ImageStore, equal_share, load_store
from redeg_cli.train.judge import crops_of, judge_transfer
from redeg_cli.train.loop import Averages, Course, Player
from redeg_cli.train.losses import (
    Terms,
    contrast,
    jpeg_parameters_loss,
    mean_psnr,
    pixel_l1,
    relative_attraction,
)
from redeg_cli.train.networks import start_network
from redeg_cli.train.recipes import ReDegNetRecipe

REDEGNET = "redegnet"
"""The player of a run that is DegNet and SynNet."""
SETTLED_ON, SETTLED_SIDE = 80, 192
"""Pairs of each family and scale, and their side in px, on which the directions of Ω are found."""
GRAIN_BATCHES = 8
"""Batches of 16 rows by which the energy of grain is matched."""
LEAST_GRAIN = (1 / 255) ** 2
"""Mean square of grain that is looked at."""


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


def pool_of(omega: torch.Tensor, scale: int) -> Pool:
    """Return a pool of the Ωs (B, 512) of a network that is being trained."""
    count = omega.shape[0]
    names = tuple(f"row {row}" for row in range(count))
    scales = np.full(count, scale)
    return Pool(omega.float().cpu().numpy(), names, scales, model="in training", fingerprint="")


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


def redegnet_course(
    recipe: ReDegNetRecipe,
    accelerator: Accelerator,
    progress: OnProgress | None = None,
    told: Callable[[torch.Tensor], None] = lambda _: None,
) -> Course:
    """Return what a run of ``recipe`` trains; ``told`` is given the Ωs (2B, 512) of each step."""
    device = accelerator.device
    # Before the images are decoded: a wrong name is told at once.
    pseudo = load_pseudo_hq(recipe.pseudo_restorer, device) if recipe.pseudo_share else None
    store = load_store(recipe.data, device, recipe.crop, progress, recipe.cache)
    held_out = None
    if recipe.validation:
        held_out = load_store(recipe.validation, device, recipe.crop, progress, recipe.cache)
    torch.manual_seed(recipe.seed)
    network = SwapModel(start_network(recipe))
    if recipe.frozen:
        network.net.get_submodule(recipe.frozen).requires_grad_(False)
    had_room = has_room(network.net)
    degraders = recipe.degraders()
    process, processes = accelerator.process_index, accelerator.num_processes
    equal_share(recipe.batch, processes, "batch")
    own = slice(process, None, processes)

    def loss_terms(net: nn.Module, step: int) -> Terms:
        scale = recipe.scales[step % len(recipe.scales)]
        key, noise = f"train/{step}", sample_seed(recipe.seed, f"noise/{process}", step)
        batch = make_swap_batch(store, recipe, degraders[scale], key, recipe.batch, own, pseudo)
        omega, terms = swap_losses(net, batch, scale, recipe, noise)
        told(omega.detach())
        return terms

    @torch.no_grad()
    def validate(averages: Averages) -> dict[str, float]:
        net = averages[REDEGNET]
        figures: dict[str, float] = {}
        for scale in recipe.scales if held_out else []:
            assert held_out is not None
            batch = make_swap_batch(held_out, recipe, degraders[scale], f"validation/{scale}", 64)
            with accelerator.autocast():
                noise = noise_like(batch.hq, 0, scale)
                omega, made = net(batch.hq, batch.seen, batch.lq, noise, scale)
                wrong = net.net(batch.hq, omega.roll(1, 0), noise)  # pyright: ignore[reportCallIssue]
            figures[f"mean_psnr_x{scale}"] = mean_psnr(made.mean, batch.mean, 1e-6)
            figures[f"mean_psnr_hq_x{scale}"] = mean_psnr(batch.hq, batch.mean, 1e-6)
            figures[f"mean_psnr_wrong_omega_x{scale}"] = mean_psnr(wrong.mean, batch.mean, 1e-6)
            figures[f"grain_x{scale}"] = float(grain_distance(made.grain, batch.grain))
            figures[f"jpeg_x{scale}"] = float(jpeg_parameters_loss(made.jpeg, batch.jpeg))
        if held_out and recipe.transfer:
            inner = net.net
            assert isinstance(inner, nn.Module)
            side, scale = recipe.crop, recipe.scales[0]
            figures |= judge_transfer(inner, held_out, side, scale, recipe.transfer)
        return figures

    @torch.no_grad()
    def samples(averages: Averages) -> dict[str, torch.Tensor]:
        """Return rows of HQ, made with the partner's Ω, and LQ."""
        net, scale = averages[REDEGNET], recipe.scales[0]
        batch = make_swap_batch(held_out or store, recipe, degraders[scale], "samples", 4)
        omega, _ = net(batch.hq, batch.hq, batch.lq, torch.zeros_like(batch.hq), scale)
        pool = pool_of(omega, scale)
        degrader = OmegaDegrader(net.get_submodule("net"), pool, scale, aligned=True)
        swapped = [degrader.record((row + 4) % 8, row) for row in range(8)]
        rows = (batch.hq, degrader.apply(batch.hq, swapped), batch.lq)
        return {"synthesis": torch.cat([torch.cat(list(row), 2) for row in rows], 1)}

    @torch.no_grad()
    def settle(averages: Averages) -> None:
        net = averages[REDEGNET].get_submodule("net")
        assert isinstance(net, ReDegNetLite)
        if recipe.omega_rank:
            take_out_content(net, store, recipe)
        elif recipe.frozen == "degnet" and had_room:
            net.make_room()  # DegNet leaves it free; the first steps have moved SynNet's weights
        if recipe.match_grain:
            scale_grain(net, store, recipe)

    settles = recipe.omega_rank or recipe.match_grain or (recipe.frozen == "degnet" and had_room)
    player = Player(REDEGNET, network, loss_terms, recipe, "net")
    return Course([player], validate, samples, settle=settle if settles else None)


def take_out_content(net: ReDegNetLite, store: ImageStore, recipe: ReDegNetRecipe) -> None:
    """Keep Ω to as many directions as the recipe's ``omega_rank`` says, see ``omega.content``.

    Images of the first and of the last group are degraded alike, by every family of
    ``omega.families`` at every scale: in the recipe's own chains the strong degradations hide the
    directions of the weak ones (the quality of a JPEG, for one).
    """
    smallest = min(min(image.shape[1:]) for group in store.groups for image in group)
    side = min(SETTLED_SIDE, smallest // 32 * 32)
    first, last = (
        partial(crops_of, ImageStore([group], [1.0]), side)
        for group in (store.groups[0], store.groups[-1])
    )
    groups = []
    for scale in sorted(set(recipe.scales)):
        found: list[PairBatch] = []
        for name, steps in families().items():
            degrader = load_degrader({"steps": steps}, scale)
            found += pair_batches(*(net, last, first, degrader, name, SETTLED_ON), seed=recipe.seed)
        both = (
            torch.cat([each.face_omega for each in found]),
            torch.cat([each.natural_omega for each in found]),
        )
        for omega in both if net.has_room else ():
            omega[:, COLOURS.start :] = 0  # what is measured is no part of DegNet's last layer
        groups.append(both)
    out_of_degnet, into_synnet = net.degnet.second, net.synnet.style[0]
    assert isinstance(into_synnet, nn.Linear)
    fold(out_of_degnet, into_synnet, without_content(groups, recipe.omega_rank))


@torch.no_grad()
def scale_grain(net: ReDegNetLite, store: ImageStore, recipe: ReDegNetRecipe) -> float:
    """Scale SynNet's grain to the true one's energy, in the geometric mean over images of the
    training that have noise alone, at the first scale; return the factor of its size.

    Training leaves it a little weak.
    """
    scale = recipe.scales[0]
    degrader = load_degrader({"steps": families()["noise"]}, scale)
    logs = []
    for index in range(GRAIN_BATCHES):
        batch = make_swap_batch(store, recipe, degrader, f"grain/{index}", 8)
        noise = noise_like(batch.hq, index, scale)
        _, made = SwapModel(net)(batch.hq, batch.hq, batch.lq, noise, scale)
        made_energy, energy = (x.square().mean((1, 2, 3)) for x in (made.grain, batch.grain))
        seen = energy > LEAST_GRAIN  # a black picture has no shot noise
        logs.append(((made_energy[seen] + LEAST_GRAIN) / (energy[seen] + LEAST_GRAIN)).log())
    ratios = torch.cat(logs)
    factor = float((-ratios.mean() / 2).exp()) if len(ratios) else 1.0
    for each in (net.synnet.colour.weight, net.synnet.colour.bias):
        each.mul_(factor)
    return factor


def swap_losses(
    net: nn.Module, batch: SwapBatch, scale: int, recipe: ReDegNetRecipe, seed: int
) -> tuple[torch.Tensor, Terms]:
    """Return Ω of each image, which makes the LQ of its partner, and the weighted terms."""
    half = batch.hq.shape[0] // 2
    noise = noise_like(batch.hq, seed, scale)
    omega, made = net(batch.hq, batch.seen, batch.lq, noise, scale)
    return omega, {
        "mean": recipe.mean_weight * pixel_l1(made.mean, batch.mean),
        "grain": recipe.noise_weight * grain_distance(made.grain, batch.grain),
        "jpeg": recipe.jpeg_weight * jpeg_parameters_loss(made.jpeg, batch.jpeg),
        "attraction": recipe.attraction_weight * relative_attraction(omega[:half], omega[half:]),
        "contrast": recipe.contrast_weight * contrast(omega[:half], omega[half:]),
    }


def make_swap_batch(
    store: ImageStore,
    recipe: ReDegNetRecipe,
    degrader: Degrader,
    key: str,
    count: int,
    own: slice = slice(None),
    pseudo: PseudoHQ | None = None,
) -> SwapBatch:
    """Return ``count`` records applied to two images each: a batch of 2 * count rows.

    ``own`` are the records of one process of several: partners stay together. Of some rows DegNet
    sees what ``pseudo`` makes of the LQ, if it is given (the recipe's ``pseudo_share``).
    """
    every = [sample_seed(recipe.seed, key, i) for i in range(2 * count)]
    firsts, seconds = every[:count][own], every[count:][own]
    seeds = firsts + seconds
    records = [degrader.draw(seed) for seed in firsts] * 2
    hq = torch.stack(
        [store.crop(seed, recipe.crop, recipe.crop_scales, recipe.gray) for seed in seeds]
    )
    turn = int(numpy_generator(sample_seed(every[0], "turn")).integers(4))
    hq = hq.rot90(turn, (2, 3)).contiguous()
    chains = [_own_noise(record, seed) for record, seed in zip(records, seeds, strict=True)]
    truth = torch.stack([jpeg_truth(record) for record in records]).to(hq.device)
    lq, mean, grain = _degrade_in_parts(hq, chains, degrader.scale)
    seen = hq
    if pseudo and (rows := _pseudo_rows(seeds, records, recipe.pseudo_share)):
        seen = hq.clone()
        low, high = map(math.log, recipe.pseudo_zoom)
        zoom = math.exp(numpy_generator(sample_seed(every[0], "zoom")).uniform(low, high))
        seen[rows] = enlarged(pseudo, zoom)(lq[rows])
    return SwapBatch(hq, seen, lq, mean, grain, truth)


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
