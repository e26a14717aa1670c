"""Learn a degradation from registered pairs: DML and its rivals (Xiao et al. 2020, section 3.2)."""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from redeg_cli.degrade.dml import clean_lq
from redeg_cli.nets.dml import Grid, LearnedDegradation
from redeg_cli.nets.ycbcr import seen
from redeg_cli.progress import OnProgress, no_progress
from redeg_cli.seeds import sample_seed
from redeg_cli.ssim import ssim
from redeg_cli.train.data import equal_share
from redeg_cli.train.loop import Averages, Course, Player
from redeg_cli.train.losses import Terms, mean_psnr
from redeg_cli.train.networks import start_network
from redeg_cli.train.recipes import DmlRecipe
from redeg_cli.train.registered import HELD_OUT_SIDE, RegisteredStore, load_registered

DML = "dml"
"""The player of a run."""


def with_grid(recipe: DmlRecipe, grid: Grid) -> DmlRecipe:
    """Return the recipe with all that the network is built from: its scale, and its pairs' grid."""
    config = {**recipe.config, "scale": recipe.scale, "grid": grid}
    return recipe.model_copy(update={"config": config})


def dml_course(
    recipe: DmlRecipe,
    accelerator: Accelerator,
    progress: OnProgress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Course:
    """Return what a run of ``recipe`` trains.

    ``say`` is told which pictures have no partner. Raises what ``load_registered`` and ``build``
    do.
    """

    def load(folders: list, minimum: int) -> RegisteredStore:
        return load_registered(
            folders, recipe.scale, minimum, recipe.max_shift, progress or no_progress, say
        )

    device, process = accelerator.device, accelerator.process_index
    equal_share(recipe.batch, accelerator.num_processes, "batch")
    rows = slice(process, None, accelerator.num_processes)
    store = load(recipe.pairs, recipe.crop)
    held_out = load(recipe.held_out, HELD_OUT_SIDE) if recipe.held_out else None
    resolved = with_grid(recipe, store.grid)
    torch.manual_seed(recipe.seed)
    network = start_network(resolved)
    assert isinstance(network, LearnedDegradation)
    # A crop's border was blurred with what lies around it, which the network cannot know.
    edge = -(-(network.kernel // 2) // network.stride)
    colour = network.colour
    predictor = Predictor(network)

    def loss_terms(net: nn.Module, step: int) -> Terms:
        seeds = [sample_seed(recipe.seed, f"train/{step}", i) for i in range(recipe.batch)][rows]
        hq, lq = (seen(each.to(device), colour) for each in store.crops(seeds, recipe.crop))
        return {"mse": reconstruction(net(hq).float(), lq, edge)}

    @torch.no_grad()
    def validate(averages: Averages) -> dict[str, float]:
        """Return the mean PSNR and SSIM of the generated LQs, on what the network sees."""
        if held_out is None:
            return {}
        net = averages[DML].get_submodule("net")
        assert isinstance(net, LearnedDegradation)
        found: dict[str, list[float]] = {"lr_psnr": [], "lr_ssim": []}
        for pair in held_out.pairs:
            hq, lq = (x[None].to(device).float() / 255 for x in (pair.hq, pair.lq))
            made, truth = (seen(each, colour) for each in (clean_lq(net, hq), lq))
            found["lr_psnr"].append(mean_psnr(made, truth))
            found["lr_ssim"].append(float(ssim(made, truth)))
        return {name: sum(values) / len(values) for name, values in found.items()}

    @torch.no_grad()
    def samples(averages: Averages) -> dict[str, Tensor]:
        """Return rows of HQ, generated LQ and LQ."""
        net = averages[DML].get_submodule("net")
        assert isinstance(net, LearnedDegradation)
        seeds = [sample_seed(recipe.seed, "samples", i) for i in range(4)]
        shown = held_out or store
        smallest = min(min(pair.hq.shape[1:]) for pair in shown.pairs)
        side = min(60, smallest // recipe.scale * recipe.scale)
        hq, lq = (each.to(device) for each in shown.crops(seeds, side))
        rows = [hq, clean_lq(net, hq), lq]
        size = [hq.shape[2], hq.shape[3]]
        rows = [nn.functional.interpolate(row, size, mode="nearest") for row in rows]
        return {"samples": torch.cat([torch.cat(list(row), 2) for row in rows], 1)}

    player = Player(DML, predictor, loss_terms, resolved, "net")
    return Course([player], validate, samples)


class Predictor(nn.Module):
    """``predict`` as a call, which is what is shared by several processes."""

    def __init__(self, net: LearnedDegradation) -> None:
        super().__init__()
        self.net = net

    def forward(self, planes: Tensor) -> Tensor:
        """See ``LearnedDegradation.predict``."""
        return self.net.predict(planes)


def reconstruction(made: Tensor, lq: Tensor, edge: int) -> Tensor:
    """Eq. 4: the squared distance of LQs (B, C, h, w), per pixel, without ``edge`` px of border."""
    inner = slice(edge, -edge or None)
    return (made - lq)[:, :, inner, inner].square().mean()
