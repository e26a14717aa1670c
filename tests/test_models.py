"""Names, files and wrappers: what is loaded, what is refused, and in which range it runs."""

import hashlib
import json
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact
from tiny_models import RRDB, save_rrdb, tiny_rrdb
from torch import nn
from typer.testing import CliRunner

from redeg_cli import imports, models
from redeg_cli.cli.app import app
from redeg_cli.errors import ModelError
from redeg_cli.nets.community import CommunityNetwork, face_run, load_community
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.nets.rrdb import RRDBNet, infer_config
from redeg_cli.nets.wrap import FaceRestorer, pad_to

pytestmark = pytest.mark.usefixtures("folders")


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_rrdb_is_the_one_of_the_community(scale: int) -> None:
    """spandrel's own ESRGAN, given our weights, is the reference at every scale."""
    net = tiny_rrdb(scale)
    state = net.state_dict()
    assert infer_config(state) == {"scale": scale, **RRDB}
    community = load_community("test", state, "cpu")
    assert (community.architecture.id, community.scale) == ("ESRGAN", scale)
    image = torch.rand(1, 3, 12, 16)
    with torch.no_grad():
        wanted = community.model(image)
        assert wanted.std() > 0.01
        assert torch.allclose(net(image), wanted, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 3), (8, 12)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_restorer_takes_any_size(folders: SimpleNamespace, scale: int, size: tuple) -> None:
    net = tiny_rrdb(scale)
    save_rrdb(folders.user / "mine.safetensors", net)
    restorer = models.load_restorer("mine", scale)
    image = torch.rand(2, 3, *size)
    output = restorer(image)
    assert output.shape == (2, 3, size[0] * scale, size[1] * scale)
    assert output.dtype == torch.float32
    assert 0 <= output.min() <= output.max() <= 1
    if size == (8, 12):
        with torch.no_grad():
            assert torch.allclose(output, net(image).clamp(0, 1), atol=1e-4)


def test_compact_does_every_scale_it_was_made_for(folders: SimpleNamespace) -> None:
    config = {"features": 8, "blocks": 1, "scales": [1, 2, 4]}
    net = CompactF2N(**config)
    nn.init.normal_(net.tails["2"].weight, std=0.05)
    path = folders.embedded / "f2n-compact.safetensors"
    models.save_network(path, "f2n-compact", config, net.state_dict(), half=True)
    image = torch.rand(1, 3, 7, 5)
    for scale in (1, 2, 4):
        assert models.load_restorer("f2n-compact", scale)(image).shape[-2:] == (
            7 * scale,
            5 * scale,
        )
    with torch.no_grad():
        wanted = net(image, 2).clamp(0, 1)
    assert torch.allclose(models.load_restorer(path, 2)(image), wanted, atol=2e-3)  # half floats
    assert models.load_restorer("f2n-compact").scale == 4
    with pytest.raises(ModelError, match="f2n-compact restores at x1, x2, x4, x3 was asked for"):
        models.load_restorer("f2n-compact", 3)


@pytest.mark.parametrize("channels", [3, 1])
def test_community_checkpoint_through_spandrel(tmp_path: Path, channels: int) -> None:
    net = Compact(num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=2).eval()
    path = tmp_path / "realesr-tiny.pth"
    torch.save({"params": net.state_dict()}, path)
    restorer = models.load_restorer(path, 2)
    assert (restorer.name, restorer.scale, restorer.architecture) == (
        path.name,
        2,
        "RealESRGAN Compact",
    )
    assert restorer.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    image = torch.rand(2, 3, 6, 5)
    with torch.no_grad():
        planes = image if channels == 3 else image.reshape(6, 1, 6, 5)
        wanted = net(planes).reshape(2, 3, 12, 10).clamp(0, 1)
    assert wanted.std() > 0.05
    assert torch.allclose(restorer(image), wanted, atol=1e-5)
    assert models.load_restorer(path).scale == 2
    with pytest.raises(ModelError, match=r"realesr-tiny\.pth restores at x2, x4 was asked for"):
        models.load_restorer(path, 4)
    with pytest.raises(ModelError, match="does not restore aligned faces"):
        models.load_face_restorer(path)


class Attack:
    """What an attacker puts into a .pth: a call made while it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", ["evil.pth", "net_f2n_g.pth", "evil.safetensors", "evil.ckpt"])
def test_a_pickle_with_code_is_refused(tmp_path: Path, name: str) -> None:
    marker = tmp_path / "was-run"
    torch.save({"params": tiny_rrdb().state_dict(), "extra": Attack(marker)}, tmp_path / name)
    for load in (
        models.load_restorer,
        models.load_face_restorer,
        models.load_redegnet,
        imports.import_path,
    ):
        with pytest.raises(ModelError, match="holds Python objects") as caught:
            load(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Attack(marker)))
    assert marker.exists(), "the attack itself must work, or this test shows nothing"


def test_refused_files_are_named(tmp_path: Path, folders: SimpleNamespace) -> None:
    lost = tmp_path / "lost.pth"
    with pytest.raises(ModelError, match=r"lost\.pth: no such weights file"):
        models.load_restorer(lost, 4)
    save_rrdb(folders.user / "mine.safetensors", tiny_rrdb())
    with pytest.raises(ModelError, match=r"no model is called 'main' \(there are: mine\)"):
        models.load_restorer("main", 4)
    with pytest.raises(ModelError, match="not here yet: run `redeg models download gfpgan`"):
        models.load_face_restorer("gfpgan")
    with pytest.raises(ModelError, match=r"CodeFormer are not here yet.*download codeformer"):
        models.load_face_restorer("CodeFormer")
    with pytest.raises(ModelError, match="no model is called 'retinaface'"):
        models.load_face_restorer("retinaface")
    with pytest.raises(ModelError, match="holds a restorer model"):
        models.load_face_restorer("mine")
    with pytest.raises(ModelError, match="holds a restorer model"):
        models.load_redegnet("mine")
    odd = tmp_path / "odd.pth"
    torch.save({"linear.weight": torch.zeros(3, 3)}, odd)
    with pytest.raises(ModelError, match="no known network has this layout"):
        models.load_restorer(odd)
    with pytest.raises(ModelError, match="not a model of redeg"):
        models.load_network(odd)
    thin = RRDBNet(features=8, growth=4, blocks=1).state_dict()
    torch.save(thin, odd)
    with pytest.raises(ModelError, match=r"size mismatch for \S+conv1\.0\.weight") as caught:
        models.load_restorer(odd)
    assert "\n" not in str(caught.value)
    pointer = folders.user / "pointer.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelError, match="LFS"):
        models.load_restorer("pointer", 4)
    problems: list[str] = []
    assert [info.name for info in models.list_models(problems)] == ["mine"]
    assert len(problems) == 1
    assert "pointer.safetensors" in problems[0]


def test_weights_that_do_not_fit_name_the_first_tensor(tmp_path: Path) -> None:
    state = tiny_rrdb().state_dict()
    path = tmp_path / "a.safetensors"
    for change, message in (
        ({"conv_hr.weight": torch.zeros(8, 8, 1, 1)}, r"conv_hr.weight is \[8, 8, 1, 1\], wanted"),
        ({"extra": torch.zeros(1)}, "extra has no place in RRDBNet"),
    ):
        models.save_network(path, "f2n", {"scale": 4, **RRDB}, {**state, **change})
        with pytest.raises(ModelError, match=message):
            models.load_restorer(path, 4)
    del state["conv_last.bias"]
    models.save_network(path, "f2n", {"scale": 4, **RRDB}, state)
    with pytest.raises(ModelError, match=r"conv_last\.bias is missing"):
        models.load_restorer(path, 4)
    for config, message in (({"scale": 3}, "scale 1, 2 or 4"), ({"colour": 1}, "colour")):
        models.save_network(path, "f2n", config, state)
        with pytest.raises(ModelError, match=message):
            models.load_restorer(path, 4)


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("f2n", {"features": -3}),
        ("f2n", {"colour": True}),
        ("f2n-compact", {"features": "many"}),
        ("face-restorer", {"widths": []}),
    ],
)
def test_a_config_of_which_no_network_can_be_made_is_one_line(
    tmp_path: Path, architecture: str, config: dict
) -> None:
    models.save_network(tmp_path / "odd.safetensors", architecture, config, {"a": torch.zeros(1)})
    is_face = architecture == "face-restorer"
    load = models.load_face_restorer if is_face else models.load_restorer
    with pytest.raises(ModelError, match=f"{architecture} cannot be built from this config"):
        load(tmp_path / "odd.safetensors")


def test_face_restorers(folders: SimpleNamespace) -> None:
    config = {"fold": 2, "widths": [4, 8], "blocks": [1, 1]}
    net = models.build("face-restorer", config).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    path = folders.embedded / "face-restorer.safetensors"
    models.save_network(path, "face-restorer", config, net.state_dict())
    restorer = models.load_face_restorer("face-restorer")
    faces = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        once, mirrored = net(faces), net(faces.flip(3)).flip(3)
    assert not torch.allclose(once, mirrored, atol=1e-2)
    assert torch.allclose(restorer(faces), ((once + mirrored) / 2).clamp(0, 1), atol=1e-6)
    assert torch.allclose(restorer(faces.flip(3)).flip(3), restorer(faces), atol=1e-6)
    assert restorer(faces[..., :30, :29]).shape == (2, 3, 30, 29)
    with pytest.raises(ValueError, match=r"wanted float RGB \(B, 3, H, W\)"):
        restorer(faces[0])


def test_gfpgan_runs_in_its_own_range_without_fresh_noise() -> None:
    """spandrel passes [0, 1] on to GFPGAN, which is made for [-1, 1]: our wrapper does better."""
    seen: list[torch.Tensor] = []

    class Network(nn.Module):
        def forward(self, x: torch.Tensor, return_rgb: bool, randomize_noise: bool) -> Any:
            assert not return_rgb
            assert not randomize_noise
            seen.append(x)
            return x / 2, []

    fake: Any = SimpleNamespace(
        architecture=SimpleNamespace(id="GFPGAN", name="GFPGAN"),
        purpose="FaceSR",
        input_channels=3,
        output_channels=3,
        model=Network(),
    )
    run = face_run("x.pth", fake)
    wrapped = FaceRestorer(
        run, name="x", fingerprint="", architecture="GFPGAN", network=fake.model, size=512
    )
    faces = torch.rand(2, 3, 512, 512)
    assert torch.allclose(wrapped(faces), (faces - 0.5) / 2 + 0.5, atol=1e-6)
    assert seen[0].min() < -0.9
    assert wrapped(torch.full((1, 3, 64, 64), 0.75)).shape == (1, 3, 64, 64)
    assert seen[-1].shape == (1, 3, 512, 512)
    with pytest.raises(ModelError, match="restores aligned faces"):
        CommunityNetwork("x.pth", fake)


def test_codeformer_runs_in_its_own_range() -> None:
    """Its own inference script normalises with 0.5 and 0.5; spandrel_extra_arches does not."""
    seen: list[torch.Tensor] = []

    class Network(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            seen.append(x)
            return x / 2, None

    fake: Any = SimpleNamespace(
        architecture=SimpleNamespace(id="CodeFormer", name="CodeFormer"),
        purpose="FaceSR",
        input_channels=3,
        output_channels=3,
        model=Network(),
    )
    faces = torch.rand(2, 3, 32, 32)
    assert torch.allclose(face_run("x.pth", fake)(faces), (faces - 0.5) / 2 + 0.5, atol=1e-6)
    assert seen[0].min() < -0.9


def test_pad_to() -> None:
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert pad_to(image, 1) is image
    assert pad_to(image, 4)[0, 0, 0].tolist() == [0, 1, 2, 1]
    assert pad_to(image, 4)[0, 0, :, 0].tolist() == [0, 3, 3, 3]  # too small to mirror: repeated
    assert pad_to(image, 2, minimum=5).shape[-2:] == (6, 6)
    assert pad_to(image, 1, square=True).shape[-2:] == (3, 3)


def test_commands(tmp_path: Path, folders: SimpleNamespace) -> None:
    run = CliRunner().invoke
    empty = run(app, ["models", "list", "--json"])
    assert (empty.exit_code, json.loads(empty.stdout)) == (0, [])
    file = tmp_path / "net_f2n_g.pth"
    torch.save({"params": tiny_rrdb().state_dict()}, file)
    brought = run(app, ["models", "import", str(file)])
    target = folders.user / "f2n.safetensors"
    assert (brought.exit_code, brought.stdout.strip()) == (0, str(target))
    again = run(app, ["models", "import", str(file)])
    assert again.exit_code == 1
    assert again.stderr.startswith("error: ")
    assert len(again.stderr.splitlines()) == 1
    listed = run(app, ["models", "list"])
    assert listed.stdout.split()[:2] == ["f2n", "restorer"]
    info = json.loads(run(app, ["models", "info", "f2n", "--json"]).stdout)
    assert info["fingerprint"] == hashlib.sha256(target.read_bytes()).hexdigest()[:12]
    assert info["notes"]["value_range"] == "-1,1"
    assert "value_range: -1,1" in run(app, ["models", "info", "f2n"]).stdout
    lines = run(app, ["models", "info", "f2n"]).stdout.splitlines()
    assert "config:" in lines  # a table has its keys on lines of their own
    assert "  blocks: 1" in lines
    assert run(app, ["models", "import"]).exit_code == 2
    assert run(app, ["models", "import", str(file), "--f2n", str(file)]).exit_code == 2
    named = run(app, ["models", "import", "--f2n", str(file), "--name", "mine"])
    assert (named.exit_code, named.stdout.strip()) == (0, str(folders.user / "mine.safetensors"))
    folder = run(app, ["models", "import", "--f2n", str(tmp_path)])
    assert folder.stderr == f"error: {tmp_path}: a folder; give the net_f2n*.pth file itself\n"
    lacking = run(app, ["models", "import", "--redegnet", str(tmp_path)])
    assert lacking.exit_code == 1
    assert "no net_deg*.pth in it" in lacking.stderr


def test_what_a_file_is_nobody_knows_is_said(tmp_path: Path) -> None:
    file = tmp_path / "some.safetensors"
    save_file({"weight": torch.zeros(3)}, file)
    told = CliRunner().invoke(app, ["models", "info", str(file), "--json"])
    assert json.loads(told.stdout)["kind"] == "unknown"
    assert "no known network has this layout" in told.stderr


def test_the_layout_tells_what_a_file_is(tmp_path: Path) -> None:
    file = tmp_path / "some.pth"
    torch.save({"params": tiny_rrdb().state_dict()}, file)
    told = json.loads(CliRunner().invoke(app, ["models", "info", str(file), "--json"]).stdout)
    assert (told["kind"], told["architecture"]) == ("restorer", "ESRGAN")
