"""Train DegNet and SynNet together on pairs that share their recorded degradation.

Two images A and B of any content are degraded by one record. Ω of A must make the LQ of B and the
reverse (the degradation-consistent loss of ReDegNet, eq. 13, which here replaces plain
reconstruction), and both Ωs must agree, and be told from other records' (the attraction and the
repulsion of eq. 7).
"""

from collections.abc import Callable
from functools import partial

import torch
from accelerate import Accelerator
from torch import nn

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.faces.pseudo import load_pseudo_hq
from redeg_cli.nets.lite import COLOURS, ReDegNetLite, has_room
from redeg_cli.omega.content import fold, without_content
from redeg_cli.omega.families import families
from redeg_cli.omega.statistics import grain_distance
from redeg_cli.omega.synthesis import noise_like
from redeg_cli.omega.transfer import PairBatch, degrader_of, pair_batches
from redeg_cli.progress import OnProgress
from redeg_cli.seeds import sample_seed
from redeg_cli.train.data import ImageStore, equal_share, load_store
from redeg_cli.train.judge import ends_of, judge_transfer
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
from redeg_cli.train.processes import of_all_processes
from redeg_cli.train.recipes import ReDegNetRecipe
from redeg_cli.train.swap import (
    SwapBatch,
    SwapDraw,
    SwapModel,
    draw_swap,
    make_swap_batch,
    see_pseudo_hqs,
)
from redeg_cli.train.workers import BatchMaker, worker_count

REDEGNET = "redegnet"
"""The player of a run that is DegNet and SynNet."""
SETTLED_ON, SETTLED_SIDE = 80, 192
"""Pairs of each family and scale, and their side in px, on which the directions of Ω are found."""


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
    workers = worker_count(recipe.workers, device)
    load = partial(load_store, progress=progress, cache=recipe.cache)
    store = load(recipe.data, device, recipe.crop, for_workers=workers > 0)
    held_out = None
    if recipe.validation:
        held_out = load(recipe.validation, device, recipe.crop)
    torch.manual_seed(recipe.seed)
    network = SwapModel(start_network(recipe))
    if recipe.frozen:
        network.net.get_submodule(recipe.frozen).requires_grad_(False)
    had_room = has_room(network.net)
    degraders = recipe.degraders()
    process, processes = accelerator.process_index, accelerator.num_processes
    equal_share(recipe.batch, processes, "batch")
    own = slice(process, None, processes)
    cropped = store.on(torch.device("cpu")) if workers else store

    def draw(step: int) -> SwapDraw:
        degrader = degraders[recipe.scales[step % len(recipe.scales)]]
        return draw_swap(recipe.seed, degrader, f"train/{step}", recipe.batch, own)

    batches = BatchMaker(lambda step: make_swap_batch(cropped, recipe, draw(step)), device, workers)

    def loss_terms(net: nn.Module, step: int) -> Terms:
        scale = recipe.scales[step % len(recipe.scales)]
        seed = sample_seed(recipe.seed, f"noise/{process}", step)
        batch = batches(step)
        if pseudo:
            batch = see_pseudo_hqs(batch, recipe, draw(step), pseudo)
        omega, terms = swap_losses(net, batch, scale, recipe, seed)
        told(omega.detach())
        return terms

    @torch.no_grad()
    def validate(averages: Averages) -> dict[str, float]:
        net = averages[REDEGNET]
        figures: dict[str, float] = {}
        for scale in dict.fromkeys(recipe.scales) if held_out else ():
            assert held_out is not None
            drawn = draw_swap(recipe.seed, degraders[scale], f"validation/{scale}", 64)
            batch = make_swap_batch(held_out, recipe, drawn)
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
        drawn = draw_swap(recipe.seed, degraders[scale], "samples", 4)
        batch = make_swap_batch(held_out or store, recipe, drawn)
        omega, _ = net(batch.hq, batch.hq, batch.lq, torch.zeros_like(batch.hq), scale)
        degrader = degrader_of(net.get_submodule("net"), omega, scale)
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

    settles = recipe.omega_rank or (recipe.frozen == "degnet" and had_room)
    player = Player(REDEGNET, network, loss_terms, recipe, "net")
    put = settle if settles else None
    return Course([player], validate, samples, settle=put, close=batches.close)


def take_out_content(net: ReDegNetLite, store: ImageStore, recipe: ReDegNetRecipe) -> None:
    """Keep Ω to as many directions as the recipe's ``omega_rank`` says, see ``omega.content``.

    Images of the first and of the last group are degraded alike, by every family of
    ``omega.families`` at every scale: in the recipe's own chains the strong degradations hide the
    directions of the weak ones (the quality of a JPEG, for one).
    """
    smallest = min(min(image.shape[1:]) for group in store.groups for image in group)
    side = min(SETTLED_SIDE, smallest // 32 * 32)
    first, last = ends_of(store, side)
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


def swap_losses(
    net: nn.Module, batch: SwapBatch, scale: int, recipe: ReDegNetRecipe, seed: int
) -> tuple[torch.Tensor, Terms]:
    """Return Ω of each image, which makes the LQ of its partner, and the weighted terms."""
    half = batch.hq.shape[0] // 2
    noise = noise_like(batch.hq, seed, scale)
    omega, made = net(batch.hq, batch.seen, batch.lq, noise, scale)
    first, second = of_all_processes(omega[:half]), of_all_processes(omega[half:])
    return omega, {
        "mean": recipe.mean_weight * pixel_l1(made.mean, batch.mean),
        "grain": recipe.noise_weight * grain_distance(made.grain, batch.grain),
        "jpeg": recipe.jpeg_weight * jpeg_parameters_loss(made.jpeg, batch.jpeg),
        "attraction": recipe.attraction_weight * relative_attraction(first, second),
        "contrast": recipe.contrast_weight * contrast(first, second),
    }
