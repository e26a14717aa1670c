"""What a run starts from: new weights, or those of a file that must fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import COMPACT, FACE, RRDB

from redeg_cli.errors import ModelError, RecipeError
from redeg_cli.models import save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.nets.face import FaceUNet
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.train.networks import start_network
from redeg_cli.train.recipes import ReDegNetRecipe, RestorerRecipe


def recipe_of(architecture: str, config: dict[str, Any], **more: Any) -> RestorerRecipe:
    return RestorerRecipe.model_validate(
        {
            "kind": "restorer",
            "name": "tiny",
            "architecture": architecture,
            "config": config,
            "scales": [1],
            "data": [{"folder": "pictures"}],
            **more,
        }
    )


@pytest.mark.parametrize(
    ("architecture", "config", "kind"),
    [("f2n-compact", COMPACT, CompactF2N), ("face-restorer", FACE, FaceUNet)],
)
def test_a_run_starts_from_given_weights(
    tmp_path: Path, architecture: str, config: dict[str, Any], kind: Any
) -> None:
    torch.manual_seed(3)
    given = kind(**config)
    save_network(tmp_path / "a.safetensors", architecture, config, given.state_dict())
    init = str(tmp_path / "a.safetensors")
    network = start_network(recipe_of(architecture, config, init=init))
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    for name, tensor in given.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)


def test_a_body_of_one_grid_is_given_coarser_ones(tmp_path: Path) -> None:
    torch.manual_seed(3)
    given = CompactF2N(**COMPACT)
    save_network(tmp_path / "a.safetensors", "f2n-compact", COMPACT, given.state_dict())
    wider = {**COMPACT, "context": [4, 6]}
    init = str(tmp_path / "a.safetensors")
    network = start_network(recipe_of("f2n-compact", wider, init=init))
    lq = torch.rand(1, 3, 12, 16)
    torch.testing.assert_close(network(lq, 1), given(lq, 1))


def test_without_any_the_seed_of_torch_decides() -> None:
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(start_network(recipe_of("f2n-compact", COMPACT)).state_dict()["head.weight"])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = {**COMPACT, "features": 6}
    save_network(tmp_path / "a.safetensors", "f2n-compact", other, CompactF2N(**other).state_dict())
    init = str(tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"a\.safetensors: .* wanted"):
        start_network(recipe_of("f2n-compact", COMPACT, init=init))
    with pytest.raises(ModelError, match=r"a\.safetensors: "):
        start_network(recipe_of("face-restorer", FACE, init=init))


def test_a_community_network_needs_its_checkpoint() -> None:
    with pytest.raises(RecipeError, match="needs a checkpoint"):
        start_network(recipe_of("spandrel", {}))


def test_weights_of_another_value_range_are_refused(tmp_path: Path) -> None:
    given = CompactF2N(**COMPACT)
    path = tmp_path / "a.safetensors"
    notes = {"value_range": "-1,1"}
    save_network(path, "f2n-compact", COMPACT, given.state_dict(), notes=notes)
    with pytest.raises(RecipeError, match=r"works in \[-1, 1\], training in \[0, 1\]"):
        start_network(recipe_of("f2n-compact", COMPACT, init=str(path)))


def test_a_synnet_is_given_a_strength_of_the_grain_that_changes_nothing(tmp_path: Path) -> None:
    degnet, synnet = {"widths": [8]}, {"widths": [8], "style": 8, "kernel": 5, "grain_kernel": 5}
    torch.manual_seed(3)
    given = ReDegNetLite(degnet, synnet)
    path = tmp_path / "a.safetensors"
    save_network(path, "redegnet-lite", {"degnet": degnet, "synnet": synnet}, given.state_dict())
    recipe = ReDegNetRecipe.model_validate(
        {
            **{"kind": "redegnet", "name": "tiny", "init": str(path)},
            "config": {"degnet": degnet, "synnet": {**synnet, "strength": 4}},
            "data": [{"folder": "pictures"}],
        }
    )
    started = start_network(recipe)
    assert isinstance(started, ReDegNetLite)
    hq, omega, noise = torch.rand(1, 3, 32, 32), torch.randn(1, 512), torch.randn(1, 3, 32, 32)
    before, after = given(hq, omega, noise), started(hq, omega, noise)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other)
    assert started.synnet.strength is not None
    torch.nn.init.constant_(started.synnet.strength[-1].bias, 0.5)  # pyright: ignore
    stronger = started(hq, omega, noise).grain
    torch.testing.assert_close(stronger, before.grain * torch.tensor(0.5).exp())


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (recipe_of("face-restorer", FACE, crop=99), "takes multiples of 4, got 99"),
        (
            recipe_of("f2n", {**RRDB, "scale": 2}, scales=[2], crop=49),
            "takes multiples of 2, got 49",
        ),
        (
            recipe_of("f2n-compact", COMPACT, crop=8, discriminator="patch", adversarial_weight=1),
            "HQs of at least 24 px, got 8",
        ),
    ],
)
def test_a_crop_that_a_network_cannot_take(recipe: RestorerRecipe, message: str) -> None:
    with pytest.raises(RecipeError, match=f"'crop': .*{message}"):
        start_network(recipe)
