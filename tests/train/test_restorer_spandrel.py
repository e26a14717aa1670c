"""Networks that spandrel knows, trained from their checkpoints."""

from pathlib import Path

import pytest
import torch
from spandrel.architectures.DnCNN import DnCNN
from spandrel.architectures.DRUNet import DRUNet
from spandrel.architectures.FBCNN import FBCNN
from spandrel.architectures.SPAN import SPAN

from redeg_cli.errors import RedegError
from redeg_cli.models import load_restorer
from redeg_cli.train.overview import overview
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.training import train

ODD = {
    "gray": lambda: DnCNN(nc=8, nb=8, act_mode="R"),
    "noise map": lambda: DRUNet(in_nc=4, nc=[8, 8, 8, 8], nb=4),
    "of two outputs": lambda: FBCNN(nc=[8, 8, 8, 512], nb=2),
    "folded": lambda: SPAN(num_in_ch=3, num_out_ch=3, feature_channels=12, upscale=2),
}
"""What spandrel does more around than to call it."""

# What spandrel's own code makes PyTorch warn of.
FOREIGN = pytest.mark.filterwarnings("ignore:torch.meshgrid")


@FOREIGN
def test_any_network_of_spandrel_trains_from_its_checkpoint(workplace: Path, swinir: Path) -> None:
    more = ("architecture=spandrel", f"init={swinir}", "scales=[2]", "crop=16", "steps=3")
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, more)
    trained = load_restorer(train(recipe, workplace / "run", device="cpu")[0])
    before = load_restorer(swinir)
    assert (trained.scale, trained.architecture) == (2, "SwinIR")
    lq = torch.rand((1, 3, 20, 24), generator=torch.Generator().manual_seed(0))
    assert trained(lq).shape == (1, 3, 40, 48)
    assert 1e-5 < (trained(lq) - before(lq)).abs().mean() < 0.1


@FOREIGN
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("scales=[1, 2]",), "one scale"),
        (("scales=[1]",), "x1 was asked for"),
        (("scales=[2]", "crop=8"), "at least 16 px .* got a crop of 8"),
        (("scales=[2]", "init=null"), "needs a checkpoint"),
    ],
)
def test_what_a_network_of_spandrel_cannot_do(
    workplace: Path, swinir: Path, more: tuple[str, ...], message: str
) -> None:
    overrides = ("architecture=spandrel", f"init={swinir}", "crop=16", *more)
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)
    with pytest.raises(RedegError, match=message):
        train(recipe, workplace / "run", device="cpu")


@FOREIGN
def test_a_network_of_spandrel_is_told_of_before_the_run(workplace: Path, swinir: Path) -> None:
    overrides = ("architecture=spandrel", f"init={swinir}", "crop=16", "scales=[2]")
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)
    network = load_restorer(swinir, 2).network
    told = overview(recipe, workplace / "run", device="cpu")
    assert told["parameters"] == sum(each.numel() for each in network.parameters())


@pytest.mark.parametrize("kind", ODD)
def test_odd_networks_are_trained_as_they_restore(workplace: Path, kind: str) -> None:
    torch.manual_seed(0)
    path = workplace / "odd.pth"
    torch.save(ODD[kind]().state_dict(), path)
    before = load_restorer(path)
    lq = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(before.differentiable(lq).clamp(0, 1), before(lq))
    more = ("architecture=spandrel", f"init={path}", "crop=16", "batch=2", "steps=3", "ema=0")
    scale = f"scales=[{before.scale}]"
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, (*more, scale))
    trained = load_restorer(train(recipe, workplace / "run", device="cpu")[0])
    own, moved = before.network.state_dict(), trained.network.state_dict()
    still = [name for name in own if name.endswith("weight") and (own[name] == moved[name]).all()]
    assert [name for name in still if "eval_conv" not in name] == []
    assert (trained(lq) - before(lq)).abs().mean() > 0
