"""``redeg synthesize`` into a folder that holds something: the same files whatever happened."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from degraded import draw, tree

from redeg_cli.io.lock import folder_lock
from redeg_cli.io.manifest import ManifestWriter, read_manifest
from redeg_cli.omega.learned import OmegaDegrader


def test_nothing_is_made_twice(run: Callable, work: Path) -> None:
    run("out")
    before = {path: path.stat().st_mtime_ns for path in work.glob("out/**/*")}
    again = run("out")
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == "3 of 3 were made before\n"
    assert {path: path.stat().st_mtime_ns for path in work.glob("out/**/*")} == before


@pytest.mark.parametrize("more", [(), ("--pairs",)])
@pytest.mark.parametrize("left", [0, 50])
def test_a_file_that_was_cut_off_is_made_again(
    run: Callable, work: Path, more: tuple, left: int
) -> None:
    run("out", *more)
    whole = tree(work / "out")
    files = list((work / "out").rglob("z.png"))
    for path in files:
        data = path.read_bytes()
        path.write_bytes(data[:left])
        again = run("out", *more)
        assert (again.exit_code, len(again.stdout.splitlines())) == (0, len(files))
        assert "1 are made again: a file is not of the size that it was written in" in again.stderr
        assert tree(work / "out") == whole
    # It may have been cut off before its row was written.
    manifest = work / "out" / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:-1]))
    files[0].write_bytes(files[0].read_bytes()[:left])
    assert run("out", *more).exit_code == 0
    assert tree(work / "out") == whole


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files")
def test_only_the_manifest_is_forced_to_the_disk(
    run: Callable, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del work
    forced: list[str] = []
    flush = os.fsync

    def count(handle: int) -> None:
        forced.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        flush(handle)

    monkeypatch.setattr("os.fsync", count)
    run("out", "--pairs", "--variants", 3)
    assert set(forced) <= {"manifest.jsonl", "out"}
    assert len(forced) <= 3


def stop_after_one(out: Path) -> None:
    """Only the first file and its row."""
    rows = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (out / "manifest.jsonl").write_bytes(rows[0])
    (out / "deep" / "ñ b.png").unlink()
    (out / "z.png").unlink()


def stop_in_a_row(out: Path) -> None:
    """Killed while the second row was written."""
    rows = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (out / "manifest.jsonl").write_bytes(rows[0] + rows[1][:30])
    (out / "z.png").unlink()


def stop_between_file_and_row(out: Path) -> None:
    rows = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (out / "manifest.jsonl").write_bytes(rows[0] + rows[1])


def stop_in_a_file(out: Path) -> None:
    stop_after_one(out)
    (out / "deep" / ".redeg-0123456789ab.png").write_bytes(b"half a pict")


def stop_before_the_first(out: Path) -> None:
    stop_after_one(out)
    (out / "a.png").unlink()
    (out / "manifest.jsonl").write_bytes(b"")


def lose_a_file(out: Path) -> None:
    (out / "a.png").unlink()


def fail_once(out: Path) -> None:
    """The second file failed in an earlier run."""
    rows = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    row = json.loads(rows[1])
    failed = {**row, "status": "failed", "message": "disk full"}
    line = json.dumps(failed).encode() + b"\n"
    (out / "manifest.jsonl").write_bytes(rows[0] + line + rows[2])
    (out / row["lq"]).unlink()


STOPS = [
    *(stop_after_one, stop_in_a_row, stop_between_file_and_row, stop_in_a_file),
    *(stop_before_the_first, lose_a_file, fail_once),
]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.__name__)
def test_a_stopped_run_ends_like_one_that_was_not(
    run: Callable, work: Path, stop: Callable[[Path], None]
) -> None:
    run("out")
    whole = tree(work / "out")
    stop(work / "out")
    assert tree(work / "out") != whole
    result = run("out")
    assert result.exit_code == 0, result.stderr
    assert tree(work / "out") == whole


@pytest.mark.parametrize("pairs", [(), ("--pairs",)])
def test_kill_minus_nine_in_the_middle(run: Callable, work: Path, pairs: tuple) -> None:
    for index in range(8):
        draw(work / "many" / f"{index}.png", (64, 63 if pairs else 64), seed=index)
    more = ("--variants", 6, *pairs)
    assert run("whole", *more, hq="many").exit_code == 0
    command = [sys.executable, "-m", "redeg_cli", "synthesize", "many", "-o", "cut", "--pool"]
    command += ["pool.npz", "--redegnet", "tiny.safetensors", "--device", "cpu"]
    command += [str(each) for each in more]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    manifest = work / "cut" / "manifest.jsonl"
    with subprocess.Popen(
        command,
        cwd=work,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 120
        while not manifest.exists() or manifest.read_bytes().count(b"\n") < 5:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 5 <= manifest.read_bytes().count(b"\n") < 48
    assert run("cut", *more, hq="many").exit_code == 0
    assert tree(work / "cut") == tree(work / "whole")


def test_other_settings_do_not_mix(run: Callable, work: Path) -> None:
    run("out")
    before = tree(work / "out")
    for more, key in (
        (("--seed", 1), "seed 0, now it is 1"),
        (("--scale", 4), "scale 2, now it is 4"),
        (("--aligned",), "aligned False, now it is True"),
    ):
        result = run("out", *more)
        assert result.exit_code == 1
        assert result.stderr.splitlines()[-1].startswith("error: out/a.png was made with " + key)
    assert tree(work / "out") == before
    run("one", "--seed", 1)
    assert run("out", "--seed", 1, "--overwrite").exit_code == 0
    assert tree(work / "out") == tree(work / "one")


def test_two_sets_of_the_same_images_do_not_mix(run: Callable, work: Path) -> None:
    run("out")
    before = tree(work / "out")
    for more in (("--variants", 2), ("--format", "jpg"), ("--format", "jpg", "--overwrite")):
        result = run("out", "--seed", 7, *more)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("error: out/a.png was made with seed 0, now it is 7, and")
        assert tree(work / "out") == before
    assert run("out", hq="hq/a.png").stderr == "1 of 1 were made before\n"
    # Other images may be degraded in another way, but it is said.
    draw(work / "other" / "c.png")
    result = run("out", "--seed", 7, hq="other")
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: the folder holds 3 LQs of other images that were made in another way: "
        "out/deep/ñ b.png was made with seed 0, now it is 7\n"
    )


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        ((), ("--variants", 2), "out/a.png was made with one of --variants, now it is several"),
        (("--variants", 2), (), "out/a_0001.png was made with several --variants, now it is with"),
        ((), ("--format", "jpg"), "out/a.png was made with --format png, now it is jpg"),
        ((), ("--format", "jpg", "--overwrite"), "out/a.png was made with --format png, now"),
        ((), ("--pairs",), "out/a.png was made without --pairs, now it is with it"),
        (("--pairs",), (), "out/lq/a.png was made with --pairs, now it is without it"),
    ],
)
def test_a_picture_is_not_made_twice_under_two_names(
    run: Callable, work: Path, first: tuple, then: tuple, said: str
) -> None:
    run("out", *first)
    before = tree(work / "out")
    result = run("out", *then)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error: {said}")
    assert "the same picture: give the options of then, or another folder" in result.stderr
    assert tree(work / "out") == before
    assert run("out", *first).stderr.endswith("were made before\n")
    # What was deleted by hand is no hindrance.
    for path in (work / "out").rglob("*.png"):
        path.unlink()
    assert run("out", *then).exit_code == 0


@pytest.mark.parametrize("again", [("--overwrite",), ()])
def test_a_killed_overwrite_is_carried_on(
    run: Callable, work: Path, monkeypatch: pytest.MonkeyPatch, again: tuple
) -> None:
    draw(work / "out" / "z.png", (10, 10))
    run("out", hq="hq/a.png")
    run("out", "--skip-existing")
    whole = ManifestWriter.write
    with monkeypatch.context() as patch:

        def stop_before_the_second(writer: ManifestWriter, row: dict) -> None:
            if row["status"] == "ok" and row["lq"] != "a.png":
                raise KeyboardInterrupt
            whole(writer, row)

        patch.setattr(ManifestWriter, "write", stop_before_the_second)
        assert run("out", "--seed", 1, "--overwrite").exit_code == 130
    # The second file was replaced, its row was not: the old one must not be believed.
    assert run("out").exit_code == 1
    first = (work / "out" / "a.png").stat().st_mtime_ns
    result = run("out", "--seed", 1, *again)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("1 of 3 were made before\n")
    assert (work / "out" / "a.png").stat().st_mtime_ns == first
    run("fresh", "--seed", 1)
    assert tree(work / "out") == tree(work / "fresh")
    # A finished set is made once more.
    assert len(run("out", "--seed", 1, "--overwrite").stdout.splitlines()) == 3
    assert tree(work / "out") == tree(work / "fresh")


def test_another_hq_of_the_same_name_is_no_resume(run: Callable, work: Path) -> None:
    run("out")
    draw(work / "else" / "a.png", seed=99)
    before = tree(work / "out")
    result = run("out", hq="else")
    assert result.exit_code == 1
    assert f"out/a.png was made of another image, {work}/hq/a.png" in result.stderr
    assert tree(work / "out") == before


def test_the_lq_of_a_replaced_hq_is_made_again(run: Callable, work: Path) -> None:
    run("out")
    draw(work / "hq" / "a.png", seed=99)
    result = run("out")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "out/a.png\n"
    assert result.stderr.splitlines() == [
        "2 of 3 were made before",
        "1 are made again: their HQ images were replaced",
    ]
    run("fresh")
    assert tree(work / "out") == tree(work / "fresh")


def test_moved_or_touched_hqs_are_the_same_and_read_once(
    run: Callable, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("out")
    (work / "hq").rename(work / "moved")
    (work / "moved" / "a.png").touch()
    assert run("out", hq="moved").stderr == "3 of 3 were made before\n"
    monkeypatch.setattr("redeg_cli.run.synthesis.digest_of", None)  # files are not read any more
    assert run("out", hq="moved").stderr == "3 of 3 were made before\n"
    rows = read_manifest(work / "out" / "manifest.jsonl")
    assert [row["hq"] for row in rows] == [
        str(work / "moved" / name) for name in ("a.png", "deep/ñ b.png", "z.jpg")
    ]


def test_a_set_is_cut_into_the_same_tiles_whenever_it_is_made(
    run: Callable, redeg: Callable, work: Path
) -> None:
    draw(work / "hq" / "large.png", (150, 140))
    run("out", "--tile", 64)
    whole = tree(work / "out")
    rows = read_manifest(work / "out" / "manifest.jsonl")
    assert {row["tile"] for row in rows} == {64}
    (work / "out" / "large.png").unlink()
    assert run("out").exit_code == 0  # takes the tiles of the others
    assert tree(work / "out") == whole
    result = run("out", "--tile", 96)
    assert result.exit_code == 1
    assert "was made with tile 64, now it is 96: give another folder" in result.stderr
    replay = ("--replay", "out/manifest.jsonl", "--redegnet", "tiny.safetensors")
    assert redeg("synthesize", *replay, "-o", "again", "--device", "cpu").exit_code == 0
    assert tree(work / "again") == whole
    other = redeg("synthesize", *replay, "-o", "other", "--device", "cpu", "--tile", 96)
    assert other.exit_code == 0
    assert {row["tile"] for row in read_manifest(work / "other" / "manifest.jsonl")} == {96}
    run("out", "--overwrite")
    assert {row["tile"] for row in read_manifest(work / "out" / "manifest.jsonl")} == {512}
    # Where every picture fits, tiles make no difference.
    run("fits")
    assert run("fits", "--tile", 1024).stderr == "4 of 4 were made before\n"


def test_smaller_tiles_for_want_of_memory_are_no_other_set(
    run: Callable, redeg: Callable, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(work / "hq" / "large.png", (150, 140))
    whole = OmegaDegrader._synthesise
    widths: list[int] = []

    def synthesise(degrader: OmegaDegrader, inputs: torch.Tensor, *more: object):
        if inputs.shape[3] > most:
            raise torch.OutOfMemoryError
        widths.append(inputs.shape[3])
        return whole(degrader, inputs, *more)

    monkeypatch.setattr(OmegaDegrader, "_synthesise", synthesise)
    most = 80
    assert run("out").exit_code == 0
    most = 1024
    rows = {row["lq"]: row for row in read_manifest(work / "out" / "manifest.jsonl")}
    assert (rows["large.png"]["tile"], rows["large.png"]["tile_used"]) == (512, 76)
    assert "tile_used" not in rows["a.png"]
    assert run("out", "--tile", 512).stderr == "4 of 4 were made before\n"
    widths.clear()
    replay = ("--replay", "out/manifest.jsonl", "--redegnet", "tiny.safetensors")
    assert redeg("synthesize", *replay, "-o", "again", "--device", "cpu").exit_code == 0
    assert 38 < max(widths) <= 76
    assert (work / "again" / "large.png").read_bytes() == (work / "out" / "large.png").read_bytes()


def test_two_runs_in_one_folder_do_not_meet(run: Callable, work: Path) -> None:
    run("out")
    (work / "out" / "a.png").unlink()
    (work / "out" / ".redeg-0123456789ab.png").write_bytes(b"of the other run")
    before = tree(work / "out")
    with folder_lock(work / "out"):
        result = run("out")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("error: another redeg is at work in out")
        (work / "out" / ".redeg.lock").unlink()
        assert tree(work / "out") == before


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit is EFBIG then
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from redeg_cli.cli.app import main
main()
"""


@pytest.mark.parametrize("limit", [1500, 4000])
def test_a_full_disk_stops_the_run(redeg: Callable, work: Path, limit: int) -> None:
    """First no LQ can be written, then some can and the manifest no more."""
    for index in range(9):
        draw(work / "many" / f"{index}.png", (64, 64), seed=index)
    options = ("--degrader", "bsrgan", "--scale", "2", "--device", "cpu")
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), "synthesize", "many", "-o", "out", *options],
        cwd=work,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    what = "0.png" if limit == 1500 else "manifest.jsonl"
    assert result.stderr == f"error: cannot write out/{what}: File too large\n"
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) < 9
    assert redeg("synthesize", "many", "-o", "out", *options).exit_code == 0
    assert redeg("synthesize", "many", "-o", "whole", *options).exit_code == 0
    assert tree(work / "out") == tree(work / "whole")
