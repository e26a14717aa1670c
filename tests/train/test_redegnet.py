"""Training pairs of ReDegNet: what partners share, and that the parts make the whole."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.resize import resize
from redeg_cli.degrade.steps import run_steps
from redeg_cli.errors import RecipeError
from redeg_cli.models import save_network
from redeg_cli.nets.lite import ReDegNetLite, has_room
from redeg_cli.nets.synnet_lite import Synthesis
from redeg_cli.omega.families import families
from redeg_cli.omega.transfer import PairBatch, pair_batches
from redeg_cli.seeds import sample_seed
from redeg_cli.train import redegnet as redegnet_module
from redeg_cli.train.data import ImageStore
from redeg_cli.train.judge import ends_of
from redeg_cli.train.loop import fit
from redeg_cli.train.recipe_base import DataSource
from redeg_cli.train.recipes import ReDegNetRecipe
from redeg_cli.train.redegnet import redegnet_course, swap_losses, take_out_content
from redeg_cli.train.swap import SwapBatch, SwapModel, draw_swap, jpeg_truth, make_swap_batch

TINY = {
    "degnet": {"widths": [8, 8]},
    "synnet": {"widths": [8, 8], "style": 8, "kernel": 5, "grain_kernel": 5},
}
BLUR = {"op": "blur", "size": 11, "sigma": [0.5, 2]}
SHRINK = {"op": "resize", "of": "hq", "factor": [0.3, 0.9]}
NOISE = {"op": "noise", "sigma": [0.02, 0.1]}
NATIVE = {"op": "resize", "of": "native", "filter": "bicubic", "antialias": True}
JPEG = {"op": "jpeg", "quality": 75, "subsample": {"chance": 0.5}}


def recipe_of(*steps: object) -> ReDegNetRecipe:
    """A recipe with these steps; without any it is the classical degrader."""
    return ReDegNetRecipe.model_validate(
        {
            "kind": "redegnet",
            "name": "tiny",
            "crop": 32,
            "gray": 0,
            "data": [{"folder": "nowhere"}],
            "degradation": {"steps": list(steps)} if steps else "classical",
        }
    )


def batch_of(
    store: ImageStore, recipe: ReDegNetRecipe, scale: int, key: str, count: int
) -> SwapBatch:
    return make_swap_batch(
        store, recipe, draw_swap(recipe.seed, recipe.degraders()[scale], key, count)
    )


@pytest.fixture
def store() -> ImageStore:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((3, 3, 8, 8), generator=generator)
    images = nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear") * 200 + 25
    return ImageStore([list(images.to(torch.uint8))], [1.0])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_partners_share_their_degradation_and_nothing_else(store: ImageStore, scale: int) -> None:
    batch = batch_of(store, recipe_of(BLUR, SHRINK, NOISE, NATIVE, JPEG), scale, "train/0", 3)
    assert batch.hq.shape == batch.lq.shape == batch.mean.shape == batch.grain.shape
    assert batch.hq.shape == (6, 3, 32, 32)
    assert torch.equal(batch.jpeg[:3], batch.jpeg[3:])
    for index in range(3):
        assert not torch.equal(batch.hq[index], batch.hq[index + 3])
        grains = batch.grain[index].flatten(), batch.grain[index + 3].flatten()
        # The same law, drawn twice.
        assert grains[0].std() > 1e-3
        assert abs(torch.corrcoef(torch.stack(grains))[0, 1]) < 0.25


def test_a_batch_is_decided_by_its_key(store: ImageStore) -> None:
    recipe = recipe_of()
    first, again, other = (
        batch_of(store, recipe, 2, key, 2) for key in ("train/7", "train/7", "train/8")
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.hq, other.hq)


@pytest.mark.parametrize("op", ["noise", "speckle", "poisson"])
@pytest.mark.parametrize("scale", [1, 2])
def test_mean_and_grain_make_the_lq_when_there_is_no_jpeg(
    store: ImageStore, scale: int, op: str
) -> None:
    grain = {"op": "poisson", "photons": 500} if op == "poisson" else {**NOISE, "op": op}
    batch = batch_of(store, recipe_of(BLUR, SHRINK, grain, NATIVE), scale, "train/0", 3)
    assert batch.grain.flatten(1).std(1).min() > 1e-3
    # Apart from eight bits and, at its scale, the resizing of their rounding.
    assert (batch.mean + batch.grain - batch.lq).abs().max() < 1 / 255
    assert batch.jpeg.abs().max() == 0


def test_without_noise_there_is_no_grain(store: ImageStore) -> None:
    batch = batch_of(store, recipe_of(BLUR, SHRINK, NATIVE), 2, "train/0", 2)
    assert batch.grain.abs().max() == 0
    assert (batch.mean - batch.lq).abs().max() < 1 / 255


def test_grain_is_only_where_noise_was_drawn(store: ImageStore) -> None:
    recipe = recipe_of({"p": 0.5, **NOISE}, NATIVE)
    batch = batch_of(store, recipe, 2, "train/0", 8)
    degrader = recipe.degraders()[2]
    noisy = [
        degrader.draw(sample_seed(recipe.seed, "train/0", i))["steps"][0]["op"] == "noise"
        for i in range(8)
    ]
    assert 0 < sum(noisy) < 8
    grain = batch.grain.abs().amax((1, 2, 3)) > 0
    assert grain.tolist() == noisy * 2


def test_what_else_a_seed_decides_is_in_the_mean(store: ImageStore) -> None:
    """The dots of a print are no grain."""
    screen = {"op": "halftone", "pitch": 6, "angles": [30]}
    batch = batch_of(store, recipe_of(screen, NATIVE), 1, "train/0", 2)
    assert batch.grain.abs().max() == 0
    assert (batch.mean - batch.lq).abs().max() < 1 / 255
    assert (batch.mean - batch.hq).abs().mean() > 0.05


def test_the_mean_is_before_the_last_jpeg(store: ImageStore) -> None:
    body = ({"op": "jpeg", "quality": 40}, NATIVE)
    recipe = recipe_of(*body, {"op": "jpeg", "quality": 20})
    batch = batch_of(store, recipe, 2, "train/0", 2)
    clean = batch_of(store, recipe_of(*body), 2, "train/0", 2)
    assert (batch.lq - batch.mean).abs().mean() > 1 / 255
    assert torch.equal(batch.hq, clean.hq)
    torch.testing.assert_close(batch.mean, clean.mean)


@pytest.mark.parametrize("degradation", ["classical", "bsrgan", "real-esrgan"])
def test_the_parts_are_those_of_each_image_alone(store: ImageStore, degradation: str) -> None:
    """On grids of their own too: one batch is what the steps make of one image after another."""
    recipe = recipe_of(
        {"preset": degradation}, {"p": 0.5, "op": "resize", "of": "hq", "factor": [0.4, 1]}
    )
    batch = batch_of(store, recipe, 2, "train/3", 3)
    degrader = recipe.degraders()[2]
    seeds = [sample_seed(recipe.seed, "train/3", i) for i in range(6)]
    for row, seed in enumerate(seeds):
        chain = degrader.draw(seeds[row % 3])["steps"]
        chain = [s | {"seed": (s["seed"] ^ seed) >> 1} if "seed" in s else s for s in chain]
        body = chain[:-1] if chain[-1]["op"] == "jpeg" else chain
        quiet = [step for step in body if step["op"] not in ("noise", "poisson")]
        lq, noisy, mean = (
            run_steps(batch.hq[row : row + 1], each, 2) for each in (chain, body, quiet)
        )
        lq = (lq * 255).round() / 255
        wanted = [resize(part, (32, 32))[0] for part in (lq, mean, noisy)]
        wanted[2] -= wanted[1]
        for part, truth in zip((batch.lq, batch.mean, batch.grain), wanted, strict=True):
            torch.testing.assert_close(part[row], truth, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("scale", "grid", "stage"),
    [(1, "native", 1), (1, "hq", 1), (2, "native", 1), (4, "hq", 0), (2, None, 0)],
)
def test_the_last_jpeg_is_told_on_its_grid(scale: int, grid: str | None, stage: int) -> None:
    steps = [BLUR, SHRINK, *([{**NATIVE, "of": grid}] if grid else []), JPEG]
    record = load_degrader({"steps": steps}, scale).draw(0)
    truth = jpeg_truth(record)
    assert truth[stage].tolist() == [1.0, 1.0, float(record["steps"][-1]["subsample"])]
    assert truth[1 - stage].tolist() == [0, 0, 0]


def test_a_jpeg_that_is_not_last_is_not_told() -> None:
    for steps in ([JPEG, NATIVE], [{"p": 0, **JPEG}]):
        assert jpeg_truth(load_degrader({"steps": steps}, 2).draw(0)).abs().max() == 0


def test_what_a_record_does_not_say_is_the_default() -> None:
    record = load_degrader({"steps": [NATIVE, {"op": "jpeg", "quality": 50}]}, 2).draw(0)
    assert jpeg_truth(record).tolist() == [[0, 0, 0], [1, 0, 1]]


class Scribe(nn.Module):
    """Ω is the mean colour of the LQ; what it makes is that colour."""

    def extract(self, hq: Tensor, lq: Tensor, scale: int) -> Tensor:
        del hq, scale
        return lq.mean((2, 3))

    def forward(self, hq: Tensor, omega: Tensor, noise: Tensor) -> Synthesis:
        del noise
        mean = omega[:, :, None, None].expand_as(hq)
        return Synthesis(mean, torch.zeros_like(hq), torch.zeros(hq.shape[0], 2, 3))


def test_each_image_is_made_with_the_omega_of_its_partner() -> None:
    hq = torch.zeros(4, 3, 32, 32)
    lq = torch.tensor([0.1, 0.2, 0.3, 0.4]).view(4, 1, 1, 1).expand(4, 3, 32, 32)
    omega, made = SwapModel(Scribe())(hq, hq, lq, torch.zeros_like(hq), 1)
    assert omega[:, 0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert made.mean[:, 0, 0, 0].tolist() == pytest.approx([0.3, 0.4, 0.1, 0.2])


def test_the_terms_are_weighted_and_named(store: ImageStore) -> None:
    torch.manual_seed(0)
    net = SwapModel(ReDegNetLite(**TINY))
    recipe = recipe_of(NOISE, NATIVE)
    batch = batch_of(store, recipe, 2, "train/0", 2)
    _, terms = swap_losses(net, batch, 2, recipe, 5)
    weights = {"mean": 1.0, "grain": 0.1, "jpeg": 0.05, "attraction": 0.05, "contrast": 0.02}
    assert set(terms) == set(weights)
    keys = {"grain": "noise"}
    double = recipe.model_copy(update={f"{keys.get(name, name)}_weight": 2.0 for name in weights})
    for name, value in swap_losses(net, batch, 2, double, 5)[1].items():
        assert value.item() == pytest.approx(2 / weights[name] * terms[name].item(), rel=1e-4)
    _, other_noise = swap_losses(net, batch, 2, recipe, 6)
    assert other_noise["attraction"] == terms["attraction"]
    assert other_noise["grain"] != terms["grain"]


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_the_records(store: ImageStore, processes: int) -> None:
    recipe = recipe_of(BLUR, SHRINK, NOISE, NATIVE, JPEG)
    degrader = recipe.degraders()[2]
    whole = batch_of(store, recipe, 2, "train/0", 6)
    for process in range(processes):
        own = slice(process, None, processes)
        draw = draw_swap(recipe.seed, degrader, "train/0", 6, own)
        part = make_swap_batch(store, recipe, draw)
        rows = [*range(6)[own], *range(6, 12)[own]]
        for name, values in part._asdict().items():
            wanted = getattr(whole, name)[rows]
            torch.testing.assert_close(values, wanted, atol=1e-5, rtol=0)


def test_a_run_starts_from_the_weights_that_it_is_given(tmp_path: Path) -> None:
    torch.manual_seed(5)
    trained = ReDegNetLite(**TINY)
    save_network(tmp_path / "a.safetensors", "redegnet-lite", TINY, trained.state_dict())
    Image.new("RGB", (64, 64), "gray").save(tmp_path / "gray.png")
    recipe = recipe_of(NOISE, NATIVE).model_copy(
        update={
            "init": str(tmp_path / "a.safetensors"),
            "config": TINY,
            "data": [DataSource(folder=tmp_path, weight=1)],
        }
    )
    (player,) = redegnet_course(recipe, Accelerator(cpu=True)).players
    assert player.network.training
    started = player.network.get_submodule("net").state_dict()
    for name, tensor in trained.state_dict().items():
        assert torch.equal(started[name], tensor)


def test_content_is_taken_out_of_the_last_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redegnet_module, "SETTLED_ON", 16)
    torch.manual_seed(0)
    net = ReDegNetLite(**TINY)
    rough, smooth = torch.rand(3, 64, 64), torch.linspace(0, 1, 64).expand(3, 64, 64)
    groups = [[(255 * each).to(torch.uint8)] for each in (rough, smooth)]
    recipe = recipe_of(BLUR, NATIVE).model_copy(update={"omega_rank": 5, "scales": [1]})

    def apart() -> float:
        """Return how far the mean Ωs of the two kinds are apart, in their own spread."""
        first, second = ends_of(ImageStore(groups, [0.5, 0.5]), 64)
        found: list[PairBatch] = []
        for name, steps in families().items():
            degrader = load_degrader({"steps": steps}, 1)
            found += pair_batches(net, first, second, degrader, name, 16, seed=99)
        ours = torch.cat([each.face_omega for each in found]).detach()
        theirs = torch.cat([each.natural_omega for each in found]).detach()
        spread = torch.cat([ours, theirs]).var(0).sum().sqrt()
        return float((ours.mean(0) - theirs.mean(0)).norm() / spread)

    before = apart()
    with torch.no_grad():
        take_out_content(net, ImageStore(groups, [0.5, 0.5]), recipe)
    assert apart() < 0.3 * before


@pytest.mark.parametrize("frozen", ["degnet", "synnet"])
def test_of_the_frozen_network_no_weight_moves(
    store: ImageStore, tmp_path: Path, frozen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = ReDegNetLite(**TINY)
    start.make_room()
    weights = tmp_path / "tiny.safetensors"
    save_network(weights, "redegnet-lite", TINY, start.state_dict())
    recipe = recipe_of(NOISE, NATIVE).model_copy(
        update={"frozen": frozen, "init": str(weights), "config": TINY, "batch": 2, "steps": 2}
    )
    monkeypatch.setattr(redegnet_module, "load_store", lambda *_, **__: store)
    course = redegnet_course(recipe, Accelerator(cpu=True))
    network = course.players[0].network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    averages, _, _ = fit(course, recipe, tmp_path, Accelerator(cpu=True))
    moved = {
        name.split(".")[1]
        for name, value in network.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert moved == {"degnet", "synnet"} - {frozen}
    if frozen == "degnet":  # which still leaves the end of Ω free for what is measured
        assert course.settle is not None
        course.settle(averages)
        assert has_room(averages["redegnet"].get_submodule("net"))


def test_frozen_weights_must_be_given_and_are_not_settled() -> None:
    recipe = recipe_of(BLUR).model_dump() | {"frozen": "degnet"}
    with pytest.raises(RecipeError, match="give the weights to keep as 'init'"):
        ReDegNetRecipe.model_validate(recipe)
    with pytest.raises(RecipeError, match="'omega_rank' changes both networks"):
        ReDegNetRecipe.model_validate(recipe | {"init": "redegnet-lite", "omega_rank": 5})
