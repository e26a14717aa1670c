"""``redeg synthesize --degrader kernel-noise``: resumed, replayed, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from degraded import draw, tree
from estimated import kernel_pool, noise_pool, save_pools

from redeg_cli.io.images import read_rgb
from redeg_cli.io.manifest import read_manifest

POOLS = ("--degrader", "kernel-noise", "--kernels", "kernels.npz", "--noise", "noise.npz")


@pytest.fixture
def run(redeg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run in a folder with both pools and hq/ (two images)."""
    save_pools(tmp_path)
    draw(tmp_path / "hq" / "a.png", (64, 48))
    draw(tmp_path / "hq" / "deep" / "b.png", (50, 41))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: redeg("synthesize", *arguments, "--device", "cpu")


def test_each_hq_gets_an_lq_and_a_record(run: Callable) -> None:
    result = run("hq", "-o", "out", *POOLS, "--scale", 2, "--variants", 2)
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 4
    assert read_rgb(Path("out/a_0001.png")).shape == (24, 32, 3)
    assert read_rgb(Path("out/deep/b_0002.png")).shape == (21, 25, 3)
    row = read_manifest(Path("out/manifest.jsonl"))[0]
    assert row["degrader"] == "kernel-noise"
    places = [str(Path(name).absolute()) for name in ("kernels.npz", "noise.npz")]
    assert [row["pool"], row["noise"], row["jpeg"]] == [*places, "auto"]
    assert row["pool_digest"] == kernel_pool().digest
    assert row["noise_digest"] == noise_pool().digest
    assert set(row["record"]) == {"degrader", "scale", "kernel", "noise", "jpeg"}


def test_the_same_files_come_after_a_stop_and_by_replay(run: Callable, tmp_path: Path) -> None:
    settings = (*POOLS, "--scale", 4, "--jpeg", 30, "--seed", 3)
    run("hq", "-o", "whole", *settings)
    run("hq/a.png", "-o", "part", *settings)
    rest = run("hq", "-o", "part", *settings)
    assert "1 of 2 were made before" in rest.stderr
    whole, part = tree(tmp_path / "whole"), tree(tmp_path / "part")
    assert {name: data for name, data in part.items() if name.endswith("png")} == {
        name: data for name, data in whole.items() if name.endswith("png")
    }
    assert run("-o", "again", "--replay", "whole/manifest.jsonl").exit_code == 0
    assert tree(tmp_path / "again") == whole


def test_other_settings_want_another_folder(run: Callable) -> None:
    assert run("hq", "-o", "out", *POOLS, "--jpeg", 30).exit_code == 0
    result = run("hq", "-o", "out", *POOLS, "--jpeg", 40)
    assert result.exit_code == 1
    assert "was made with jpeg 30, now it is 40: give another folder with -o" in result.stderr


def test_a_replay_wants_the_pools_that_it_was_made_with(run: Callable) -> None:
    assert run("hq", "-o", "out", *POOLS).exit_code == 0
    noise_pool(5).save(Path("other.npz"))
    replay = ("-o", "again", "--replay", "out/manifest.jsonl")
    result = run(*replay, "--noise", "other.npz")
    assert result.exit_code == 1
    assert (
        "other.npz is not the pool that the manifest was made with: give --noise" in result.stderr
    )
    Path("noise.npz").rename("moved.npz")
    assert run(*replay, "--noise", "moved.npz").exit_code == 0


def test_a_manifest_of_before_is_still_replayed(run: Callable, tmp_path: Path) -> None:
    assert run("hq", "-o", "out", "--degrader", "classical").exit_code == 0
    path = tmp_path / "out" / "manifest.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        for key in ("noise", "noise_digest", "jpeg"):
            del row[key]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("-o", "again", "--replay", path).exit_code == 0
    lqs = [tree(tmp_path / name)["a.png"] for name in ("out", "again")]
    assert lqs[0] == lqs[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--degrader", "kernel-noise"), 2, "needs --kernels and --noise"),
        (("--degrader", "bsrgan", "--jpeg", "30"), 2, "are of --degrader kernel-noise"),
        ((*POOLS, "--pool", "kernels.npz"), 2, "kernel-noise takes no --pool"),
        ((*POOLS, "--jpeg", "101"), 2, "a quality from 1 to 100"),
        ((*POOLS, "--scale", 3), 1, "kernels.npz: the pool holds kernels of scale 2"),
        ((*POOLS[:3], "noise.npz", *POOLS[4:]), 1, "noise.npz is not a pool of kernels"),
        ((*POOLS[:5], "none.npz"), 1, "none.npz does not exist"),
    ],
)
def test_a_mistake_is_told(run: Callable, arguments: tuple, code: int, words: str) -> None:
    result = run("hq", "-o", "out", *arguments)
    assert result.exit_code == code
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(Path("out").glob("*.png"))


def test_a_preview_shows_what_was_drawn(redeg: Callable, run: Callable) -> None:
    del run
    result = redeg("degrade-preview", "hq/a.png", *POOLS, "--jpeg", "30", "-n", 2, "-o", "a.png")
    assert result.exit_code == 0, result.stderr
    assert read_rgb(Path("a.png")).std() > 0.02
