"""``redeg synthesize --adapted``: one photo's degradation for any folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from degraded import draw, save_redegnet, tree

from redeg_cli.io.manifest import read_manifest
from redeg_cli.models import load_network
from redeg_cli.nets.lite import ReDegNetLite
from redeg_cli.omega.adapt import adapt
from redeg_cli.omega.adapted import adapted_digest, save_adapted
from redeg_cli.omega.fitted import FittedRegion
from redeg_cli.omega.lattice import Lattice
from redeg_cli.omega.synthesis import JpegStage


def save(path: Path, redegnet: Path, darkened: float = 0.8) -> None:
    net = load_network(redegnet)
    assert isinstance(net, ReDegNetLite)
    hq = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    region = FittedRegion(hq, darkened * hq, (0, 0), (0, 64))
    lattice = Lattice(((0.2, 0.05),))
    omega = torch.zeros(1, 512)
    adapted = adapt(net, omega, [region], lattice, torch.device("cpu"), steps=3, batch=1, scale=1)
    off = JpegStage(torch.tensor([False]), torch.tensor([90.0]), torch.tensor([False]))
    save_adapted(path, adapted, (off, off), 2, redegnet, "old.jpg")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with tiny.safetensors, old.safetensors (scale 2) and hq/ (two images)."""
    save(tmp_path / "old.safetensors", save_redegnet(tmp_path / "tiny.safetensors"))
    draw(tmp_path / "hq" / "a.png")
    draw(tmp_path / "hq" / "deep" / "b.png", (50, 41))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(redeg: Callable, work: Path) -> Callable:
    del work
    options = ("--redegnet", "tiny.safetensors", "--device", "cpu")

    def go(out: str, *more: object):
        return redeg("synthesize", "hq", "-o", out, *options, "--adapted", *more)

    return go


def test_it_can_be_looked_at(redeg: Callable, work: Path) -> None:
    options = ("--redegnet", "tiny.safetensors", "--device", "cpu", "-n", 2)
    seen = redeg("degrade-preview", "hq/a.png", "--adapted", "old.safetensors", *options)
    assert (seen.exit_code, seen.stdout) == (0, "a_adapted.png\n"), seen.stderr
    first = (work / "a_adapted.png").read_bytes()
    again = ("--adapted", "old.safetensors", "--degrader", "adapted", "--overwrite")
    assert redeg("degrade-preview", "hq/a.png", *again, *options).exit_code == 0
    assert (work / "a_adapted.png").read_bytes() == first


@pytest.mark.parametrize(
    ("degrader", "told"),
    [
        ("old.safetensors", "give a photo's degradation with --adapted, a learned model with"),
        ("pool.npz", "give a pool of Ωs with --pool"),
        ("adapted", "--degrader adapted needs --adapted"),
    ],
)
def test_a_file_that_is_no_degrader_is_told(redeg: Callable, degrader: str, told: str) -> None:
    for command in (("synthesize", "hq", "-o", "out"), ("degrade-preview", "hq/a.png")):
        result = redeg(*command, "--degrader", degrader)
        assert result.exit_code == 2
        assert told in result.stderr


def test_a_folder_is_degraded_and_made_again(run: Callable, redeg: Callable, work: Path) -> None:
    result = run("out", "old.safetensors", "--variants", 2, "--seed", 4)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("1 image has sides that are no multiple of 2")
    rows = read_manifest(work / "out" / "manifest.jsonl")
    assert [row["lq"] for row in rows] == [
        *("a_0001.png", "a_0002.png", "deep/b_0001.png", "deep/b_0002.png")
    ]
    for row in rows:
        assert (row["degrader"], row["scale"]) == ("adapted", 2)
        assert row["pool"] == str(work / "old.safetensors")
        assert row["pool_digest"] == adapted_digest(work / "old.safetensors")
        assert row["record"]["omega"] == "old.jpg"
    # Fresh phases and grain for each image.
    assert len({row["record"]["seed"] for row in rows}) == 4
    assert len(set(tree(work / "out").values())) == 5

    again = ("--redegnet", "tiny.safetensors", "--device", "cpu")
    replay = ("synthesize", "--replay", "out/manifest.jsonl", "-o", "again", *again)
    shutil.move(work / "old.safetensors", work / "moved.safetensors")
    assert redeg(*replay).exit_code == 1
    done = redeg(*replay, "--adapted", "moved.safetensors")
    assert done.exit_code == 0, done.stderr
    made = {name: data for name, data in tree(work / "out").items() if name.endswith("png")}
    assert {n: d for n, d in tree(work / "again").items() if n.endswith("png")} == made

    save(work / "old.safetensors", work / "tiny.safetensors", darkened=0.5)
    refused = redeg(*replay, "--adapted", "old.safetensors")
    assert refused.exit_code == 1
    assert "not the file that the manifest was made with" in refused.stderr


def test_nothing_is_made_twice_and_nothing_mixed(run: Callable, work: Path) -> None:
    run("out", "old.safetensors")
    before = tree(work / "out")
    (work / "out" / "a.png").unlink()
    resumed = run("out", "old.safetensors")
    assert resumed.stdout == "out/a.png\n"
    assert tree(work / "out") == before
    save(work / "old.safetensors", work / "tiny.safetensors", darkened=0.5)
    mixed = run("out", "old.safetensors")
    assert mixed.exit_code == 1
    assert "pool_digest" in mixed.stderr


def test_wrong_choices_are_told(run: Callable, work: Path) -> None:
    save_redegnet(work / "tiny.safetensors", seed=1)
    other = run("out", "old.safetensors")
    assert other.exit_code == 1
    assert "was adapted from tiny" in other.stderr
    assert "Traceback" not in other.stderr
    both = run("out", "old.safetensors", "--degrader", "bsrgan")
    assert both.exit_code == 2
    assert "excludes" in both.stderr
    none = run("out", "none.safetensors")
    assert "does not exist" in none.stderr
    assert not (work / "out" / "a.png").exists()


def test_a_pool_is_told_from_weights(run: Callable, redeg: Callable) -> None:
    np.savez_compressed("pool.npz", omega=np.zeros((1, 512)))
    for result in (run("out", "pool.npz"), redeg("models", "info", "pool.npz")):
        assert result.exit_code == 1
        told = "pool.npz is a pool of Ωs, not weights: `redeg synthesize` takes it with --pool"
        assert result.stderr == f"error: {told}\n"


def test_another_scale_is_warned_of(run: Callable) -> None:
    result = run("out", "old.safetensors", "--scale", 4)
    assert result.exit_code == 0
    assert "was fitted at scale 2 and is used at scale 4" in result.stderr
