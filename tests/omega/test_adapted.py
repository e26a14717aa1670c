"""A photo's degradation on disk: small, the same bit for bit, and of one ReDegNet only."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from degraded import save_redegnet
from torch import Tensor

from redeg_cli.errors import ModelError
from redeg_cli.io.checkpoints import load_tensors, save_tensors
from redeg_cli.models import load_network, model_fingerprint
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.adapt import Adapted, FittedRegion, adapt
from redeg_cli.omega.adapted import adapted_digest, load_adapted, save_adapted
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool
from redeg_cli.omega.synthesis import JpegStage, Stages
from redeg_cli.omega.tone import Tone

CPU = torch.device("cpu")
CURVE = (-0.05, 0.1, 0.24, 0.4, 0.55, 0.7, 0.84, 0.95)
TONE = Tone((CURVE, CURVE, CURVE), ((0.0, 0.1, 0.0), (0.0, 0.0, 0.05), (0.1, 0.0, 0.0)))
LATTICE = Lattice(((0.123456789012345, 0.1), (0.1, -1 / 3)))


def stages(quality: float = 73.0) -> Stages:
    off = JpegStage(torch.tensor([False]), torch.tensor([90.0]), torch.tensor([False]))
    return off, JpegStage(torch.tensor([True]), torch.tensor([quality]), torch.tensor([True]))


def fitted(net: ReDegNetLite, lattice: Lattice | None = LATTICE, tone: Tone | None = TONE):
    generator = torch.Generator().manual_seed(0)
    hq = torch.rand((1, 3, 96, 96), generator=generator)
    lq = 0.8 * torch.nn.functional.avg_pool2d(hq, 5, 1, 2)
    region = FittedRegion(hq, lq, (0, 0), (0, 80))
    omega = torch.randn((1, 512), generator=generator)
    return adapt(net, omega, [region], lattice, CPU, tone=tone, steps=26, batch=1, scale=1)


@pytest.fixture
def redegnet(tmp_path: Path) -> Path:
    return save_redegnet(tmp_path / "tiny.safetensors")


@pytest.fixture
def net(redegnet: Path) -> ReDegNetLite:
    loaded = load_network(redegnet)
    assert isinstance(loaded, ReDegNetLite)
    return loaded


def degrader_of(adapted: Adapted, scale: int = 2) -> OmegaDegrader:
    pool = Pool(adapted.omega.numpy(), ("adapted",), torch.tensor([2]).numpy(), "tiny", "0")
    return OmegaDegrader(
        adapted.net,
        pool,
        scale,
        lattice=adapted.lattice,
        stages=stages(),
        tone=adapted.tone,
    )


@pytest.mark.parametrize("lattice", [None, LATTICE])
@pytest.mark.parametrize("tone", [None, TONE])
def test_what_is_read_makes_the_very_same_images(
    tmp_path: Path,
    redegnet: Path,
    net: ReDegNetLite,
    picture: Tensor,
    lattice: Lattice | None,
    tone: Tone | None,
) -> None:
    adapted = fitted(net, lattice, tone)
    assert adapted.kept > 0
    path = tmp_path / "photo_adapted.safetensors"
    save_adapted(path, adapted, stages(), 2, redegnet, "photo.jpg")
    read = load_adapted(path, redegnet=redegnet)
    assert (read.lattice, read.tone, read.scale) == (lattice, tone, 2)
    assert read.pool.names == ("photo.jpg",)
    record = read.draw(5)
    before = degrader_of(adapted).apply_large(picture, record, CPU)
    assert torch.equal(read.apply_large(picture, record, CPU), before)
    # They are not those of the network that was given.
    plain = OmegaDegrader(net, read.pool, 2, stages=stages()).apply_large(picture, record, CPU)
    assert not torch.equal(plain, before)


def test_the_file_holds_differences_of_what_was_fitted(
    tmp_path: Path, redegnet: Path, net: ReDegNetLite
) -> None:
    adapted = fitted(net)
    path = tmp_path / "a.safetensors"
    save_adapted(path, adapted, stages(), 2, redegnet)
    tensors, metadata = load_tensors(path)
    assert metadata["fingerprint"] == model_fingerprint(redegnet)
    assert tensors.pop("omega").shape == (1, 512)
    assert not [name for name in tensors if "degnet" in name or "style" in name]
    size = path.stat().st_size
    numbers = sum(tensor.numel() for tensor in tensors.values())
    assert size < 2 * numbers + 4 * 512 + 8000
    # Saved again it is the same file.
    again = tmp_path / "b.safetensors"
    save_adapted(again, adapted, stages(), 2, redegnet)
    assert adapted_digest(again) == adapted_digest(path)
    other = replace(adapted, omega=adapted.omega + 1)
    save_adapted(again, other, stages(), 2, redegnet)
    assert adapted_digest(again) != adapted_digest(path)


def test_another_redegnet_is_refused(tmp_path: Path, redegnet: Path, net: ReDegNetLite) -> None:
    path = tmp_path / "a.safetensors"
    save_adapted(path, fitted(net), stages(), 2, redegnet)
    other = save_redegnet(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(ModelError, match=r"adapted from tiny .* not from other") as caught:
        load_adapted(path, redegnet=other)
    assert "\n" not in str(caught.value)
    assert "--redegnet" in str(caught.value)


def test_other_and_damaged_files_are_refused(
    tmp_path: Path, redegnet: Path, net: ReDegNetLite
) -> None:
    with pytest.raises(ModelError, match="no photo's degradation"):
        load_adapted(redegnet)
    with pytest.raises(ModelError, match="does not exist"):
        load_adapted(tmp_path / "none.safetensors")
    path = tmp_path / "a.safetensors"
    save_adapted(path, fitted(net), stages(), 2, redegnet)
    tensors, metadata = load_tensors(path)
    facts = json.loads(metadata["facts"])
    cases = (
        (tensors, {**metadata, "format": "2"}, "format 2"),
        (tensors, {**metadata, "facts": "{"}, "damaged"),
        (tensors, {**metadata, "facts": json.dumps({**facts, "lattice": [[1]]})}, "damaged"),
        (tensors, {**metadata, "facts": json.dumps({**facts, "stages": []})}, "damaged"),
        ({"omega": tensors["omega"], "x": torch.ones(2)}, metadata, "has no place"),
        ({k: v for k, v in tensors.items() if k != "omega"}, metadata, "damaged"),
    )
    for content, header, message in cases:
        save_tensors(path, content, header)
        with pytest.raises(ModelError, match=message) as caught:
            load_adapted(path, redegnet=redegnet)
        assert "\n" not in str(caught.value)


def test_a_large_image_is_coherent_in_tiles(
    tmp_path: Path, redegnet: Path, net: ReDegNetLite, picture: Tensor
) -> None:
    path = tmp_path / "a.safetensors"
    save_adapted(path, fitted(net), stages(100), 2, redegnet)
    degrader = load_adapted(path, redegnet=redegnet)
    hq = torch.nn.functional.interpolate(picture, size=(152, 264), mode="bilinear")
    first, second = (degrader.draw(seed) for seed in (0, 1))
    whole = degrader.apply_large(hq, first, CPU, tile=512)
    cut = degrader.apply_large(hq, first, CPU, tile=128)
    assert (whole - cut).abs().mean() < 1e-3
    other = degrader.apply_large(hq, second, CPU)
    assert (whole - other).abs().mean() > 5 * (whole - cut).abs().mean()
