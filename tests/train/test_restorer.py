"""Batches of a restorer's training: sizes, seeds, eight bits, and pairs that stay registered."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.models import save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.train.data import ImageStore
from redeg_cli.train.pairs import PairMaker
from redeg_cli.train.recipes import RestorerRecipe, load_recipe
from redeg_cli.train.restorer import train_restorer

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
    tensors, metadata = load_tensors(train_restorer(recipe, workplace / "run", cpu=True))
    assert metadata["steps"] == "1"
    for name, tensor in start.state_dict().items():
        torch.testing.assert_close(tensors[name], tensor, atol=2e-3, rtol=1e-3)
