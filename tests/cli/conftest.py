"""A command runner and a tiny restorer whose answer is known."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
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
