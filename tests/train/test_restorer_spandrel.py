"""Networks that spandrel knows, trained from their checkpoints."""

from pathlib import Path

import pytest
import torch

from redeg_cli.errors import RedegError
from redeg_cli.models import load_restorer
from redeg_cli.train.overview import overview
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.training import train

# What spandrel's own code makes PyTorch warn of.
FOREIGN = pytest.mark.filterwarnings("ignore:torch.meshgrid")


@FOREIGN
def test_any_network_of_spandrel_trains_from_its_checkpoint(workplace: Path, swinir: Path) -> None:
    more = ("architecture=spandrel", f"init={swinir}", "scales=[2]", "crop=16", "steps=3")
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, more)
    trained = load_restorer(train(recipe, workplace / "run", cpu=True)[0])
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
        train(recipe, workplace / "run", cpu=True)


@FOREIGN
def test_a_network_of_spandrel_is_told_of_before_the_run(workplace: Path, swinir: Path) -> None:
    overrides = ("architecture=spandrel", f"init={swinir}", "crop=16", "scales=[2]")
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)
    network = load_restorer(swinir, 2).network
    told = overview(recipe, workplace / "run", cpu=True)
    assert told["parameters"] == sum(each.numel() for each in network.parameters())
