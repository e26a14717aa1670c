"""The strength of SynNet's grain, fitted once Ω is what it will be.

Training has a few images a step, of many degradations; how strong grain is, is one number of each.
So its own head is fitted at the end, the rest left as it is, on the energies of many images.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from redeg_cli.degrade.base import Degrader
from redeg_cli.degrade.chain import load_degrader
from redeg_cli.faces.pseudo import PseudoHQ
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.families import families
from redeg_cli.omega.synthesis import noise_like
from redeg_cli.train.data import ImageStore
from redeg_cli.train.recipes import ReDegNetRecipe
from redeg_cli.train.swap import SwapModel, make_swap_batch

LEAST_GRAIN = (0.7 / 255) ** 2
"""Mean square of grain that counts as none."""
FIT_STEPS, FIT_BATCH, FIT_RATE, FIT_DECAY = 1500, 512, 3e-3, 0.02


@torch.no_grad()
def grain_energies(
    net: ReDegNetLite,
    store: ImageStore,
    recipe: ReDegNetRecipe,
    degraders: Mapping[int, Degrader],
    pseudo: PseudoHQ | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what SynNet knows of Ω (N, style), and the mean square of the grain it makes and of
    the true one, (N,) each; Ω is the partner's.

    Half of the batches are degraded as in training, half by noise alone, which is rare there. They
    are measured on the native grid, where noise is not yet enlarged.
    """
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    scales = sorted(degraders)
    noise = {scale: load_degrader({"steps": families()["noise"]}, scale) for scale in scales}
    for index in range(recipe.match_grain):
        scale = scales[index % len(scales)]
        degrader = (degraders, noise)[index // len(scales) % 2][scale]
        batch = make_swap_batch(
            *(store, recipe, degrader, f"grain/{index}", recipe.batch), pseudo=pseudo
        )
        omega, made = SwapModel(net)(
            batch.hq, batch.seen, batch.lq, noise_like(batch.hq, index, scale), scale
        )
        made_energy, true_energy = (
            _native(x, scale).square().mean((1, 2, 3)) for x in (made.grain, batch.grain)
        )
        style = net.synnet.style(omega.roll(recipe.batch, 0))
        rows.append((style, made_energy, true_energy))
    style, made, true = (torch.cat(column).float() for column in zip(*rows, strict=True))
    return style, made, true


def match_grain(
    net: ReDegNetLite, store: ImageStore, recipe: ReDegNetRecipe, pseudo: PseudoHQ | None = None
) -> None:
    """Fit the strength of the grain of a network that has a head for it, as the recipe says."""
    assert net.synnet.strength is not None
    energies = grain_energies(net, store, recipe, recipe.degraders(), pseudo)
    fit_strength(net.synnet.strength, *energies, recipe.seed)


@torch.enable_grad()
def fit_strength(head: nn.Module, style: Tensor, made: Tensor, true: Tensor, seed: int) -> None:
    """Fit a head of log gains to the energies of ``grain_energies``, which it had a part in.

    What is compared is the logarithm: a relative error counts alike for faint and strong grain.
    """
    made = made * (-2 * head(style)[:, 0].detach()).exp()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(head.parameters(), FIT_RATE, weight_decay=FIT_DECAY)
    for step in range(FIT_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = FIT_RATE * (1 - step / FIT_STEPS)
        rows = torch.randint(len(style), (FIT_BATCH,), generator=generator).to(style.device)
        gained = made[rows] * (2 * head(style[rows])[:, 0]).exp()
        off = ((gained + LEAST_GRAIN) / (true[rows] + LEAST_GRAIN)).log()
        optimizer.zero_grad(set_to_none=True)
        F.huber_loss(off, torch.zeros_like(off), delta=2.0).backward()
        optimizer.step()


def _native(grain: Tensor, scale: int) -> Tensor:
    """Return aligned grain (B, 3, H, W) on the native grid; unlike an LQ it is not clamped."""
    return F.interpolate(grain, scale_factor=1 / scale, mode="bicubic") if scale > 1 else grain
