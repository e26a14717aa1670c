"""Muon: orthogonal steps for what lies within a network, Adam's for the rest."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from redeg_cli.errors import RecipeError
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.train.muon import Muon, orthogonal, split_parameters
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.training import train


def with_gradients(network: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for each in network.parameters():
        each.grad = torch.randn(each.shape, generator=generator)
    return network


@pytest.mark.parametrize("shape", [(3, 40, 90), (2, 90, 40), (1, 32, 32)])
def test_orthogonal_keeps_the_directions(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    made = orthogonal(matrices)
    values = torch.linalg.svdvals(made)
    assert made.shape == shape
    # The smallest ones of a square matrix come up slower than the others.
    assert values.quantile(0.1) > 0.6
    assert values.max() < 1.25
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    exact = left @ right
    alike = (made * exact).sum((1, 2)) / (made.norm(dim=(1, 2)) * exact.norm(dim=(1, 2)))
    assert (alike > 0.95).all()


@pytest.mark.parametrize("shape", [(2, 40, 90), (2, 90, 40), (1, 64, 64)])
def test_orthogonal_is_the_iteration_on_singular_values(shape: tuple[int, int, int]) -> None:
    """Exactly so: five times s <- a s + b s^3 + c s^5, from matrices of norm 1."""
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    values = values / values.norm(dim=1, keepdim=True)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    wanted = left @ torch.diag_embed(values) @ right
    torch.testing.assert_close(orthogonal(matrices), wanted.float(), atol=1e-4, rtol=0)


def test_orthogonal_adds_no_directions() -> None:
    """Of rank 2, one of them far weaker: rounding does not grow to further directions."""
    generator = torch.Generator().manual_seed(2)
    left, right = (
        torch.linalg.qr(torch.randn(side, 2, generator=generator))[0] for side in (64, 300)
    )
    made = orthogonal((left * torch.tensor([1.0, 1e-2]) @ right.mT)[None])
    values = torch.linalg.svdvals(made)[0]
    assert (values[:2] > 0.6).all()
    assert values.max() < 1.25
    assert values[2] < 1e-2


def test_a_matrix_of_zeros_stays() -> None:
    assert torch.equal(orthogonal(torch.zeros(1, 32, 40)), torch.zeros(1, 32, 40))


def test_pictures_and_biases_are_adams() -> None:
    network = CompactF2N(features=32, blocks=1, scales=(2,))
    inner, outer = split_parameters(network)
    block = network.body[0]
    assert {id(each) for each in inner} == {id(block.first.weight), id(block.second.weight)}
    assert len(inner) + len(outer) == len(list(network.parameters()))


def test_a_last_layer_with_many_outputs_is_muons() -> None:
    network = CompactF2N(features=64, blocks=1, scales=(2, 4))
    inner, _ = split_parameters(network)
    names = {name for name, each in network.named_parameters() if any(each is x for x in inner)}
    assert "tails.4.weight" in names
    assert "tails.2.weight" not in names


def test_the_rest_moves_as_adam_moves_it() -> None:
    """Nothing here is a matrix of features: every step is torch's own Adam's."""

    def moved(own: bool) -> list[Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.PReLU(8), nn.Conv2d(8, 3, 3))
        parameters = network.parameters()
        adam = torch.optim.Adam(parameters, lr=1e-2, betas=(0.9, 0.99))
        optimizer = Muon(network, 1e-2, (0.9, 0.99)) if own else adam
        for step in range(4):
            with_gradients(network, step)
            optimizer.step()
        return [each.detach() for each in network.parameters()]

    for one, other in zip(moved(True), moved(False), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_a_step_is_as_large_as_adams() -> None:
    """The root mean square of an update is 0.2 of the learning rate, whatever the gradient."""
    for strength in (1e-6, 1e3):
        network = nn.Conv2d(64, 48, 3, bias=False)
        before = network.weight.detach().clone()
        with_gradients(network)
        assert network.weight.grad is not None
        network.weight.grad *= strength
        Muon(network, 0.1).step()
        size = (network.weight.detach() - before).square().mean().sqrt()
        assert 0.6 * 0.02 < size < 1.2 * 0.02


def test_directions_of_small_gradients_are_learned_as_fast() -> None:
    """Least squares whose curvatures differ by 10,000: Adam, which goes by entries, is left behind
    since the curvatures lie along no entry."""
    generator = torch.Generator().manual_seed(3)
    turn = torch.linalg.qr(torch.randn(32, 32, generator=generator))[0]
    root = turn * torch.logspace(0, -2, 32)
    wanted = torch.randn(32, 32, generator=generator)

    def loss_after(optimizer_of: type) -> float:
        layer = nn.Linear(32, 32, bias=False)
        nn.init.zeros_(layer.weight)
        adam = optimizer_of is torch.optim.Adam
        optimizer = optimizer_of(layer.parameters() if adam else layer, lr=0.1)
        steps = 300
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.1 * (1 - step / steps)
            loss = ((layer.weight - wanted) @ root).square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float((layer.weight.detach() - wanted).square().mean())

    assert loss_after(Muon) < 0.5 * loss_after(torch.optim.Adam)


def test_a_stopped_run_goes_on_as_it_would_have(workplace: Path) -> None:
    wide = ("config.features=32", 'optimizer="muon"', "batch=1", "save_every=1")

    def weights(folder: str, *steps: int) -> dict[str, Tensor]:
        for count in steps:
            overrides = [*wide, f"steps={count}", 'schedule="constant"', "warm_up=0"]
            recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)
            train(recipe, workplace / folder, device="cpu")
        return torch.load(workplace / folder / "state.pt", weights_only=True)["networks"]

    whole, halved = weights("whole", 4), weights("halved", 2, 4)
    for name, one in whole["restorer"].items():
        assert torch.equal(one, halved["restorer"][name]), name


def test_an_unknown_optimizer_is_named(workplace: Path) -> None:
    with pytest.raises(RecipeError, match="optimizer"):
        load_recipe(workplace / "restorer.toml", RestorerRecipe, ['optimizer="sgd"'])
