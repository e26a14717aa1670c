"""A command runner, a tiny restorer whose answer is known, a folder to synthesize in, and a photo
to fine-tune on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import skimage.data
import torch
from degraded import draw, save_pool, save_redegnet
from PIL import Image
from tiny_models import COMPACT, FACE, REDEGNET
from typer.testing import CliRunner

from redeg_cli.cli import messages
from redeg_cli.cli.app import app
from redeg_cli.finetune import album as album_module
from redeg_cli.finetune import summary as summary_module
from redeg_cli.models import save_network
from redeg_cli.nets.compact import CompactF2N
from redeg_cli.nets.face import FaceUNet
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.adapt import adapt

TINY = {"features": 4, "blocks": 1, "scales": [1, 2]}


@pytest.fixture(autouse=True)
def _nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command line asked for is that of the process: it ends with the test."""
    monkeypatch.setattr(messages, "_asked", messages._Asked())


@pytest.fixture
def redeg(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run ``redeg`` with these arguments; the result has exit_code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "200")  # usage errors are boxed: keep them on one line
    monkeypatch.delenv("REDEG_DEBUG", raising=False)

    def run(*arguments: object):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compact restorer for x1 and x2 whose last layer is zero: it enlarges by bicubic."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_network(path, "f2n-compact", TINY, CompactF2N(**TINY).state_dict())
    return path


@pytest.fixture
def restore(redeg: Callable, tiny_model: Path) -> Callable:
    """Restore with the tiny model: ``restore(photo, "-o", out)``."""
    return lambda *arguments: redeg("restore", *arguments, "--model", tiny_model, "--device", "cpu")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with tiny.safetensors, pool.npz (scale 2) and hq/ (three images), two
    threads at work."""
    torch.set_num_threads(2)
    save_pool(tmp_path / "pool.npz", save_redegnet(tmp_path / "tiny.safetensors"))
    draw(tmp_path / "hq" / "a.png")
    draw(tmp_path / "hq" / "deep" / "ñ b.png", (50, 41))
    draw(tmp_path / "hq" / "z.jpg", (70, 32))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    torch.set_num_threads(1)


@pytest.fixture
def run(redeg: Callable, work: Path) -> Callable:
    """Run with the pool: ``run(out, *more)`` degrades hq/ into out."""
    del work

    def go(out: str, *more: object, hq: str = "hq"):
        options = ("--pool", "pool.npz", "--redegnet", "tiny.safetensors", "--device", "cpu")
        return redeg("synthesize", hq, "-o", out, *options, *more)

    return go


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps of adaptation, and the fine-tuned restorer is always chosen."""

    def quick(*arguments: Any, **options: Any) -> Any:
        return adapt(*arguments, **{**options, "steps": 2})

    monkeypatch.setattr(album_module, "adapt", quick)
    monkeypatch.setattr(summary_module, "MARGIN", -100.0)
    monkeypatch.setattr(summary_module, "SMOOTH_MARGIN", -100.0)


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
