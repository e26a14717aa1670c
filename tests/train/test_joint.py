"""Both at once: who learns from whom, whose Ω makes the LQs, and a run that was stopped."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from redeg_cli.errors import RecipeError
from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.models import load_redegnet, load_restorer
from redeg_cli.train.joint import joint_course
from redeg_cli.train.loop import make_accelerator
from redeg_cli.train.recipe_files import find_recipe, load_recipe, plain_recipe
from redeg_cli.train.recipes import JointRecipe, PaperRecipe
from redeg_cli.train.settled import check_settled, settle_recipe
from redeg_cli.train.training import train

JOINT = """
kind = "joint"
name = "tiny-joint"
steps = 4
save_every = 2
validate_every = 2
precision = "fp32"
redegnet = { preset = "redegnet.toml", scales = [1, 2] }

[restorer]
preset = "restorer.toml"
validation = [{ folder = "hq" }]
"""


class Stopped(Exception):
    """The power went."""


@pytest.fixture
def place(workplace: Path) -> Path:
    (workplace / "joint.toml").write_text(JOINT)
    return workplace


def recipe_of(place: Path, *overrides: str) -> JointRecipe:
    return load_recipe(place / "joint.toml", JointRecipe, overrides)


def test_the_sides_are_recipes_that_share_the_run(place: Path) -> None:
    recipe = recipe_of(place, "steps=7", "seed=3", "restorer.batch=4", "redegnet.mean_weight=2")
    assert recipe.redegnet.name == "tiny-redegnet"
    assert recipe.redegnet.data[0].folder == place / "hq"
    assert (recipe.redegnet.steps, recipe.restorer.steps) == (7, 7)
    assert (recipe.redegnet.seed, recipe.restorer.seed) == (3, 3)
    assert (recipe.restorer.batch, recipe.redegnet.mean_weight) == (4, 2)
    kept = plain_recipe(recipe)
    assert kept["restorer"]["validation"][0]["folder"] == str(place / "hq")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("restorer.learning_rat=1", "unknown key 'restorer.learning_rat'.*learning_rate"),
        ("restorer.pool=pool.npz", "'restorer.pool': a joint run has its Ωs from its own pairs"),
        ("restorer.name=tiny-joint", "need names of their own"),
        ("redegnet=5", "redegnet"),
        ("restorer.scales=[2, 1]", r"'restorer.scales': \[2, 1\], those of redegnet are \[1, 2\]"),
        ("redegnet.patience=3", "'redegnet.patience': the joint run has one for both sides"),
        ("restorer.steps=3", "--set 'restorer.steps'"),
    ],
)
def test_a_mistake_names_its_key(place: Path, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_of(place, override)


def test_a_side_has_no_length_of_its_own(place: Path) -> None:
    (place / "joint.toml").write_text(JOINT + "save_every = 3\n")
    with pytest.raises(RecipeError, match=r"joint\.toml: 'restorer\.save_every'"):
        recipe_of(place)


def test_the_released_one_is_the_two_released_ones() -> None:
    path, base = find_recipe("joint-released")
    recipe = load_recipe(path, JointRecipe, base=base)
    assert isinstance(recipe.redegnet, PaperRecipe)
    assert recipe.redegnet.distance == "l1"
    assert recipe.redegnet.steps == recipe.restorer.steps == 160000
    assert recipe.restorer.betas == recipe.redegnet.betas == (0.9, 0.999)
    assert (recipe.restorer.lq_noise, recipe.restorer.ema) == (0.4, 0.0)
    assert recipe.restorer.data[0].folder == Path("data/natural/train")


def test_the_restorer_learns_from_the_synnet_of_the_step(place: Path) -> None:
    accelerator = make_accelerator("fp32", device="cpu")
    course = joint_course(recipe_of(place), accelerator)
    first, second = course.players
    assert (first.name, second.name) == ("redegnet", "restorer")

    def lqs() -> tuple[torch.Tensor, torch.Tensor]:
        """Take a step of both without an optimiser; return Ω and the LQs that the restorer saw."""
        seen: list[Any] = []
        first.terms(first.network, 0)
        hook = second.network.register_forward_pre_hook(lambda _net, given: seen.append(given[0]))
        second.terms(second.network, 0)
        hook.remove()
        return course.keeper.live[1].pool.omegas, seen[0]  # pyright: ignore

    omega, before = lqs()
    assert omega.shape == (4, 512)
    again = lqs()[1]
    assert torch.equal(before, again)
    with torch.no_grad():  # another SynNet: other LQs
        for name, parameter in first.network.named_parameters():
            if "synnet" in name:
                parameter.mul_(3)
    assert not torch.equal(lqs()[1], before)


def test_no_gradient_goes_from_the_restorer_to_redegnet(place: Path) -> None:
    accelerator = make_accelerator("fp32", device="cpu")
    first, second = joint_course(recipe_of(place), accelerator).players
    sum(first.terms(first.network, 0).values()).backward()  # pyright: ignore
    before = [p.grad.clone() for p in first.network.parameters() if p.grad is not None]
    assert before
    assert not any(p.grad is not None for p in second.network.parameters())
    sum(second.terms(second.network, 0).values()).backward()  # pyright: ignore
    after = [p.grad for p in first.network.parameters() if p.grad is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert any(p.grad is not None for p in second.network.parameters())


def test_a_share_of_the_lqs_is_the_recipes_own(place: Path) -> None:
    accelerator = make_accelerator("fp32", device="cpu")
    for share, learned in (("0", False), ("1", True)):
        recipe = recipe_of(place, f"restorer.pool_share={share}")
        course = joint_course(recipe, accelerator)
        first, second = course.players
        first.terms(first.network, 0)
        asked: list[int] = []
        degrader = course.keeper.live[1]  # pyright: ignore
        apply = degrader.apply
        degrader.apply = lambda hq, records, a=apply, s=asked: s.append(1) or a(hq, records)
        second.terms(second.network, 0)
        assert bool(asked) is learned


def test_a_stopped_run_ends_like_one_that_was_not(place: Path) -> None:
    recipe = recipe_of(place)
    whole = train(recipe, place / "whole", device="cpu")
    assert [path.name for path in whole] == ["tiny-redegnet.safetensors", "tiny.safetensors"]
    calls = 0

    def stop(done: int, total: int, text: str = "") -> None:
        nonlocal calls
        del done, text
        calls += total == 1000
        if calls == 3:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe, place / "cut", device="cpu", progress=stop)
    for path, other in zip(whole, train(recipe, place / "cut", device="cpu"), strict=True):
        tensors, again = load_tensors(path)[0], load_tensors(other)[0]
        assert all(torch.equal(tensors[name], again[name]) for name in tensors)
    net = load_redegnet(whole[0])
    assert isinstance(net, nn.Module)
    assert load_restorer(whole[1]).scale == 2
    rows = [json.loads(line) for line in (place / "whole" / "log.jsonl").read_text().splitlines()]
    assert {"mean", "grain", "pixel", "psnr_x1", "psnr_x2"} <= set(rows[-1])
    assert rows[-1]["step"] == 4


def test_how_long_may_change_and_what_may_not(place: Path) -> None:
    (place / "run").mkdir()
    settle_recipe(place / "run", recipe_of(place))
    (place / "run" / "state.pt").touch()
    check_settled(place / "run", recipe_of(place, "steps=9", "restorer.learning_rate=1e-5"))
    with pytest.raises(RecipeError, match=r"a run with restorer\.crop = 8, now it is 16"):
        check_settled(place / "run", recipe_of(place, "restorer.crop=16"))
