"""``redeg synthesize --degrader NAME_OR_TOML`` and ``--replay``."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from degraded import draw, save_pool, save_redegnet, tree

from redeg_cli.io.images import read_rgb
from redeg_cli.io.manifest import read_manifest

MIX = """
description = "either of two, and a messenger"
[[steps]]
one_of = [{ weight = 1, preset = "bsrgan" }, { weight = 1, use = "own" }]
[[steps]]
p = 0.5
op = "jpeg"
quality = [30, 60]
[chains]
own = [{ op = "noise", sigma = [0.02, 0.1] }]
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with mix.toml and hq/ (three images)."""
    (tmp_path / "mix.toml").write_text(MIX)
    draw(tmp_path / "hq" / "a.png")
    draw(tmp_path / "hq" / "deep" / "ñ b.png", (50, 41))
    draw(tmp_path / "hq" / "z.jpg", (70, 32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(folder: Path) -> list[dict]:
    return read_manifest(folder / "manifest.jsonl")


@pytest.mark.parametrize("degrader", ["bsrgan", "real-esrgan", "mix.toml"])
def test_any_degrader_makes_a_set_that_its_manifest_makes_again(
    redeg: Callable, work: Path, degrader: str
) -> None:
    options = ("--variants", 2, "--scale", 2, "--seed", 7, "--device", "cpu")
    made = redeg("synthesize", "hq", "-o", "out", "--degrader", degrader, *options)
    assert made.exit_code == 0, made.stderr
    assert made.stdout.splitlines()[:2] == ["out/a_0001.png", "out/a_0002.png"]
    assert {row["degrader"] for row in rows(work / "out")} == {degrader}
    again = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "again")
    assert again.exit_code == 0, again.stderr
    assert again.stdout == made.stdout.replace("out/", "again/")
    assert tree(work / "again") == tree(work / "out")


def test_a_replay_needs_neither_the_toml_nor_the_place_of_the_images(
    redeg: Callable, work: Path
) -> None:
    redeg("synthesize", "hq", "-o", "out", "--degrader", "mix.toml", "--aligned")
    (work / "mix.toml").unlink()
    shutil.move(work / "hq", work / "moved")
    result = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "lost")
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: the HQs are not where the manifest says, such as {work}/hq/a.png: give their "
        "folder as an argument\n"
    )
    assert not (work / "lost").exists()
    result = redeg("synthesize", "moved", "--replay", "out/manifest.jsonl", "-o", "again")
    assert result.exit_code == 0, result.stderr
    for row in rows(work / "out"):
        assert (work / "out" / row["lq"]).read_bytes() == (work / "again" / row["lq"]).read_bytes()
    assert read_rgb(work / "again" / "deep" / "ñ b.png").shape == (41, 50, 3)
    # What is there is not made again; what was lost is.
    assert redeg(
        "synthesize", "moved", "--replay", "out/manifest.jsonl", "-o", "again"
    ).stderr.startswith("3 of 3 were made before")


def test_files_restrict_a_replay_to_their_rows(redeg: Callable, work: Path) -> None:
    redeg("synthesize", "hq", "-o", "out", "--degrader", "bsrgan", "--variants", 2)
    (work / "odd").mkdir()
    shutil.copy(work / "hq" / "z.jpg", work / "odd" / "z.jpg")
    replay = ("synthesize", "--replay", "out/manifest.jsonl", "-o")
    # By its name wherever it is, or by the place that the manifest says.
    for files, names in (
        (("odd/z.jpg",), ["z_0001.png", "z_0002.png"]),
        (("hq/deep/ñ b.png",), ["deep/ñ b_0001.png", "deep/ñ b_0002.png"]),
    ):
        result = redeg(*replay, "part", *files)
        assert result.exit_code == 0, result.stderr
        assert result.stderr == (
            "4 of the LQs in out/manifest.jsonl are of other images: they are left out\n"
        )
        assert result.stdout.splitlines() == [f"part/{name}" for name in names]
        for name in names:
            made = (work / "part" / name).read_bytes()
            assert made == (work / "out" / name).read_bytes()
    draw(work / "odd" / "strange.png")
    none = redeg(*replay, "none", "odd/strange.png")
    assert none.exit_code == 1
    assert "has no row of strange.png, nor of another file given" in none.stderr
    short = redeg(*replay, "none", "odd")
    assert short.exit_code == 1
    assert "needs a.png, which is not in the folders given" in short.stderr
    assert not (work / "none").exists()


def test_hqs_that_are_gone_are_told_once(redeg: Callable, work: Path) -> None:
    redeg("synthesize", "hq", "-o", "out", "--degrader", "bsrgan")
    (work / "hq" / "a.png").unlink()
    replay = ("synthesize", "--replay", "out/manifest.jsonl", "-o")
    result = redeg(*replay, "again")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["again/deep/ñ b.png", "again/z.png"]
    told = "warning: 1 HQs are not where out/manifest.jsonl says: give a folder that holds all of"
    assert result.stderr.startswith(told)
    assert "1 of 3 failed" in result.stderr
    # What is made already needs no HQ.
    shutil.rmtree(work / "hq")
    assert redeg(*replay, "out").stderr == "3 of 3 were made before\n"


def test_runs_of_several_degraders_in_one_folder_replay(redeg: Callable, work: Path) -> None:
    redeg("synthesize", "hq/a.png", "-o", "out", "--degrader", "bsrgan")
    redeg("synthesize", "hq/z.jpg", "-o", "out", "--degrader", "classical", "--scale", 2)
    assert redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "again").exit_code == 0
    assert tree(work / "again") == tree(work / "out")


def test_a_set_of_omegas_replays(redeg: Callable, work: Path) -> None:
    save_pool(work / "pool.npz", save_redegnet(work / "tiny.safetensors"))
    made = redeg(
        *("synthesize", "hq", "-o", "out", "--device", "cpu"),
        *("--pool", "pool.npz", "--redegnet", "tiny.safetensors"),
    )
    assert made.exit_code == 0, made.stderr
    again = redeg(
        *("synthesize", "--replay", "out/manifest.jsonl", "-o", "again", "--device", "cpu"),
        *("--redegnet", "tiny.safetensors"),
    )
    assert again.exit_code == 0, again.stderr
    assert tree(work / "again") == tree(work / "out")
    save_pool(work / "pool.npz", work / "tiny.safetensors", count=5)
    other = redeg(
        *("synthesize", "--replay", "out/manifest.jsonl", "-o", "third", "--device", "cpu"),
        *("--redegnet", "tiny.safetensors"),
    )
    assert other.exit_code == 1
    assert "is not the pool that the manifest was made with" in other.stderr


def test_a_set_replays_from_another_folder(
    redeg: Callable, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pool(work / "pool.npz", save_redegnet(work / "tiny.safetensors"))
    options = ("--redegnet", work / "tiny.safetensors", "--device", "cpu")
    redeg("synthesize", "hq", "-o", "out", "--pool", "pool.npz", *options)
    (work / "elsewhere").mkdir()
    monkeypatch.chdir(work / "elsewhere")
    replay = ("synthesize", "--replay", "../out/manifest.jsonl", *options, "-o")
    assert redeg(*replay, "again").exit_code == 0
    assert tree(work / "elsewhere" / "again") == tree(work / "out")
    (work / "pool.npz").rename(work / "moved.npz")
    result = redeg(*replay, "third")
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: {work}/pool.npz, which the manifest was made with, does not exist: give --pool\n"
    )
    assert redeg(*replay, "third", "--pool", "../moved.npz").exit_code == 0
    assert tree(work / "elsewhere" / "third") == tree(work / "out")


def test_an_hq_that_changed_is_told(redeg: Callable, work: Path) -> None:
    redeg("synthesize", "hq", "-o", "out", "--degrader", "classical")
    draw(work / "hq" / "a.png", seed=99)
    result = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "again")
    assert result.exit_code == 1
    assert "hq/a.png has changed since the manifest was written" in result.stderr
    assert "1 of 3 failed" in result.stderr


def test_a_changed_toml_is_no_resume(redeg: Callable, work: Path) -> None:
    options = ("synthesize", "hq", "-o", "out", "--degrader", "mix.toml")
    assert redeg(*options).exit_code == 0
    assert redeg(*options).stderr.startswith("3 of 3 were made before")
    (work / "mix.toml").write_text(MIX.replace("0.1]", "0.2]"))
    result = redeg(*options)
    assert result.exit_code == 1
    assert "out/a.png was made with digest" in result.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row["record"]["steps"].append({"op": "melt"}), "unknown op 'melt'"),
        (lambda row: row["record"]["steps"].append({"op": "jpeg", "quality": 500}), "quality"),
        (lambda row: row.pop("record"), "lacks 'record'"),
        (lambda row: row.update(lq="../outside.png"), "is none that a synthesis wrote"),
        (lambda row: row.update(status="failed"), "holds no LQ that was made"),
    ],
)
def test_a_doctored_manifest_is_refused(
    redeg: Callable, work: Path, change: Callable[[dict], object], message: str
) -> None:
    redeg("synthesize", "hq/a.png", "-o", "out", "--degrader", "classical")
    [row] = rows(work / "out")
    change(row)
    (work / "out" / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    result = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "again")
    assert result.exit_code == 1
    assert message in result.stderr
    assert not list(work.glob("**/outside.png"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("hq", "--degrader", "bsrgun"), 2, "no degrader 'bsrgun' (did you mean 'bsrgan'?)"),
        (("hq", "--degrader", "none.toml"), 2, "none.toml does not exist"),
        (("hq", "--degrader", "omega"), 2, "--pool"),
        (("--degrader", "bsrgan"), 2, "give HQ images"),
        (("hq",), 2, "give --pool, --adapted, --replay, or --degrader"),
        (("--replay", "none.jsonl"), 1, "none.jsonl does not exist"),
        (("--replay", "none.jsonl", "--seed", 3), 2, "from the manifest"),
        (("--replay", "none.jsonl", "--degrader", "bsrgan"), 2, "from the manifest"),
        (("--replay", "none.jsonl", "--format", "png"), 2, "from the manifest"),
    ],
)
def test_mistakes(redeg: Callable, work: Path, arguments: tuple, code: int, message: str) -> None:
    result = redeg("synthesize", *arguments, "-o", "out")
    assert result.exit_code == code
    assert message in result.stderr
    assert not (work / "out").exists()


def test_an_image_smaller_than_a_kernel_is_named(redeg: Callable, work: Path) -> None:
    (work / "wide.toml").write_text('steps = [{ op = "blur", size = 41, sigma = 3 }]\n')
    result = redeg("synthesize", "hq", "-o", "out", "--degrader", "wide.toml", "--scale", 1)
    assert result.exit_code == 1
    assert "z.jpg: an image of 70x32 is smaller than the 41x41 kernel of steps[0] (blur)" in (
        result.stderr
    )
    assert "1 of 3 failed" in result.stderr


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ('{ op = "jpg", quality = 3 }', "steps[0]: unknown op 'jpg' (did you mean 'jpeg'?)"),
        ('{ op = "jpeg", qualty = 3 }', "unknown key 'qualty' (did you mean 'quality'?)"),
        ('{ op = "jpeg", quality = [30, 300] }', "'quality': Input should be less than or equal"),
        ('{ op = "jpeg" }', "'quality': Field required"),
        ('{ op = "jpeg", quality = 30, p = 2 }', "steps[0].p: a probability lies between"),
    ],
)
def test_a_wrong_toml_is_told_by_key(redeg: Callable, work: Path, steps: str, message: str) -> None:
    (work / "wrong.toml").write_text(f"steps = [{steps}]\n")
    result = redeg("synthesize", "hq", "-o", "out", "--degrader", "wrong.toml")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: wrong.toml: steps[0]")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (work / "out").exists()


@pytest.mark.parametrize("count", [2, 5])
def test_the_parts_of_a_set_are_the_set(redeg: Callable, work: Path, count: int) -> None:
    for i in range(12):
        draw(work / "hq" / f"{i}.png")
    options = ("--degrader", "bsrgan", "--variants", 2, "--seed", 3)
    redeg("synthesize", "hq", "-o", "all", *options)
    whole = {path: data for path, data in tree(work / "all").items() if path.endswith(".png")}
    parts: dict[str, bytes] = {}
    lines: list[str] = []
    for number in range(1, count + 1):
        part = redeg("synthesize", "hq", "-o", "part", *options, "--shard", f"{number}/{count}")
        assert part.exit_code == 0, part.stderr
        made = {path: data for path, data in tree(work / "part").items() if path.endswith(".png")}
        assert 0 < len(made) < len(whole)
        assert parts.keys().isdisjoint(made)
        parts |= made
        lines += (work / "part" / "manifest.jsonl").read_text().splitlines()
        shutil.rmtree(work / "part")
    assert parts == whole
    # Their manifests, one after the other, are one of the whole, of which a part is replayed.
    (work / "joined.jsonl").write_text("\n".join(lines) + "\n")
    again = redeg("synthesize", "--replay", "joined.jsonl", "-o", "part", "--shard", f"1/{count}")
    assert again.exit_code == 0, again.stderr
    made = {path: data for path, data in tree(work / "part").items() if path.endswith(".png")}
    assert made == {path: data for path, data in whole.items() if path in made}
    assert 0 < len(made) < len(whole)


def test_an_image_stays_in_its_part_and_a_part_may_be_empty(redeg: Callable, work: Path) -> None:
    options = ("--degrader", "bsrgan", "--shard", "1/2")
    first = redeg("synthesize", "hq", "-o", "first", *options).stdout.splitlines()
    for i in range(8):
        draw(work / "hq" / f"0{i}.png")
    more = redeg("synthesize", "hq", "-o", "more", *options).stdout.splitlines()
    assert [line.replace("first/", "more/") for line in first] == [
        line for line in more if not line.startswith("more/0")
    ]
    single = [
        redeg("synthesize", "hq/a.png", "-o", "one", "--degrader", "bsrgan", "--shard", f"{k}/9")
        for k in range(1, 10)
    ]
    assert all(each.exit_code == 0 for each in single)
    assert [len(each.stdout.splitlines()) for each in single].count(1) == 1
    assert sum("falls into part" in each.stderr for each in single) == 8


@pytest.mark.parametrize("shard", ["0/4", "5/4", "3", "a/b", "1/0", "-1/4", "1/4/2"])
def test_a_part_that_there_is_not_is_refused(redeg: Callable, work: Path, shard: str) -> None:
    made = redeg("synthesize", "hq", "-o", "out", "--degrader", "bsrgan", f"--shard={shard}")
    assert made.exit_code == 2
    assert "expected K/N" in made.stderr
    assert not (work / "out").exists()


def test_two_images_of_one_name_are_told_in_every_part(redeg: Callable, work: Path) -> None:
    draw(work / "hq" / "a.jpg")
    for number in range(1, 5):
        options = ("--degrader", "bsrgan", "--shard", f"{number}/4")
        made = redeg("synthesize", "hq", "-o", "out", *options)
        assert made.exit_code == 1
        assert "a.jpg and a.png would both become a.png" in made.stderr


def test_no_part_replaces_an_hq_of_another(redeg: Callable, work: Path) -> None:
    draw(work / "hq" / "a_0002.png")
    before = (work / "hq" / "a_0002.png").read_bytes()
    command = ("synthesize", "hq/a.png", "hq/a_0002.png", "-o", "hq", "--overwrite")
    options = ("--degrader", "bsrgan", "--variants", 2, "--shard")
    parts = [redeg(*command, *options, f"{number}/64") for number in range(1, 65)]
    assert sum("would replace hq/a_0002.png, which is an HQ" in each.stderr for each in parts) == 1
    assert (work / "hq" / "a_0002.png").read_bytes() == before
