"""Train a restorer (whole photos or aligned faces) on pairs that a degrader makes."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from redeg_cli.degrade.base import Degrader
from redeg_cli.models import build, load_network
from redeg_cli.progress import OnProgress
from redeg_cli.seeds import numpy_generator, sample_seed
from redeg_cli.train.data import ImageStore, load_store
from redeg_cli.train.loop import Terms, fit, make_accelerator, save_trained
from redeg_cli.train.losses import gradient_l1, mean_psnr, pixel_l1
from redeg_cli.train.recipes import RestorerRecipe


def train_restorer(
    recipe: RestorerRecipe, folder: Path, cpu: bool = False, progress: OnProgress | None = None
) -> Path:
    """Train by ``recipe`` in ``folder`` (state, log) and return the weights file."""
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = make_accelerator(recipe.precision, cpu)
    device = accelerator.device
    store = load_store(recipe.data, device, recipe.crop * max(recipe.scales), progress)
    held_out = (
        load_store(recipe.validation, device, recipe.crop * max(recipe.scales), progress)
        if recipe.validation
        else None
    )
    torch.manual_seed(recipe.seed)
    if recipe.init:
        network = load_network(recipe.init, "restorer", torch.device("cpu"))
    else:
        network = build(recipe.architecture, recipe.config)
    run = _runner(recipe)
    degraders = recipe.degraders()

    def loss_terms(net: nn.Module, step: int) -> Terms:
        scale = recipe.scales[step % len(recipe.scales)]
        lq, hq = make_batch(store, recipe, degraders[scale], f"train/{step}", recipe.batch)
        restored = run(net, lq, scale).float()
        terms = {"pixel": pixel_l1(restored, hq)}
        if recipe.gradient_weight:
            terms["gradient"] = recipe.gradient_weight * gradient_l1(restored, hq)
        return terms

    @torch.no_grad()
    def validate(net: nn.Module) -> dict[str, float]:
        figures: dict[str, float] = {}
        if held_out is None:
            return figures
        for scale in recipe.scales:
            lq, hq = make_batch(held_out, recipe, degraders[scale], f"validation/{scale}", 64)
            with accelerator.autocast():
                restored = torch.cat([run(net, part, scale).float() for part in lq.split(16)])
            base = torch.nn.functional.interpolate(lq, size=hq.shape[2:], mode="bicubic")
            figures[f"psnr_x{scale}"] = mean_psnr(restored, hq)
            figures[f"psnr_bicubic_x{scale}"] = mean_psnr(base, hq)
        return figures

    trained, clock = fit(network, loss_terms, recipe, folder, accelerator, validate, progress)
    return save_trained(trained, recipe, folder, clock, validate(trained))


def make_batch(
    store: ImageStore, recipe: RestorerRecipe, degrader: Degrader, key: str, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return native LQ (count, 3, crop, crop) and HQ (count, 3, crop*scale, crop*scale)."""
    size = recipe.crop * degrader.scale
    seeds = [sample_seed(recipe.seed, key, i) for i in range(count)]
    hq = torch.stack([store.crop(seed, size, recipe.crop_scales, recipe.gray) for seed in seeds])
    records = [degrader.draw(seed) for seed in seeds]
    lq = degrader.apply(hq, records)
    # Eight-bit files hold no more than 256 levels.
    lq = (lq * 255).round() / 255
    turn = (
        int(numpy_generator(seeds[0]).integers(4)) if recipe.architecture != "face-restorer" else 0
    )
    return lq.rot90(turn, (2, 3)).contiguous(), hq.rot90(turn, (2, 3)).contiguous()


def _runner(recipe: RestorerRecipe) -> Callable[[nn.Module, torch.Tensor, int], torch.Tensor]:
    if recipe.architecture == "f2n-compact":
        return lambda net, lq, scale: net(lq, scale)
    return lambda net, lq, _: net(lq)
