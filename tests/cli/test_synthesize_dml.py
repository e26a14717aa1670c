"""``redeg synthesize --degrader dml``: a learned degradation for any folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from degraded import draw, tree
from registered import save_dml
from scipy.ndimage import uniform_filter

from redeg_cli.io.images import read_rgb
from redeg_cli.io.manifest import read_manifest


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with dml.safetensors (scale 2) and hq/ (two images)."""
    save_dml(tmp_path / "dml.safetensors")
    draw(tmp_path / "hq" / "a.png")
    draw(tmp_path / "hq" / "deep" / "b.png", (50, 41))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(redeg: Callable, work: Path) -> Callable:
    del work
    options = ("--degrader", "dml", "--device", "cpu")
    return lambda out, *more: redeg("synthesize", "hq", "-o", out, *options, *more)


def test_the_picture_goes_through_the_model(run: Callable, work: Path) -> None:
    """Three quarters of the picture and a quarter of its 3x3 means, by SciPy, and no noise."""
    result = run("out", "--model", "dml.safetensors", "--noise-sigma", 0, "--aligned")
    assert result.exit_code == 0, result.stderr
    hq, made = read_rgb(work / "hq" / "a.png"), read_rgb(work / "out" / "a.png")
    wanted = 0.75 * hq + 0.25 * uniform_filter(hq, (3, 3, 1), mode="nearest")
    assert made.shape == hq.shape
    np.testing.assert_allclose(made, wanted, atol=0.03)  # to the native grid and back


def test_a_folder_is_degraded_and_made_again(run: Callable, redeg: Callable, work: Path) -> None:
    result = run("out", "--model", "dml.safetensors", "--variants", 2, "--seed", 4)
    assert result.exit_code == 0, result.stderr
    rows = read_manifest(work / "out" / "manifest.jsonl")
    assert [row["lq"] for row in rows] == [
        *("a_0001.png", "a_0002.png", "deep/b_0001.png", "deep/b_0002.png")
    ]
    assert {(row["degrader"], row["scale"], row["model"]) for row in rows} == {
        ("dml", 2, str(work / "dml.safetensors"))
    }
    sigmas = {row["record"]["steps"][0]["sigma"] for row in rows}
    assert sigmas == {5 / 255}
    assert len({row["record"]["steps"][0]["seed"] for row in rows}) == 4
    assert read_rgb(work / "out" / "deep" / "b_0001.png").shape == (21, 25, 3)

    again = run("out", "--model", "dml.safetensors", "--variants", 2, "--seed", 4)
    assert "4 of 4 were made before" in again.stderr
    files = tree(work / "out")
    (work / "out" / "a_0002.png").unlink()
    assert run("out", "--model", "dml.safetensors", "--variants", 2, "--seed", 4).exit_code == 0
    assert tree(work / "out") == files

    replay = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "again", "--device", "cpu")
    assert replay.exit_code == 0, replay.stderr
    made = {name: data for name, data in tree(work / "again").items() if name.endswith("png")}
    assert made == {name: data for name, data in files.items() if name.endswith("png")}


def test_another_noise_or_model_is_not_mixed_in(run: Callable, redeg: Callable, work: Path) -> None:
    assert run("out", "--model", "dml.safetensors").exit_code == 0
    other = run("out", "--model", "dml.safetensors", "--noise-sigma", 7)
    assert other.exit_code == 1
    assert "give another folder with -o" in other.stderr
    save_dml(work / "dml.safetensors", 0.5)
    assert run("out", "--model", "dml.safetensors").exit_code == 1
    replay = ("synthesize", "--replay", "out/manifest.jsonl", "-o", "again", "--device", "cpu")
    changed = redeg(*replay)
    assert changed.exit_code == 1
    assert "not the model that the manifest was made with: give --model" in changed.stderr
    save_dml(work / "kept.safetensors")
    assert redeg(*replay, "--model", "kept.safetensors").exit_code == 0


def test_a_preview(redeg: Callable, work: Path) -> None:
    del work
    options = ("--degrader", "dml", "--model", "dml.safetensors", "-n", 2, "--device", "cpu")
    result = redeg("degrade-preview", "hq/a.png", *options)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "a_dml.png\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "--degrader dml needs --model"),
        (("--model", "none.safetensors"), 2, "none.safetensors: no such weights file"),
        (("--model", "f2n-compact"), 2, "holds a restorer model"),
        (("--model", "hq/a.png"), 1, "hq/a.png"),
        (("--model", "dml.safetensors", "--scale", "4"), 2, "learned at scale 2, 4 was asked for"),
        (("--model", "dml.safetensors", "--noise-sigma", "-1"), 2, "noise"),
    ],
)
def test_mistakes(run: Callable, arguments: tuple, code: int, message: str) -> None:
    result = run("out", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_the_model_needs_the_degrader(redeg: Callable, work: Path) -> None:
    del work
    for more in (("--model", "dml.safetensors"), ("--noise-sigma", "3")):
        result = redeg("synthesize", "hq", "-o", "out", "--degrader", "bsrgan", *more)
        assert result.exit_code == 2
        assert "need --degrader dml" in result.stderr
