"""``redeg synthesize``: what becomes of HQ images, and what is refused."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from degraded import draw, save_redegnet, tree

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.io.images import read_rgb, to_array, to_tensor
from redeg_cli.io.manifest import read_manifest
from redeg_cli.io.pairs import pair_scale
from redeg_cli.models import load_network
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import load_pool
from redeg_cli.seeds import sample_seed


def test_each_hq_gets_an_lq_and_a_row(run: Callable, work: Path) -> None:
    result = run("out")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["out/a.png", "out/deep/ñ b.png", "out/z.png"]
    assert result.stderr.startswith("1 image has sides that are no multiple of 2: their LQs")
    assert result.stderr.count("\n") == 1
    rows = read_manifest(work / "out" / "manifest.jsonl")
    assert [row["lq"] for row in rows] == ["a.png", "deep/ñ b.png", "z.png"]
    pool = load_pool(work / "pool.npz")
    for row in rows:
        assert row["status"] == "ok"
        assert row["hq"] == str(work / "hq" / row["lq"]).replace("z.png", "z.jpg")
        assert (row["scale"], row["aligned"], row["seed"], row["variant"]) == (2, False, 0, 0)
        assert (row["pool"], row["pool_digest"]) == (str(work / "pool.npz"), pool.digest)
        assert (row["model"], row["fingerprint"]) == ("tiny", pool.fingerprint)
        lq, hq = read_rgb(work / "out" / row["lq"]), read_rgb(row["hq"])
        assert row["size"] == [lq.shape[1], lq.shape[0]]
        assert pair_scale(lq.shape[:2], hq.shape[:2], None) == (2, True)


def test_a_row_is_enough_to_make_the_file_again(run: Callable, work: Path) -> None:
    run("out", "--seed", 5)
    pool = load_pool(work / "pool.npz")
    net = load_network(work / "tiny.safetensors")
    [row] = [r for r in read_manifest(work / "out" / "manifest.jsonl") if r["lq"] == "a.png"]
    degrader = OmegaDegrader(net, pool, row["scale"])
    assert row["record"] == degrader.draw(sample_seed(5, "a.png", 0))
    hq = to_tensor(read_rgb(row["hq"]))
    lq = to_array(degrader.apply_large(hq, row["record"], torch.device("cpu")))
    assert np.abs(lq - read_rgb(work / "out" / "a.png")).max() <= 0.51 / 255


def test_files_read_and_written_meanwhile_are_the_same(
    run: Callable, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU."""
    first = run("one", "--variants", 4)
    monkeypatch.setattr("redeg_cli.run.synthesis.files_at_once", lambda _device: 4)
    again = run("two", "--variants", 4)
    assert again.exit_code == 0
    assert again.stdout == first.stdout.replace("one/", "two/")
    assert tree(work / "two") == tree(work / "one")


def test_an_image_does_not_depend_on_the_others_or_the_tile(run: Callable, work: Path) -> None:
    run("all")
    assert run("one", hq="hq/a.png").exit_code == 0
    assert (work / "one" / "a.png").read_bytes() == (work / "all" / "a.png").read_bytes()
    run("other", "--seed", 1)
    assert (work / "other" / "a.png").read_bytes() != (work / "all" / "a.png").read_bytes()


def test_variants_are_numbered_and_differ(run: Callable, work: Path) -> None:
    result = run("out", "--variants", 3)
    lqs = [f"out/{n}_{i:04d}.png" for n in ("a", "deep/ñ b", "z") for i in (1, 2, 3)]
    assert result.stdout.splitlines() == lqs
    assert len({(work / lq).read_bytes() for lq in lqs}) == 9
    run("single")
    first = (work / "out" / "a_0001.png").read_bytes()
    assert first == (work / "single" / "a.png").read_bytes()
    # More of them later: the first ones stay.
    more = run("out", "--variants", 4)
    assert [Path(line).stem[-4:] for line in more.stdout.splitlines()] == ["0004"] * 3


def test_aligned_and_scale(run: Callable, work: Path) -> None:
    assert run("out", "--aligned", "--scale", 4).exit_code == 0
    assert read_rgb(work / "out" / "deep" / "ñ b.png").shape == (41, 50, 3)
    result = run("four", "--scale", 4)
    assert "warning: pool.npz was taken at scale 2 and is used at scale 4" in result.stderr
    assert read_rgb(work / "four" / "deep" / "ñ b.png").shape == (11, 13, 3)


def test_jpg(run: Callable, work: Path) -> None:
    assert run("out", "--format", "jpg", hq="hq/a.png").stdout == "out/a.jpg\n"
    assert (work / "out" / "a.jpg").read_bytes().startswith(b"\xff\xd8")


def test_json(run: Callable) -> None:
    told = json.loads(run("out", "--json").stdout)
    assert told["manifest"] == "out/manifest.jsonl"
    assert told["settings"]["degrader"] == "omega"
    assert [row["status"] for row in told["files"]] == ["ok"] * 3


def test_classical_needs_no_pool(redeg: Callable, work: Path) -> None:
    options = ("--degrader", "classical", "--scale", 2, "--device", "cpu")
    assert redeg("synthesize", "hq", "-o", "out", *options).exit_code == 0
    rows = read_manifest(work / "out" / "manifest.jsonl")
    degrader = load_degrader("classical", 2)
    record = degrader.draw(sample_seed(0, "a.png", 0))
    assert rows[0]["record"] == json.loads(json.dumps(record))
    hq = to_tensor(read_rgb(work / "hq" / "a.png"))
    lq = to_array(degrader.apply(hq, [record]))
    assert np.abs(lq - read_rgb(work / "out" / "a.png")).max() <= 0.51 / 255
    assert redeg("synthesize", "hq", "-o", "al", *options, "--aligned").exit_code == 0
    assert read_rgb(work / "al" / "deep" / "ñ b.png").shape == (41, 50, 3)


def test_a_file_of_the_user_is_kept(run: Callable, work: Path) -> None:
    mine = draw(work / "out" / "a.png", (10, 10))
    for _ in range(2):  # the second run finds a manifest
        result = run("out")
        assert result.exit_code == 1
        assert "error: out/a.png exists;" in result.stderr
        assert np.abs(read_rgb(work / "out" / "a.png") - mine).max() < 1e-6
    assert read_manifest(work / "out" / "manifest.jsonl")[0]["status"] == "failed"
    assert run("out", "--skip-existing").exit_code == 0
    assert np.abs(read_rgb(work / "out" / "a.png") - mine).max() < 1e-6
    run("whole")
    assert run("out", "--overwrite").exit_code == 0
    assert tree(work / "out") == tree(work / "whole")


def test_a_bad_image_is_named_and_the_others_go_on(run: Callable, work: Path) -> None:
    (work / "hq" / "bad.png").write_text("no picture")
    draw(work / "hq" / "tiny.png", (9, 9))
    result = run("out")
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 3
    assert "2 of 5 failed" in result.stderr
    rows = {row["lq"]: row for row in read_manifest(work / "out" / "manifest.jsonl")}
    assert rows["bad.png"]["status"] == rows["tiny.png"]["status"] == "failed"
    assert "at least 16x16" in rows["tiny.png"]["message"]
    draw(work / "hq" / "bad.png")
    draw(work / "hq" / "tiny.png")
    assert run("out").exit_code == 0
    assert all(r["status"] == "ok" for r in read_manifest(work / "out" / "manifest.jsonl"))


def test_a_pool_of_another_model_is_one_line(redeg: Callable, work: Path) -> None:
    save_redegnet(work / "other.safetensors", seed=1)
    options = ("--pool", "pool.npz", "--redegnet", "other.safetensors")
    result = redeg("synthesize", "hq", "-o", "out", *options)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: pool.npz was made by tiny (")
    assert result.stderr.count("\n") == 1
    assert not (work / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("hq",), 2, "--pool"),
        (("hq", "--degrader", "classical", "--pool", "pool.npz"), 2, "--pool"),
        (("hq", "--pool", "pool.npz", "--overwrite", "--skip-existing"), 2, "exclude"),
        (("hq", "--degrader", "classical", "--variants", 0), 2, "--variants"),
        (("none", "--degrader", "classical"), 1, "none does not exist"),
        (("hq", "--pool", "none.npz"), 1, "none.npz does not exist"),
        (("hq", "--pool", "hq/a.png"), 1, "hq/a.png is not a pool"),
        (("hq", "--degrader", "classical", "--device", "abacus"), 2, "abacus"),
        (("same", "--degrader", "classical"), 1, "would both become a.png"),
    ],
)
def test_a_mistake_is_told_before_any_work(
    redeg: Callable, work: Path, arguments: tuple, code: int, message: str
) -> None:
    draw(work / "same" / "a.png")
    draw(work / "same" / "a.jpg")
    result = redeg("synthesize", *arguments, "-o", "out")
    assert result.exit_code == code
    assert result.stdout == ""
    assert message in result.stderr
    if code == 1:
        assert result.stderr.count("\n") == 1
    assert not (work / "out").exists()


def test_an_output_folder_among_the_inputs_is_no_input(run: Callable) -> None:
    first = run("hq/out")
    assert len(first.stdout.splitlines()) == 3
    assert run("hq/out").stderr == "3 of 3 were made before\n"


def test_an_input_named_in_the_output_folder_is_one(run: Callable, work: Path) -> None:
    draw(work / "ds" / "hr" / "c.png")
    draw(work / "ds" / "d.png")
    result = run("ds", "ds/hr", "ds/d.png", "--variants", 2)
    assert result.exit_code == 0, result.stderr
    names = [Path(line).name for line in result.stdout.splitlines()]
    assert names[-4:] == ["c_0001.png", "c_0002.png", "d_0001.png", "d_0002.png"]
    assert len(names) == 10
    again = run("ds", "ds/hr", "ds", "--variants", 2)  # d.png and the LQs were found on a walk
    assert again.stderr == "8 of 8 were made before\n"


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8")
def test_a_name_that_is_not_utf_8(redeg: Callable, work: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (work / "latin").mkdir()
    (work / "latin" / name).write_bytes((work / "hq" / "a.png").read_bytes())
    command = ["synthesize", "latin", "-o", "out", "--degrader", "bsrgan", "--scale", "2"]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-m", "redeg_cli", *command],
        cwd=work,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, b"out/caf\xe9.png\n"), result.stderr
    assert (work / "out" / name).is_file()
    assert redeg(*command).stderr == "1 of 1 were made before\n"
    replay = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "again", "--json")
    assert replay.exit_code == 0, replay.stderr
    assert tree(work / "again") == tree(work / "out")


def test_no_hq_is_replaced(run: Callable, redeg: Callable, work: Path) -> None:
    before = tree(work / "hq")
    (work / "link").mkdir()
    (work / "link" / "a.png").symlink_to(work / "hq" / "a.png")
    for out, hq in (("hq", "hq/a.png"), ("link", "hq"), ("link", "link/a.png")):
        result = run(out, "--overwrite", hq=hq)
        assert result.exit_code == 1
        assert f"the LQ of a.png would replace {out}/a.png, which is an HQ" in result.stderr
    run("out")
    replay = ("--replay", "out/manifest.jsonl", "--redegnet", "tiny.safetensors")
    result = redeg("synthesize", *replay, "-o", "hq", "--overwrite")
    assert "the LQ of a.png would replace hq/a.png, which is an HQ" in result.stderr
    assert tree(work / "hq") == before


def test_a_manifest_of_something_else_is_left_alone(run: Callable, work: Path) -> None:
    (work / "out").mkdir()
    (work / "out" / "manifest.jsonl").write_text("my notes\nmore\n")
    result = run("out")
    assert result.exit_code == 1
    assert "is not a JSON object" in result.stderr
    assert (work / "out" / "manifest.jsonl").read_text() == "my notes\nmore\n"
