"""A restorer's training: its pairs, and what each switch of its recipe does."""

from pathlib import Path
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from degraded import save_pool, save_redegnet
from estimated import save_pools
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torchvision.models import alexnet

from redeg_cli.errors import RecipeError, RedegError
from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.io.manifest import read_manifest
from redeg_cli.models import save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.train.adversarial import Kind, shifted
from redeg_cli.train.data import ImageStore
from redeg_cli.train.features import make_features
from redeg_cli.train.loop import make_accelerator
from redeg_cli.train.pairs import PairMaker
from redeg_cli.train.recipe_files import load_recipe
from redeg_cli.train.recipes import RestorerRecipe
from redeg_cli.train.restorer import RestorerLosses, restorer_course
from redeg_cli.train.restorer_losses import lattice
from redeg_cli.train.training import train

CLEAN = {"steps": [{"op": "resize", "of": "native"}]}


def recipe_of(
    architecture: str = "f2n-compact", degradation: object = "classical"
) -> RestorerRecipe:
    return RestorerRecipe.model_validate(
        {
            "kind": "restorer",
            "name": "tiny",
            "architecture": architecture,
            "crop": 24,
            "gray": 0,
            "data": [{"folder": "nowhere"}],
            "degradation": degradation,
        }
    )


def batch_of(
    store: ImageStore, recipe: RestorerRecipe, scale: int, key: str, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return PairMaker(recipe, torch.device("cpu")).batch(store, scale, key, count)


@pytest.fixture
def store() -> ImageStore:
    coarse = torch.rand((2, 3, 10, 10), generator=torch.Generator().manual_seed(0))
    images = F.interpolate(coarse, size=(160, 160), mode="bicubic").clamp(0, 1) * 255
    return ImageStore([list(images.to(torch.uint8))], [1.0])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_sizes_and_eight_bits(store: ImageStore, scale: int) -> None:
    lq, hq = batch_of(store, recipe_of(), scale, "train/0", 3)
    assert lq.shape == (3, 3, 24, 24)
    assert hq.shape == (3, 3, 24 * scale, 24 * scale)
    torch.testing.assert_close(lq * 255, (lq * 255).round(), atol=1e-3, rtol=0)


def test_the_key_decides_the_batch(store: ImageStore) -> None:
    first, again, other = (
        batch_of(store, recipe_of(), 2, key, 2) for key in ("train/1", "train/1", "train/2")
    )
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])
    # More of the same batch begins alike: seeds are those of the samples.
    torch.testing.assert_close(batch_of(store, recipe_of(), 2, "train/1", 3)[0][:2], first[0])


@pytest.mark.parametrize("scale", [2, 4])
def test_turned_pairs_stay_registered(store: ImageStore, scale: int) -> None:
    """The LQ is the HQ made small, nowhere turned or shifted against it."""
    for key in range(6):
        lq, hq = batch_of(store, recipe_of(degradation=CLEAN), scale, f"train/{key}", 2)
        small = F.interpolate(hq, size=(24, 24), mode="area")
        right = (lq - small).abs().mean()
        assert right < 0.02
        for turn in (1, 2, 3):
            assert right < 0.5 * (lq - small.rot90(turn, (2, 3))).abs().mean()


def test_photos_are_turned_and_faces_are_not(store: ImageStore) -> None:
    """A square crop of everything: turned, it is the same picture lying on its side."""
    whole = ImageStore([[store.groups[0][0][:, :96, :96]]], [1.0])
    photo, face = (recipe_of(kind, CLEAN) for kind in ("f2n-compact", "face-restorer"))
    upright = whole.groups[0][0].float() / 255
    seen = set()
    for key in range(12):
        turned, straight = (batch_of(whole, r, 4, f"train/{key}", 1)[1][0] for r in (photo, face))
        mirrors = (upright, upright.flip(2))
        assert any(torch.allclose(straight, m, atol=1e-3) for m in mirrors)
        seen |= {
            turn
            for turn in range(4)
            if any(torch.allclose(turned, m.rot90(turn, (1, 2)), atol=1e-3) for m in mirrors)
        }
    assert seen == {0, 1, 2, 3}


def test_training_can_start_from_weights(workplace: Path) -> None:
    config = {"features": 4, "blocks": 1, "scales": [1, 2]}
    torch.manual_seed(5)
    start = CompactF2N(**config)
    torch.nn.init.normal_(start.tails["2"].weight, std=0.01)
    save_network(workplace / "start.safetensors", "f2n-compact", config, start.state_dict())
    overrides = [f'init="{workplace}/start.safetensors"', "steps=1", "learning_rate=1e-9"]
    recipe = load_recipe(workplace / "restorer.toml", RestorerRecipe, overrides)
    tensors, metadata = load_tensors(train(recipe, workplace / "run", device="cpu")[0])
    assert metadata["steps"] == "1"
    for name, tensor in start.state_dict().items():
        torch.testing.assert_close(tensors[name], tensor, atol=2e-3, rtol=1e-3)


# What a recipe's switches do.

FEATURES = ("perceptual_weight=1", "style_weight=1", 'features="filters"')


def tiny(workplace: Path, *overrides: str) -> RestorerRecipe:
    small = ("scales=[1]", "crop=32", "discriminator_width=4", "warm_up=0", "steps=2")
    return load_recipe(workplace / "restorer.toml", RestorerRecipe, [*small, *overrides])


def losses_of(recipe: RestorerRecipe) -> RestorerLosses:
    torch.manual_seed(0)
    wanted = recipe.perceptual_weight or recipe.style_weight or recipe.energy_weight
    phi = make_features(recipe.features) if wanted else None
    return RestorerLosses(recipe, phi, lambda net, lq, _: net(lq))


def fixed_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hq = F.interpolate(torch.rand((2, 3, 9, 9), generator=generator), 32, mode="bicubic")
    return F.avg_pool2d(hq, 3, 1, 1).clamp(0, 1), hq.clamp(0, 1)


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ((), {"pixel"}),
        (("gradient_weight=0.5",), {"pixel", "gradient"}),
        (("pixel_weight=0", "psnr_weight=0.05"), {"psnr"}),
        (FEATURES, {"pixel", "perceptual", "style"}),
        (("perceptual_weight=1", 'features="filters"'), {"pixel", "perceptual"}),
        (("energy_weight=1", 'features="filters"'), {"pixel", "energy"}),
        (("adversarial_weight=0.1",), {"pixel", "adversarial"}),
        (("pixel_weight=0", *FEATURES), {"perceptual", "style"}),
    ],
)
def test_terms_are_those_that_weigh(workplace: Path, overrides: tuple, names: set[str]) -> None:
    losses = losses_of(tiny(workplace, *overrides))
    lq, hq = fixed_batch()
    terms = losses.restorer(nn.Conv2d(3, 3, 3, padding=1), lq, hq, hq, 1, 0)
    assert set(terms) == names
    assert all(value.ndim == 0 and value > 0 for value in terms.values())
    assert (losses.discriminator is None) == ("adversarial" not in names)


INSTANCE = ('discriminator="patch"', 'discriminator_norm="instance"')


def test_the_discriminator_learns_by_its_own_rate(workplace: Path) -> None:
    overrides = ("adversarial_weight=0.1", 'optimizer="muon"', "discriminator_rate=1e-3", *INSTANCE)
    recipe = tiny(workplace, *overrides)
    restorer, judge = restorer_course(recipe, make_accelerator("fp32", device="cpu")).players
    assert (restorer.recipe.optimizer, restorer.recipe.learning_rate) == ("muon", 5e-4)
    assert (judge.recipe.optimizer, judge.recipe.learning_rate) == ("adam", 1e-3)
    normalised = [isinstance(each, nn.InstanceNorm2d) for each in judge.network.modules()]
    assert sum(normalised) == 3
    assert train(recipe, workplace / "run", device="cpu")[0].is_file()


def test_without_a_rate_the_discriminator_is_optimised_as_the_restorer(workplace: Path) -> None:
    recipe = tiny(workplace, "adversarial_weight=0.1", 'optimizer="muon"')
    restorer, judge = restorer_course(recipe, make_accelerator("fp32", device="cpu")).players
    assert judge.recipe == restorer.recipe


def test_only_a_patch_discriminator_normalises_features(workplace: Path) -> None:
    with pytest.raises(RecipeError, match="only a patch discriminator"):
        tiny(workplace, "adversarial_weight=0.1", INSTANCE[1])


def test_the_lattice_is_that_of_the_scale(workplace: Path) -> None:
    losses = losses_of(tiny(workplace, "lattice_weight=1"))
    lq, hq = fixed_batch()
    net = nn.Conv2d(3, 3, 3, padding=1)
    for scale in (1, 2):
        term = losses.restorer(net, lq, hq, hq, scale, 0)["lattice"]
        torch.testing.assert_close(term, lattice(net(lq), hq, scale))


def test_the_discriminator_sees_the_hq_and_the_pixels_the_target(workplace: Path) -> None:
    losses = losses_of(tiny(workplace, "adversarial_weight=1"))
    lq, hq = fixed_batch()
    net = nn.Conv2d(3, 3, 3, padding=1)
    terms = losses.restorer(net, lq, hq, hq * 0.5, 1, 3)
    torch.testing.assert_close(terms["pixel"], (net(lq) - hq * 0.5).abs().mean())
    seen: list[torch.Tensor] = []

    def look(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return images.mean(1, keepdim=True)

    losses.judge(look, 0)  # pyright: ignore[reportArgumentType]
    torch.testing.assert_close(seen[0], shifted(torch.cat([hq, net(lq)]), 3))


@pytest.mark.parametrize("discriminator", ["unet", "patch"])
@pytest.mark.parametrize("kind", get_args(Kind))
def test_each_side_moves_its_own_network(workplace: Path, discriminator: str, kind: str) -> None:
    recipe = tiny(
        workplace,
        *("adversarial_weight=1", f'adversarial="{kind}"', f'discriminator="{discriminator}"'),
        *FEATURES,
    )
    losses = losses_of(recipe)
    judge = losses.discriminator
    assert judge is not None
    lq, hq = fixed_batch()
    net = nn.Conv2d(3, 3, 3, padding=1)
    torch.stack(list(losses.restorer(net, lq, hq, hq, 1, 0).values())).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    assert all(p.grad is None and p.requires_grad for p in judge.parameters())
    net.zero_grad(set_to_none=True)
    terms = losses.judge(judge, 0)
    assert set(terms) == {"discriminator"}
    terms["discriminator"].backward()
    assert all(p.grad is None for p in net.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in judge.parameters())


@pytest.mark.parametrize(
    "overrides",
    [
        ("gradient_weight=1",),
        FEATURES,
        *((f'adversarial="{kind}"', "adversarial_weight=0.05") for kind in get_args(Kind)),
        ('discriminator="patch"', "adversarial_weight=0.05"),
    ],
)
def test_losses_fall_on_a_fixed_batch(workplace: Path, overrides: tuple) -> None:
    """With every switch the restorer nears the target; its opponent does not keep it from that."""
    losses = losses_of(tiny(workplace, *overrides))
    lq, hq = fixed_batch()
    net = nn.Conv2d(3, 3, 3, padding=1)
    sides = [torch.optim.Adam(net.parameters(), 0.05)]
    if losses.discriminator is not None:
        sides.append(torch.optim.Adam(losses.discriminator.parameters(), 1e-3))
    seen: list[dict[str, float]] = []
    for step in range(20):
        own = [losses.restorer(net, lq, hq, hq, 1, 0)]
        for side, optimizer in enumerate(sides):
            terms = losses.judge(losses.discriminator, step) if side else own[0]  # pyright: ignore[reportArgumentType]
            optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
            optimizer.step()
        seen.append({name: value.item() for name, value in own[0].items()})
    for name in set(seen[0]) - {"adversarial"}:
        assert seen[-1][name] < 0.5 * seen[0][name], name


@pytest.mark.parametrize(
    ("overrides", "terms"),
    [
        ((*FEATURES, "gradient_weight=0.1"), {"pixel", "perceptual", "style", "gradient"}),
        (
            ("adversarial_weight=0.1", 'adversarial="relativistic"', 'discriminator="patch"'),
            {"pixel", "adversarial", "discriminator"},
        ),
        (("usm_targets=true", "queue=2", "lq_noise=0.5"), {"pixel"}),
    ],
)
def test_a_run_with_the_switches_logs_their_terms(
    workplace: Path, overrides: tuple, terms: set[str]
) -> None:
    told: list[str] = []
    recipe = tiny(workplace, *overrides)
    train(recipe, workplace / "run", device="cpu", say=told.append)
    row = read_manifest(workplace / "run" / "log.jsonl")[-1]
    assert set(row) == {"step", "seconds", "lr"} | terms
    assert bool(told) == ("perceptual" in terms)
    events = EventAccumulator(str(workplace / "run" / "tensorboard")).Reload()
    assert terms <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["samples"]


def test_a_pool_is_a_source_of_lqs(workplace: Path) -> None:
    redegnet = save_redegnet(workplace / "redegnet.safetensors")
    pool = save_pool(workplace / "pool.npz", redegnet, scale=1)
    made = []
    for name, extra in {
        "with": (f'pool="{pool}"', f'redegnet="{redegnet}"'),
        "without": (),
    }.items():
        weights = train(tiny(workplace, *extra), workplace / name, device="cpu")[0]
        tensors, metadata = load_tensors(weights)
        assert str(pool) not in metadata["recipe"]
        made.append(tensors)
    assert any(not torch.equal(made[0][name], made[1][name]) for name in made[0])


def test_two_players_and_a_queue_are_resumed_bit_for_bit(workplace: Path) -> None:
    recipe = tiny(workplace, "adversarial_weight=0.1", "queue=4", "steps=8", "save_every=3")
    whole, _ = load_tensors(train(recipe, workplace / "whole", device="cpu")[0])

    class Stopped(Exception):
        """The power went."""

    def stop(done: int, total: int, text: str = "") -> None:
        if total == 1000 and done >= 600 and text:
            raise Stopped

    with pytest.raises(Stopped):
        train(recipe, workplace / "cut", device="cpu", progress=stop)
    again, _ = load_tensors(train(recipe, workplace / "cut", device="cpu")[0])
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    states = [
        torch.load(workplace / name / "state.pt", weights_only=True) for name in ("whole", "cut")
    ]
    for key in ("networks", "optimizers", "averages", "keepers", "smooth"):
        torch.testing.assert_close(states[0][key], states[1][key], atol=0, rtol=0)


def test_estimated_pools_take_the_place_of_the_degradation(workplace: Path) -> None:
    kernels, noise = save_pools(workplace)
    told = tiny(
        workplace, f"kernels={kernels}", f"noise={noise}", "jpeg=30", "scales=[2]", "crop=16"
    )
    records = [told.degraders()[2].draw(seed) for seed in range(20)]
    assert {record["degrader"] for record in records} == {"kernel-noise"}
    assert {record["jpeg"]["quality"] for record in records if record["jpeg"]} == {30.0}
    weights = train(told, workplace / "run", device="cpu")[0]
    _, metadata = load_tensors(weights)
    assert str(kernels) not in metadata["recipe"]
    with pytest.raises(RedegError, match="'noise': pools of kernels and of noise belong together"):
        tiny(workplace, f"kernels={kernels}")
    with pytest.raises(RedegError, match="of scale 2, which serve scale 2 and 4, not 1"):
        train(
            tiny(workplace, f"kernels={kernels}", f"noise={noise}"), workplace / "b", device="cpu"
        )


def test_lpips_has_a_substitute_that_is_told(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redeg_cli.train.lpips.find_download", lambda _: None)
    told: list[str] = []
    recipe = tiny(workplace, "lpips_weight=0.5", "lpips=auto", "steps=1")
    train(recipe, workplace / "run", device="cpu", say=told.append)
    assert read_manifest(workplace / "run" / "log.jsonl")[-1]["lpips"] > 0
    assert len(told) == 1
    assert "in its place the distance of fixed filters" in told[0]
    assert "redeg models download alexnet" in told[0]
    with pytest.raises(RedegError, match="no weights of AlexNet"):
        train(tiny(workplace, "lpips_weight=0.5"), workplace / "b", device="cpu")


def test_lpips_is_a_term_of_its_own(workplace: Path) -> None:
    torch.manual_seed(0)
    state = {f"features.{name}": x for name, x in alexnet().features.state_dict().items()}
    torch.save(state, workplace / "alexnet.pth")
    extra = ("lpips_weight=0.5", f"alexnet={workplace}/alexnet.pth", "crop=32", "scales=[1]")
    told: list[str] = []
    recipe = tiny(workplace, *extra, "steps=1")
    train(recipe, workplace / "run", device="cpu", say=told.append)
    row = read_manifest(workplace / "run" / "log.jsonl")[-1]
    assert row["lpips"] > 0
    assert told == [f"LPIPS: AlexNet of {workplace / 'alexnet.pth'}"]
