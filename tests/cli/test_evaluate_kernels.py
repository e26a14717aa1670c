"""``redeg evaluate kernels``: sheets of degraders and of files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from degraded import draw
from registered import save_dml
from typer.testing import CliRunner

from redeg_cli.cli.evaluate_kernels import kernels
from redeg_cli.errors import RedegError
from redeg_cli.io.images import read_rgb
from redeg_cli.models import save_network
from redeg_cli.nets.dml import DirectNet


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    values = np.zeros((2, 5, 5))
    values[0, 2, 2], values[1, 1:4, 1:4] = 1, 1 / 9
    np.savez("basis.npz", kernels=values, weights=np.full((2, 8, 12), 0.5))
    draw(tmp_path / "photo.png", (12, 8))
    app = typer.Typer()
    app.command()(kernels)
    return lambda *options: CliRunner().invoke(app, [str(option) for option in options])


def test_a_degrader(run: Callable) -> None:
    result = run("bsrgan", "-o", "k.png", "-n", 2, "--scale", 2, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["sheet"] == "k.png"
    assert len(told["draws"]) == 2
    first = told["draws"][0]
    assert len(first["kernels"]) == first["steps"].count("blur")
    assert first["effective"]["total"] == pytest.approx(1, abs=0.01)
    assert read_rgb("k.png").shape[0] > 2 * 256
    plain = run("bsrgan", "-o", "k.png", "-n", 2, "--scale", 2, "--overwrite")
    assert plain.stdout == "k.png\n"


def test_a_file_and_one_of_its_pixels(run: Callable) -> None:
    options = ("--at", "3,4", "--picture", "photo.png", "--json")
    result = run("basis.npz", "-o", "k.png", *options)
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)["kernels"]
    assert [each["label"] for each in shown] == ["kernel 0", "kernel 1", "at 3,4"]
    assert shown[1]["widths"] == pytest.approx([(2 / 3) ** 0.5] * 2, abs=1e-3)
    assert shown[2]["widths"] == pytest.approx([(1 / 3) ** 0.5] * 2, abs=1e-3)


def test_a_learned_model_and_what_it_predicts_for_a_picture(run: Callable, tmp_path: Path) -> None:
    save_dml(tmp_path / "dml.safetensors")
    plain = run("dml.safetensors", "-o", "basis.png", "--json")
    assert plain.exit_code == 0, plain.output
    assert len(json.loads(plain.stdout)["kernels"]) == 2
    options = ("--at", "3,4", "--picture", "photo.png", "--json")
    result = run("dml.safetensors", "-o", "k.png", *options)
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)["kernels"]
    assert [each["label"] for each in shown] == ["kernel 0", "kernel 1", "at 3,4"]
    assert shown[2]["total"] == pytest.approx(1, abs=1e-3)
    assert shown[2]["widths"] == pytest.approx([(0.25 * 2 / 3) ** 0.5] * 2, abs=1e-3)
    assert read_rgb("k.png").shape[0] > read_rgb("basis.png").shape[0]


def test_a_page_to_click_on(run: Callable, tmp_path: Path) -> None:
    save_dml(tmp_path / "dml.safetensors")
    result = run("dml.safetensors", "-o", "k.html", "--picture", "photo.png", "--at", "3,4")
    assert result.exit_code == 0, result.output
    assert result.stdout == "k.html\n"
    assert "click a pixel" in Path("k.html").read_text(encoding="utf-8")
    for what in ("dml.safetensors", "bsrgan"):
        assert run(what, "-o", "no.html").exit_code == 2
        assert not Path("no.html").exists()


def test_a_pixel_of_a_model_needs_a_picture(run: Callable, tmp_path: Path) -> None:
    save_dml(tmp_path / "dml.safetensors")
    result = run("dml.safetensors", "-o", "k.png", "--at", "1,1")
    assert result.exit_code == 1
    assert "predicts them for a --picture" in str(result.exception)


def test_a_rival_has_no_basis(run: Callable, tmp_path: Path) -> None:
    config = {"widths": [4]}
    net = DirectNet(**config)
    save_network(tmp_path / "net.safetensors", "direct-net", config, net.state_dict())
    result = run("net.safetensors", "-o", "k.png")
    assert result.exit_code == 1
    assert "direct-net, which has no basis kernels" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("bsrgn",), "did you mean 'bsrgan'"),
        (("none.npz",), "none.npz does not exist"),
        (("basis.npz", "--at", "12,0"), "12,0 is outside of the weights"),
        (("basis.npz", "--picture", "none.png"), "none.png does not exist"),
    ],
)
def test_errors(run: Callable, options: tuple[str, ...], message: str) -> None:
    result = run(*options, "-o", "k.png")
    assert result.exit_code == 1
    assert isinstance(result.exception, RedegError)
    assert message in str(result.exception)
    assert not Path("k.png").exists()


@pytest.mark.parametrize(
    "options", [("bsrgan", "--at", "1,1"), ("basis.npz", "--at", "1"), ("basis.npz", "--at", "a,b")]
)
def test_wrong_usage(run: Callable, options: tuple[str, ...]) -> None:
    assert run(*options, "-o", "k.png").exit_code == 2
