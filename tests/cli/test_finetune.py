"""``redeg finetune`` from end to end: a real face, the real detector, tiny networks."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from typer.testing import CliRunner

from redeg_cli.cli.app import app
from redeg_cli.finetune import photo as photo_module
from redeg_cli.models import load_restorer, save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.nets.face import FaceUNet
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.adapt import adapt
from redeg_cli.omega.pool import load_pool

COMPACT = {"features": 4, "blocks": 1, "scales": [1, 2]}
REDEGNET = {
    "degnet": {"widths": [4, 4]},
    "synnet": {"widths": [4, 4], "style": 8, "kernel": 5, "grain_kernel": 5},
}
FACE = {"widths": [4, 4], "blocks": [1, 1]}
FILES = {
    "old_restored.png",
    "before_after.png",
    "index.html",
    "pool.npz",
    "f2n-finetuned.safetensors",
    "summary.json",
}


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps of adaptation, and the fine-tuned restorer is always chosen."""

    def quick(*arguments: Any, **options: Any) -> Any:
        return adapt(*arguments, **{**options, "steps": 2})

    monkeypatch.setattr(photo_module, "adapt", quick)
    monkeypatch.setattr(photo_module, "MARGIN", -100.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A photo with a face, two sharp images, and the options that name the tiny networks."""
    folder = tmp_path_factory.mktemp("finetune")
    astronaut = skimage.data.astronaut()
    Image.fromarray(astronaut[30:226, 130:322]).save(folder / "old.png")
    Image.fromarray(astronaut[380:480, 10:110]).save(folder / "empty.png")
    (folder / "hq").mkdir()
    for index, top in enumerate((0, 256)):
        piece = astronaut[top : top + 128, 256:384]
        Image.fromarray(piece).save(folder / "hq" / f"{index}.png")
    torch.manual_seed(0)
    options: list[object] = ["--hq-dir", folder / "hq", "--device", "cpu", "--steps", 4]
    for option, architecture, config, network in (
        ("--model", "f2n-compact", COMPACT, CompactF2N(**COMPACT)),
        ("--redegnet", "redegnet-lite", REDEGNET, ReDegNetLite(**REDEGNET)),
        ("--face-restorer", "face-restorer", FACE, FaceUNet(**FACE)),
    ):
        path = folder / f"{architecture}.safetensors"
        save_network(path, architecture, config, network.state_dict())
        options += [option, path]
    return SimpleNamespace(folder=folder, photo=folder / "old.png", options=options)


@pytest.fixture
def finetune(place: SimpleNamespace, redeg: Callable) -> Callable:
    return lambda photo, *arguments: redeg("finetune", photo, *place.options, *arguments)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_photo_is_restored_and_the_same_again(
    finetune: Callable, place: SimpleNamespace, tmp_path: Path
) -> None:
    result = finetune(place.photo, "-o", tmp_path / "a", "--json", "--seed", 5)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    made = contents(tmp_path / "a")
    assert set(made) == FILES == set(told["files"].values())
    assert json.loads(made["summary.json"]) == {k: v for k, v in told.items() if k != "folder"}
    assert told["photo"] == "old.png"
    assert told["size"] == {"photo": [192, 196], "restored": [384, 392]}
    assert len(told["faces"]) == 1
    x0, y0, x1, y1 = told["faces"][0]["region"]
    # The face of this cut: eyes about (74, 72) and (118, 73), mouth at y = 113.
    assert x0 <= 74 < 118 <= x1
    assert y0 <= 72 < 113 <= y1
    assert told["chosen"] in ("omega", "adapted")
    assert told["seed"] == 5
    # Every finding is on stderr.
    assert "using face of" in result.stderr
    assert "chosen: fine-tuned" in result.stderr
    assert "192x196 px, to be restored at 384x392 px" in result.stderr

    photo = Image.open(place.photo).convert("RGB").resize((384, 392), Image.Resampling.BICUBIC)
    restored = Image.open(tmp_path / "a" / "old_restored.png").convert("RGB")
    assert np.abs(np.asarray(restored, float) - np.asarray(photo, float)).mean() < 12
    assert Image.open(tmp_path / "a" / "before_after.png").size == (2 * 384 + 8, 392 + 28)
    page = made["index.html"].decode()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page
    assert load_pool(tmp_path / "a" / "pool.npz").scale == 2
    weights = tmp_path / "a" / "f2n-finetuned.safetensors"
    assert load_restorer(weights, 2)(torch.rand(1, 3, 9, 7)).shape == (1, 3, 18, 14)

    # Nothing is replaced unless it is asked for, and then the same comes out.
    refused = finetune(place.photo, "-o", tmp_path / "a")
    assert refused.exit_code == 1
    assert "--overwrite" in str(refused.exception or refused.stderr)
    assert contents(tmp_path / "a") == made
    again = finetune(place.photo, "-o", tmp_path / "a", "--overwrite", "--seed", 5)
    assert again.exit_code == 0, again.stderr
    assert again.stdout.strip() == str(tmp_path / "a" / "old_restored.png")
    timed = {"summary.json", "index.html"}
    assert not [n for n in FILES - timed if contents(tmp_path / "a")[n] != made[n]]
