"""``redeg synthesize`` where an LQ cannot be made again: what is there and known of it is kept."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from degraded import draw, tree

from redeg_cli.io.manifest import read_manifest


@pytest.fixture
def make(redeg: Callable, work: Path) -> Callable:
    """Degrade hq/ into out/ by a handcrafted degrader."""
    del work
    return lambda *more: redeg("synthesize", "hq", "--degrader", "bsrgan", "-o", "out", *more)


@pytest.fixture
def replay(redeg: Callable) -> Callable:
    """Make out/ again where it is."""
    return lambda *more: redeg(
        "synthesize", "--replay", "out/manifest.jsonl", "-o", "out", "--overwrite", *more
    )


def rows(work: Path) -> dict[str, dict[str, Any]]:
    return {row["lq"]: row for row in read_manifest(work / "out" / "manifest.jsonl")}


def test_a_replay_that_fails_can_be_made_later(
    make: Callable, replay: Callable, work: Path
) -> None:
    make()
    before = tree(work / "out")
    shutil.copy(work / "hq" / "a.png", work / "kept.png")
    draw(work / "hq" / "a.png", seed=9)
    failed = replay("--json")
    assert failed.exit_code == 1
    assert "has changed since the manifest was written" in failed.stderr
    told = {row["lq"]: row for row in json.loads(failed.stdout)["files"]}
    assert [told["a.png"]["status"], told["z.png"]["status"]] == ["failed", "ok"]
    assert "has changed" in told["a.png"]["message"]
    shutil.copy(work / "kept.png", work / "hq" / "a.png")
    assert make().exit_code == 0
    assert {path: data for path, data in tree(work / "out").items() if "jsonl" not in path} == {
        path: data for path, data in before.items() if "jsonl" not in path
    }
    assert rows(work)["a.png"]["status"] == "ok"
    assert replay().exit_code == 0


def test_an_hq_that_was_broken_for_a_while_is_no_hindrance(make: Callable, work: Path) -> None:
    make()
    first = (work / "out" / "a.png").read_bytes()
    (work / "hq" / "a.png").write_bytes(b"half a copy")
    assert make().exit_code == 1
    assert (work / "out" / "a.png").read_bytes() == first
    draw(work / "hq" / "a.png", seed=9)
    again = make()
    assert again.exit_code == 0, again.stderr
    assert (work / "out" / "a.png").read_bytes() != first
    assert [row["status"] for row in rows(work).values()] == ["ok"] * 3


def test_what_was_to_be_overwritten_still_may_be(make: Callable, work: Path) -> None:
    make()
    first = (work / "out" / "a.png").read_bytes()
    shutil.copy(work / "hq" / "a.png", work / "kept.png")
    (work / "hq" / "a.png").write_bytes(b"half a copy")
    assert make("--overwrite", "--seed", "1").exit_code == 1
    shutil.copy(work / "kept.png", work / "hq" / "a.png")
    again = make("--seed", "1")
    assert again.exit_code == 0, again.stderr
    assert (work / "out" / "a.png").read_bytes() != first
    assert {row["seed"] for row in rows(work).values()} == {1}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
def test_a_pipe_among_the_hqs_fails_alone(make: Callable, work: Path) -> None:
    os.mkfifo(work / "hq" / "b.png")
    made = make()
    assert made.exit_code == 1
    assert "error: hq/b.png is a pipe or a device" in made.stderr.replace("\\", "/")
    assert [row["status"] for row in rows(work).values()] == ["ok", "failed", "ok", "ok"]


@pytest.mark.parametrize("more", [(), ("--pairs",)])
def test_an_lq_is_made_of_the_very_bytes_that_its_row_names(
    make: Callable, work: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    assert make(*more).exit_code == 0
    before = tree(work / "out")
    shutil.rmtree(work / "out")
    read = Path.read_bytes

    def read_and_change(path: Path) -> bytes:
        data = read(path)
        if path.parent == Path("hq") and path.suffix == ".jpg":
            draw(work / path, (70, 32), seed=9)
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_change)
    assert make(*more).exit_code == 0
    monkeypatch.undo()
    after = tree(work / "out")
    assert {name for name in before if before[name] != after[name]} <= {"manifest.jsonl"}


@pytest.mark.skipif(sys.platform != "linux", reason="255 bytes are Linux's limit of a name")
def test_a_name_that_is_too_long_fails_alone(make: Callable, work: Path) -> None:
    draw(work / "hq" / f"{83 * '語'}.jpg")  # 253 bytes
    made = make("--variants", "2")
    assert made.exit_code == 1
    assert "too long" in made.stderr
    assert "unexpected" not in made.stderr
    assert sum(row["status"] == "ok" for row in rows(work).values()) == 6


@pytest.mark.parametrize("option", ["--pool", "--adapted", "--kernels", "--noise"])
def test_a_replay_refuses_what_it_has_no_use_for(
    make: Callable, replay: Callable, work: Path, option: str
) -> None:
    make()
    refused = replay(option, work / "nowhere")
    assert refused.exit_code == 2
    assert f"{option}: nothing in the manifest was made with one" in refused.stderr


def test_a_tile_where_nothing_is_cut_is_told(make: Callable) -> None:
    made = make("--tile", "64")
    assert made.exit_code == 0
    assert "--tile: bsrgan takes pictures whole" in made.stderr
