"""The paper's training of ReDegNet: what pairs share, where gradients go, and whole runs."""

import json
from pathlib import Path

import pytest
import torch
from paper_runs import batch_of, make_place, recipe_of
from torch import Tensor, nn
from typer.testing import CliRunner

from redeg_cli.cli.app import app
from redeg_cli.errors import RecipeError
from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.models import build, load_redegnet
from redeg_cli.nets.discriminators import OmegaDiscriminator, PairDiscriminator
from redeg_cli.nets.synnet import ReDegNet
from redeg_cli.train.features import make_features
from redeg_cli.train.losses import PAPER_WEIGHTS
from redeg_cli.train.paper import PaperLosses, PaperModel
from redeg_cli.train.recipe_files import find_recipe, load_recipe
from redeg_cli.train.recipes import PaperRecipe
from redeg_cli.train.settled import settle_recipe
from redeg_cli.train.training import train

CPU = torch.device("cpu")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return make_place(tmp_path)


class Stopped(Exception):
    """The power went."""


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ReDegNets with 4 channels at every level, in place of 64 to 512."""
    for module in ("degnet", "synnet"):
        monkeypatch.setattr(f"redeg_cli.nets.{module}.LADDER", (4,) * 7)


def losses_of(recipe: PaperRecipe) -> tuple[PaperLosses, PaperModel]:
    torch.manual_seed(0)
    net = build("redegnet", {})
    assert isinstance(net, ReDegNet)
    model = PaperModel(net, recipe.paired)
    return PaperLosses(recipe, make_features("filters"), model), model


def touched(network: nn.Module) -> bool:
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    return any(bool(gradient.abs().max() > 0) for gradient in gradients)


# Terms


VARIANTS = {
    "paper": ([], set(PAPER_WEIGHTS)),
    "released": (["distance=l1", "feature_layers=released"], set(PAPER_WEIGHTS)),
    "no-disentangle": (
        ["disentangle=false"],
        {term for term in PAPER_WEIGHTS if not term.startswith("disen/")},
    ),
    "unpaired": (
        ["paired=false"],
        {term for term in PAPER_WEIGHTS if not term.startswith("mse/")} - {"real/style"},
    ),
    "no discriminator": (
        ["weights.real/adversarial=0"],
        set(PAPER_WEIGHTS) - {"real/adversarial"},
    ),
    "no pairs": (["pairs=[]"], set(PAPER_WEIGHTS)),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_term_is_there_and_finite(place: Path, variant: str) -> None:
    overrides, wanted = VARIANTS[variant]
    recipe = recipe_of(place, *overrides)
    losses, model = losses_of(recipe)
    batch = batch_of(recipe)
    terms = losses.synthesis(model, batch)
    assert set(terms) == wanted
    assert all(value.ndim == 0 and value.isfinite() for value in terms.values())
    if losses.discriminator is None:
        assert "real/adversarial" not in wanted
        return
    kind = OmegaDiscriminator if recipe.paired else PairDiscriminator
    assert isinstance(losses.discriminator, kind)
    judged = losses.judge(losses.discriminator, 0)
    assert judged["discriminator"].item() == pytest.approx(2, abs=0.5)  # hinge of logits near 0


def test_the_weights_are_those_of_the_table(place: Path) -> None:
    recipe = recipe_of(place)
    double = recipe_of(place, *(f"weights.{name}={2 * w}" for name, w in PAPER_WEIGHTS.items()))
    batch = batch_of(recipe)
    (once, model), (twice, same) = losses_of(recipe), losses_of(double)
    twice.discriminator = once.discriminator
    single, doubled = once.synthesis(model.eval(), batch), twice.synthesis(same.eval(), batch)
    for name, value in single.items():
        if name != "real/adversarial":  # D refines its spectral norms whenever it is asked
            assert doubled[name].item() == pytest.approx(2 * value.item(), rel=1e-4)


def test_each_is_made_with_the_omega_of_its_partner_or_its_own(place: Path) -> None:
    recipe = recipe_of(place)
    _, model = losses_of(recipe)
    for injection in model.modules():
        if type(injection).__name__ == "FeatureInjection":
            nn.init.ones_(injection.weight)
    model.eval()
    batch = batch_of(recipe)
    with torch.no_grad():
        omega, swapped = model(batch.hq, batch.lq, True)
        _, own = model(batch.hq, batch.lq, False)
        for made, order in ((swapped, [0, 2, 1]), (own, [0, 1, 2])):
            wanted = model.net.synthesise(batch.hq, omega[order])
            torch.testing.assert_close(made, wanted)
    assert torch.equal(swapped[0], own[0])
    assert not torch.equal(swapped[1:], own[1:])


@pytest.mark.parametrize("name", PAPER_WEIGHTS)
def test_each_term_falls_on_a_fixed_batch(place: Path, name: str) -> None:
    others = [f"weights.{term}=0" for term in PAPER_WEIGHTS if term != name]
    recipe = recipe_of(place, *others, f"weights.{name}=1")
    losses, model = losses_of(recipe)
    batch = batch_of(recipe)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    values = []
    for _ in range(6):
        terms = losses.synthesis(model, batch)
        assert set(terms) == {name}
        optimizer.zero_grad()
        terms[name].backward()
        optimizer.step()
        values.append(terms[name].item())
    assert min(values[-2:]) < values[0]


@pytest.mark.parametrize("paired", ["true", "false"])
def test_the_discriminator_learns_alone(place: Path, paired: str) -> None:
    recipe = recipe_of(place, f"paired={paired}")
    losses, model = losses_of(recipe)
    assert losses.discriminator is not None
    batch = batch_of(recipe)
    losses.synthesis(model, batch)
    optimizer = torch.optim.Adam(losses.discriminator.parameters(), 2e-3)
    values = []
    for step in range(10):
        term = losses.judge(losses.discriminator, step)["discriminator"]
        optimizer.zero_grad()
        term.backward()
        optimizer.step()
        values.append(term.item())
    assert values[-1] < values[0]
    assert all(p.grad is None for p in model.parameters())
    assert all(p.grad is not None for p in losses.discriminator.parameters())


def test_gradients_reach_what_they_should(place: Path) -> None:
    recipe = recipe_of(place)
    losses, model = losses_of(recipe)
    assert losses.discriminator is not None
    terms = losses.synthesis(model, batch_of(recipe))
    net = model.net
    for name, value in terms.items():
        model.zero_grad()
        value.backward(retain_graph=True)
        disen = name.startswith("disen/")
        assert touched(net.degnet), name
        assert touched(net.generator) is not disen, name
        assert touched(net.encoder) is not disen, name
        assert not touched(losses.discriminator)
    assert all(p.requires_grad for p in losses.discriminator.parameters())


def test_the_discriminator_is_shown_the_real_pairs(place: Path) -> None:
    recipe = recipe_of(place)
    losses, model = losses_of(recipe)
    batch = batch_of(recipe)
    losses.synthesis(model, batch)
    with torch.no_grad():
        omega, made = model.eval()(batch.hq, batch.lq)
    seen: list[tuple[Tensor, ...]] = []

    class Witness(nn.Module):
        def forward(self, *given: Tensor) -> Tensor:
            seen.append(given)
            return given[0].mean((1, 2, 3))[:, None]

    losses.judge(Witness(), 0)
    ((lq, hq, condition),) = seen
    assert torch.equal(lq[:1], batch.lq[:1])
    assert torch.equal(hq, batch.hq[:1].repeat(2, 1, 1, 1))
    torch.testing.assert_close(lq[1:], made[:1], atol=0.05, rtol=0)
    torch.testing.assert_close(condition, omega[:1].repeat(2, 1), atol=0.05, rtol=0)
    assert not any(tensor.requires_grad for tensor in seen[0])


def test_unpaired_degnet_never_sees_an_hq(place: Path) -> None:
    recipe = recipe_of(place, "paired=false")
    losses, model = losses_of(recipe)
    batch = batch_of(recipe)
    assert (batch.lq[0] - batch.hq[0] / 2).abs().mean() > 0.05  # SynNet's HQ is of something else
    given: list[Tensor] = []
    model.net.degnet.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
    losses.synthesis(model, batch)
    (pair,) = given
    assert torch.equal(pair[:, :3], pair[:, 3:])
    model.eval()
    blind = batch._replace(hq=torch.rand_like(batch.hq))
    with torch.no_grad():
        assert torch.equal(model(*batch)[0], model(*blind)[0])


# Recipes and runs


def test_a_table_of_weights_is_completed_and_checked(place: Path) -> None:
    assert recipe_of(place).weights == PAPER_WEIGHTS
    some = recipe_of(place, "weights.disen/decay=0")
    assert some.weights == PAPER_WEIGHTS | {"disen/decay": 0}
    with pytest.raises(RecipeError, match=r"unknown loss term 'mse/pixels' .*'mse/pixel'"):
        recipe_of(place, "weights.mse/pixels=1")
    with pytest.raises(RecipeError, match=r"'weights.mse/pixel': .*greater than or equal to 0"):
        recipe_of(place, "weights.mse/pixel=-1")
    with pytest.raises(RecipeError, match="'faces': give folders"):
        recipe_of(place, "faces=[]", "pairs=[]")


def test_folders_are_the_recipes_own_and_are_kept(place: Path) -> None:
    recipe = recipe_of(place)
    assert recipe.pairs == [place / "pairs"]
    assert recipe.faces[0].folder == place / "faces"
    settle_recipe(place / "run", recipe)
    (place / "run" / "state.pt").touch()
    settle_recipe(place / "run", recipe)
    with pytest.raises(RecipeError, match=r"pairs = \[.*\], now it is \[\]"):
        settle_recipe(place / "run", recipe_of(place, "pairs=[]"))


def test_the_presets_differ_in_what_they_say() -> None:
    def preset(name: str) -> PaperRecipe:
        path, base = find_recipe(name)
        return load_recipe(path, PaperRecipe, base=base)

    paper = preset("redegnet-paper")
    assert paper.weights == PAPER_WEIGHTS
    assert (paper.betas, paper.learning_rate, paper.swap) == ((0.5, 0.999), 2e-4, 1.0)
    for name, switch in (("no-disentangle", "disentangle"), ("unpaired", "paired")):
        ablation = preset(f"redegnet-{name}").model_dump()
        plain = paper.model_dump()
        other = {k for k in plain if plain[k] != ablation[k]}
        # Without pairs there is no L_mse whose validation could stand still.
        assert other == {"name", switch} | ({"watched"} if switch == "paired" else set())
        assert ablation[switch] is False
    released = preset("redegnet-released")
    assert released.distance == "l1"
    pixels = [released.weights[f"{kind}pixel"] for kind in ("mse/", "cons/natural_", "cons/face_")]
    # 10 there, of values in [-1, 1].
    assert sum(pixels) == pytest.approx(20, abs=0.01)


def test_a_stopped_run_ends_like_one_that_was_not(place: Path) -> None:
    held_out = f'validation=[{{"folder": "{place}/natural"}}]'
    more = ("swap=0.5", "real_share=0.5", "validate_every=2", "transfer=0")
    recipe = recipe_of(place, held_out, *more)
    told: list[str] = []
    whole = train(recipe, place / "whole", device="cpu", say=told.append)[0]
    assert any("filters" in line for line in told)
    assert not any("no real pairs" in line for line in told)
    calls = 0

    def stop(done: int, total: int, text: str = "") -> None:
        nonlocal calls
        del done, text
        calls += total == 1000
        if calls == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe, place / "cut", device="cpu", progress=stop)
    again, _ = load_tensors(train(recipe, place / "cut", device="cpu")[0])
    tensors, metadata = load_tensors(whole)
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)
    assert str(place) not in metadata["recipe"]
    figures = json.loads(metadata["figures"])
    assert set(figures) == {
        f"{name}_x1" for name in ("psnr_own", "psnr_swapped", "psnr_hq", "omega_found")
    }
    rows = [json.loads(line) for line in (place / "whole" / "log.jsonl").read_text().splitlines()]
    assert {*PAPER_WEIGHTS, "discriminator"} <= set(rows[-1])
    net = load_redegnet(whole)
    omega = net.extract(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    assert omega.shape == (2, 512)
    assert omega.isfinite().all()


def test_the_command_chooses_the_training_by_the_recipe(place: Path) -> None:
    result = CliRunner().invoke(
        app,
        [
            *("train", "redegnet", "--recipe", str(place / "paper.toml"), "--device", "cpu"),
            *("-o", str(place / "run"), "--set", "steps=1", "--set", "pairs=[]"),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "no real pairs" in result.stderr
    assert (place / "run" / "tiny-paper.safetensors").is_file()


def test_the_learning_rate_may_stay(place: Path) -> None:
    rates = []
    for schedule in ("constant", "cosine"):
        recipe = recipe_of(place, f"schedule={schedule}", "steps=2", "validate_every=1")
        train(recipe, place / schedule, device="cpu")
        log = (place / schedule / "log.jsonl").read_text().splitlines()
        rates.append(json.loads(log[-1])["lr"])
    assert rates == [pytest.approx(2e-4), pytest.approx(2e-4 * (0.01 + 0.495))]


def test_the_transfer_of_omega_is_validated(place: Path) -> None:
    held_out = f'validation=[{{"folder": "{place}/natural"}}]'
    recipe = recipe_of(place, held_out, "steps=1", "transfer=4")
    train(recipe, place / "judged", device="cpu")
    row = json.loads((place / "judged" / "log.jsonl").read_text().splitlines()[-1])
    assert {"transfer_psnr", "transfer_psnr_jpeg", "omega_retrieval"} <= set(row)
