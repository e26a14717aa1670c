"""Where the loop begins, and what ends it before its steps are done."""

from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from torch import nn

from redeg_cli.errors import RedegError
from redeg_cli.train.loop import Course, Player, fit, make_accelerator
from redeg_cli.train.losses import Terms
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import RestorerRecipe


def recipe_of(workplace: Path, *overrides: str) -> RestorerRecipe:
    return load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)


def test_a_run_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of an earlier run of the process."""
    state = PartialState()
    monkeypatch.setitem(PartialState._shared_state, "device", torch.device("meta"))
    assert state.device.type == "meta"
    assert make_accelerator("fp32", device="cpu").device.type == "cpu"


def test_a_term_that_is_not_finite_is_named(workplace: Path) -> None:
    def terms(net: nn.Module, step: int) -> Terms:
        value = float("nan") if step == 2 else 0.0
        return {"plain": net.bias.sum(), "extra": net.bias.sum() * value}

    (workplace / "run").mkdir()
    accelerator = make_accelerator("fp32", device="cpu")
    recipe = recipe_of(workplace)
    course = Course([Player("network", nn.Linear(1, 1), terms, recipe)])
    with pytest.raises(RedegError, match=r"step 2: the loss term 'extra' is nan"):
        fit(course, recipe, workplace / "run", accelerator)


def test_a_gradient_that_is_not_finite_is_named_and_not_saved(workplace: Path) -> None:
    """The root of 0 is 0, its slope is not finite: weights that are NaN are no good state."""

    def terms(net: nn.Module, step: int) -> Terms:
        return {"root": (net.weight.sum() * float(step < 3)).square().sqrt()}

    accelerator = make_accelerator("fp32", device="cpu")
    recipe = recipe_of(workplace, "save_every=1")
    course = Course([Player("network", nn.Linear(1, 1), terms, recipe)])
    with pytest.raises(RedegError, match=r"step 3: .*'gradient of network' is nan"):
        fit(course, recipe, workplace, accelerator)
    kept = torch.load(workplace / "state.pt", weights_only=True)
    assert kept["step"] == 3
    assert all(tensor.isfinite().all() for tensor in kept["networks"]["network"].values())
