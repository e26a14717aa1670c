"""A command runner, a tiny restorer whose answer is known, and a folder to synthesize in."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from degraded import draw, save_pool, save_redegnet
from typer.testing import CliRunner

from redeg_cli.cli.app import app
from redeg_cli.models import save_network
from redeg_cli.nets.compact import CompactF2N

TINY = {"features": 4, "blocks": 1, "scales": [1, 2]}


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
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with tiny.safetensors, pool.npz (scale 2) and hq/ (three images)."""
    save_pool(tmp_path / "pool.npz", save_redegnet(tmp_path / "tiny.safetensors"))
    draw(tmp_path / "hq" / "a.png")
    draw(tmp_path / "hq" / "deep" / "ñ b.png", (50, 41))
    draw(tmp_path / "hq" / "z.jpg", (70, 32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(redeg: Callable, work: Path) -> Callable:
    """Run with the pool: ``run(out, *more)`` degrades hq/ into out."""
    del work

    def go(out: str, *more: object, hq: str = "hq"):
        options = ("--pool", "pool.npz", "--redegnet", "tiny.safetensors", "--device", "cpu")
        return redeg("synthesize", hq, "-o", out, *options, *more)

    return go
