"""The strength of grain, fitted at the end of a training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from redeg_cli.errors import RecipeError
from redeg_cli.models import save_network
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.nets.synnet_lite import LogGain
from redeg_cli.train import grain
from redeg_cli.train import redegnet as redegnet_module
from redeg_cli.train.data import ImageStore
from redeg_cli.train.grain import fit_strength, grain_energies, match_grain
from redeg_cli.train.loop import fit
from redeg_cli.train.networks import start_network
from redeg_cli.train.recipes import ReDegNetRecipe
from redeg_cli.train.redegnet import redegnet_course

TINY = {
    "degnet": {"widths": [8, 8]},
    "synnet": {"widths": [8, 8], "style": 8, "kernel": 5, "grain_kernel": 5, "strength": 8},
}
NATIVE = {"op": "resize", "of": "native", "filter": "bicubic", "antialias": True}


def recipe_of(sigma: object, **others: object) -> ReDegNetRecipe:
    steps = [NATIVE, {"op": "noise", "sigma": sigma}]
    return ReDegNetRecipe.model_validate(
        {
            **{"kind": "redegnet", "name": "tiny", "crop": 32, "batch": 4, "scales": [1, 4]},
            **{"gray": 0, "config": TINY, "match_grain": 12},
            "data": [{"folder": "nowhere"}],
            "degradation": {"steps": steps},
            **others,
        }
    )


@pytest.fixture
def one_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained DegNet cannot tell the recipe's noise from the family's: both are 0.05."""
    noise = [NATIVE, {"op": "noise", "sigma": 0.05}]
    monkeypatch.setattr(grain, "families", lambda: {"noise": noise})


@pytest.fixture
def store() -> ImageStore:
    rng = np.random.default_rng(0)
    images = [torch.from_numpy(rng.integers(60, 190, (3, 64, 64), np.uint8)) for _ in range(4)]
    return ImageStore([images], [1.0])


@pytest.mark.usefixtures("one_noise")
@pytest.mark.parametrize("wrong_by", [0.2, 5.0])
def test_grain_gets_the_true_energy_at_every_scale(store: ImageStore, wrong_by: float) -> None:
    torch.manual_seed(2)
    net, recipe = ReDegNetLite(**TINY).eval(), recipe_of(0.05)
    with torch.no_grad():
        net.synnet.colour.bias.copy_(torch.eye(3).flatten() * 0.05 * wrong_by)
    others = {name: x.clone() for name, x in net.state_dict().items() if "strength" not in name}
    match_grain(net, store, recipe)
    _, made, true = grain_energies(net, store, recipe, recipe.degraders())
    assert len(made) == 12 * 2 * 4
    for first in (0, 8):  # batches of 8 rows of one scale, one after the other
        rows = torch.arange(len(made)) // 8 % 2 == first // 8
        assert float((made[rows] / true[rows]).log().mean().exp()) == pytest.approx(1, abs=0.15)
    assert all(
        torch.equal(x, others[name]) for name, x in net.state_dict().items() if name in others
    )


def test_faint_and_strong_grain_are_told_apart() -> None:
    torch.manual_seed(0)
    style, wanted = torch.randn(400, 8), torch.linspace(-2, 2, 400)
    style[:, 0] = wanted
    made = torch.full((400,), 0.03**2)
    true = made * (2 * wanted).exp()
    head = LogGain(8, 16)
    assert not bool(head(style).any())
    for _ in range(2):  # again, from energies that it has had a part in
        now = head(style)[:, 0].detach()
        fit_strength(head, style, made * (2 * now).exp(), true, 0)
        assert float((head(style)[:, 0].detach() - wanted).abs().mean()) < 0.1


def test_images_without_grain_get_none_that_is_seen() -> None:
    torch.manual_seed(0)
    style, made = torch.randn(400, 8), torch.full((400,), 0.05**2)
    head = LogGain(8, 16)
    fit_strength(head, style, made, torch.zeros(400), 0)
    gained = made * (2 * head(style)[:, 0].detach()).exp()
    assert float(gained.mean()) < grain.LEAST_GRAIN


def test_black_pictures_leave_the_weights_finite() -> None:
    torch.manual_seed(2)
    net = ReDegNetLite(**TINY).eval()
    black = ImageStore([[torch.zeros((3, 64, 64), dtype=torch.uint8)]], [1.0])
    match_grain(net, black, recipe_of([0.02, 0.1]))
    assert all(bool(x.isfinite().all()) for x in net.state_dict().values())


@pytest.mark.usefixtures("one_noise")
def test_a_run_fits_it_at_its_end(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redegnet_module, "load_store", lambda *_: store)
    recipe = recipe_of(0.05, batch=2, steps=1)
    course = redegnet_course(recipe, Accelerator(cpu=True))
    averages, _, _ = fit(course, recipe, tmp_path, Accelerator(cpu=True))
    net = averages["redegnet"].get_submodule("net")
    assert isinstance(net, ReDegNetLite)
    _, made, true = grain_energies(net, store, recipe, recipe.degraders())
    assert float((made / true).log().mean().exp()) == pytest.approx(1, abs=0.3)


def test_weights_without_the_head_get_one_that_changes_nothing(tmp_path: Path) -> None:
    without = {**TINY, "synnet": {**TINY["synnet"], "strength": 0}}
    torch.manual_seed(0)
    net = ReDegNetLite(**without).eval()
    path = tmp_path / "tiny.safetensors"
    save_network(path, "redegnet-lite", without, net.state_dict())
    started = start_network(recipe_of(0.05, init=str(path))).eval()
    hq, omega, noise = torch.rand(1, 3, 32, 32), torch.randn(1, 512), torch.randn(1, 3, 32, 32)
    for a, b in zip(net(hq, omega, noise), started(hq, omega, noise), strict=True):
        torch.testing.assert_close(a, b)


def test_what_has_no_head_is_told_so() -> None:
    with pytest.raises(RecipeError, match="strength = 64"):
        recipe_of(0.05, config={})
