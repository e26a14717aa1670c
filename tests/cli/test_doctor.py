"""``redeg doctor`` tells what is there and what is missing, whatever is broken."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from redeg_cli import __version__, models
from redeg_cli.cli import doctor as doctor_module


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An empty folder of embedded weights and an empty user folder."""
    embedded, user = tmp_path / "embedded", tmp_path / "user"
    embedded.mkdir()
    user.mkdir()
    monkeypatch.setattr(models, "embedded_folder", lambda: embedded)
    monkeypatch.setenv("REDEG_HOME", str(user))
    return embedded, user


@pytest.mark.usefixtures("folders")
def test_the_report_as_json(redeg: Callable) -> None:
    result = redeg("doctor", "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    told = json.loads(result.stdout)
    assert told["redeg"] == __version__
    assert told["packages"]["torch"] == torch.__version__.split("+")[0]
    assert told["compute"]["devices"][0]["name"] == "cpu"
    assert torch.device(told["compute"]["auto"]).type in ("cpu", "cuda", "mps")
    assert told["compute"]["precision"] in ("float32", "bfloat16")
    assert "f2n-compact" in told["models"]["missing_defaults"]
    assert {"redegnet", "f2n", "gfpgan", "retinaface"} <= {row["name"] for row in told["optional"]}


def test_the_report_as_text_names_what_is_missing(
    redeg: Callable, folders: tuple[Path, Path]
) -> None:
    embedded, user = folders
    result = redeg("doctor")
    assert result.exit_code == 0
    assert f"f2n-compact: MISSING from {embedded}" in result.stdout
    assert f"imported models go to {user}, writable" in result.stdout
    assert "redeg models import" in result.stdout
    assert "to get it: redeg models download retinaface (109 MB)" in result.stdout


def test_models_are_read_and_broken_ones_named(
    redeg: Callable, folders: tuple[Path, Path], tiny_model: Path
) -> None:
    embedded, user = folders
    (embedded / "f2n-compact.safetensors").write_bytes(tiny_model.read_bytes())
    (user / "mine.safetensors").write_bytes(tiny_model.read_bytes()[:-10])
    told = json.loads(redeg("doctor", "--json").stdout)
    rows = {row["name"]: row for row in told["models"]["found"]}
    assert rows["f2n-compact"]["problem"] is None
    assert rows["f2n-compact"]["kind"] == "restorer"
    assert rows["mine"]["source"] == "imported"
    assert rows["mine"]["problem"]
    assert "f2n-compact" not in told["models"]["missing_defaults"]
    text = redeg("doctor").stdout
    assert "f2n-compact: restorer, embedded" in text
    assert "mine: PROBLEM" in text


def test_something_broken_is_reported_and_stops_nothing(
    redeg: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("driver\ntoo old")

    monkeypatch.setattr(doctor_module, "_compute", broken)
    monkeypatch.setattr(doctor_module, "_models", broken)
    monkeypatch.setattr(doctor_module, "_optional", broken)
    result = redeg("doctor")
    assert result.exit_code == 0
    assert result.stdout.count("PROBLEM RuntimeError: driver too old") == 3


def test_a_missing_package_is_named(redeg: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_module, "PACKAGES", ("torch", "no-such-package-anywhere"))
    assert "no-such-package-anywhere MISSING" in redeg("doctor").stdout


@pytest.mark.usefixtures("folders")
def test_a_gpu_that_pytorch_cannot_use_is_told(
    redeg: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows the PyTorch of PyPI is for the CPU alone."""
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(doctor_module.shutil, "which", lambda name: f"/bin/{name}")
    told = " ".join(redeg("doctor").stdout.split())
    assert "there is an NVIDIA GPU, but this PyTorch was built without CUDA" in told
    assert "no GPU was found" not in told
