"""``redeg synthesize --pairs``: LQs with their HQs, as trainers take them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from degraded import draw, tree
from PIL import Image

from redeg_cli.evaluate.dataset import pair_folders
from redeg_cli.evaluate.layouts import find_dataset
from redeg_cli.io.images import Photo, read_photo, read_rgb, write_photo
from redeg_cli.io.manifest import read_manifest
from redeg_cli.io.pairs import find_pairs, pair_scale
from redeg_cli.io.registered_pairs import find_registered
from redeg_cli.train.registered import load_registered

CLASSICAL = ("--degrader", "classical", "--scale", 2)


@pytest.fixture
def make(redeg: Callable, work: Path) -> Callable:
    """Make pairs of hq/: ``make(out, *more)``; fits.png has sides that are multiples of 2."""
    draw(work / "hq" / "fits.png", (80, 64))

    def go(out: str, *more: object, hq: str = "hq"):
        return redeg("synthesize", hq, "-o", out, "--pairs", *CLASSICAL, *more)

    return go


def pictures(folder: Path) -> dict[str, bytes]:
    return {path: data for path, data in tree(folder).items() if path.endswith(".png")}


def test_every_lq_has_an_hq_of_its_name_that_fits(make: Callable, work: Path) -> None:
    made = make("out", "--variants", 2)
    assert (made.exit_code, made.stderr) == (0, "")
    assert made.stdout.splitlines()[:2] == ["out/lq/a_0001.png", "out/hq/a_0001.png"]
    pairs, problems = find_pairs([work / "out"])
    assert (len(pairs), problems) == (8, [])
    rows = {row["lq"]: row for row in read_manifest(work / "out" / "manifest.jsonl")}
    for pair in pairs:
        assert pair.lq.relative_to(work / "out/lq") == pair.hq.relative_to(work / "out/hq")
        lq, hq = read_rgb(pair.lq), read_rgb(pair.hq)
        assert hq.shape == (2 * lq.shape[0], 2 * lq.shape[1], 3)
        assert pair_scale(lq.shape[:2], hq.shape[:2], None) == (2, True)
        row = rows[f"lq/{pair.name}"]
        assert row["pair"] == f"hq/{pair.name}"
        assert row["pair_bytes"] == pair.hq.stat().st_size
        np.testing.assert_array_equal(hq, read_rgb(row["hq"])[: hq.shape[0], : hq.shape[1]])


def test_the_readers_take_the_folder(make: Callable, work: Path) -> None:
    assert make("out", "--variants", 2).exit_code == 0
    registered, problems = find_registered([work / "out"], 2)
    assert (len(registered), problems) == (8, [])
    assert len(load_registered([work / "out"], 2, 16, max_shift=9).pairs) == 8
    given = pair_folders(work / "out" / "hq", work / "out" / "lq")
    for dataset in (find_dataset(work / "out", 2), given):
        assert (len(dataset.samples), len(dataset.problems)) == (8, 0)


def test_what_need_not_be_written_is_linked(make: Callable, work: Path) -> None:
    make("out", "--variants", 3)
    source = work / "hq" / "fits.png"
    for number in (1, 2, 3):
        assert os.path.samefile(work / "out" / "hq" / f"fits_000{number}.png", source)
    first = work / "out" / "hq" / "z_0001.png"
    assert first.stat().st_nlink == 3
    assert source.stat().st_nlink == 4


def test_without_links_they_are_copies(
    make: Callable, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("linked", "--variants", 2)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("os.link", refuse)
    assert make("out", "--variants", 2).exit_code == 0
    assert tree(work / "out") == tree(work / "linked")
    assert (work / "out" / "hq" / "fits_0001.png").stat().st_nlink == 1


@pytest.mark.parametrize("kind", ["gray", "transparent", "turned", "deep"])
def test_other_files_become_plain_ones(make: Callable, work: Path, kind: str) -> None:
    source, made = work / "odd" / "a.png", work / "out" / "hq" / "a.png"
    rgb = draw(source, (64, 48)).astype(np.float32)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 3
        with Image.open(source) as image:
            image.save(source, exif=exif)
    else:
        photo = {
            "gray": Photo(np.repeat(rgb[..., :1], 3, axis=2), gray=True),
            "transparent": Photo(rgb, alpha=rgb[..., 0]),
            "deep": Photo(rgb, bit_depth=16),
        }[kind]
        write_photo(source, photo)
    assert make("out", hq="odd").exit_code == 0
    hq = read_photo(made)
    assert os.path.samefile(made, source) == (kind == "deep")
    assert (hq.gray, hq.alpha, hq.bit_depth) == (False, None, 16 if kind == "deep" else 8)
    np.testing.assert_array_equal(hq.rgb, read_rgb(source))
    with Image.open(made) as image:
        assert image.getexif().get(0x0112) is None


def test_an_aligned_lq_is_as_large_as_the_cut_hq(make: Callable, work: Path) -> None:
    assert make("out", "--aligned").exit_code == 0
    assert read_rgb(work / "out/lq/deep/ñ b.png").shape == (40, 50, 3)
    assert read_rgb(work / "out/hq/deep/ñ b.png").shape == (40, 50, 3)


def first_only(out: Path) -> None:
    rows = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (out / "manifest.jsonl").write_bytes(rows[0])
    for side in ("lq", "hq"):
        (out / side / "z_0001.png").unlink()
        (out / side / "z_0002.png").unlink()


def no_rows(out: Path) -> None:
    (out / "manifest.jsonl").write_bytes(b"")


def between_lq_and_hq(out: Path) -> None:
    rows = (out / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    (out / "manifest.jsonl").write_bytes(b"".join(rows[:-1]))
    (out / "hq" / "z_0002.png").unlink()


def an_hq_is_lost(out: Path) -> None:
    (out / "hq" / "z_0001.png").unlink()


@pytest.mark.parametrize("stop", [first_only, no_rows, between_lq_and_hq, an_hq_is_lost])
def test_a_stopped_run_ends_like_one_that_was_not(
    make: Callable, work: Path, stop: Callable[[Path], None]
) -> None:
    make("out", "--variants", 2)
    whole = tree(work / "out")
    stop(work / "out")
    assert tree(work / "out") != whole
    result = make("out", "--variants", 2)
    assert result.exit_code == 0, result.stderr
    assert tree(work / "out") == whole


def test_a_set_of_pairs_replays_and_its_parts_are_the_set(
    redeg: Callable, make: Callable, work: Path
) -> None:
    make("out", "--variants", 2, "--seed", 3)
    again = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "again")
    assert again.exit_code == 0, again.stderr
    assert tree(work / "again") == tree(work / "out")
    parts: dict[str, bytes] = {}
    for number in (1, 2):
        options = ("--variants", 2, "--seed", 3, "--shard", f"{number}/2")
        make("part", *options)
        parts |= pictures(work / "part")
        shutil.rmtree(work / "part")
    assert parts == pictures(work / "out")
    refused = redeg("synthesize", "--replay", "out/manifest.jsonl", "-o", "third", "--pairs")
    assert refused.exit_code == 2


def test_a_bad_image_is_a_row_and_its_pair_is_not_there(make: Callable, work: Path) -> None:
    (work / "hq" / "bad.png").write_text("no picture")
    assert make("out").exit_code == 1
    rows = {row["lq"]: row for row in read_manifest(work / "out" / "manifest.jsonl")}
    assert (rows["lq/bad.png"]["status"], rows["lq/bad.png"]["pair"]) == ("failed", "hq/bad.png")
    assert not (work / "out" / "hq" / "bad.png").exists()
    assert len(find_pairs([work / "out"])[0]) == 4


def test_no_file_of_the_user_is_replaced(make: Callable, work: Path) -> None:
    before = tree(work / "hq")
    result = make(".", "--overwrite")
    assert result.exit_code == 1
    assert "the HQ of a.png would replace hq/a.png, which is an HQ" in result.stderr
    assert tree(work / "hq") == before
    draw(work / "out" / "hq" / "a.png", (10, 10))
    result = make("out")
    assert result.exit_code == 1
    assert "out/hq/a.png exists; give --overwrite" in result.stderr
    # An HQ that is linked is not written through.
    assert make("out", "--overwrite").exit_code == 0
    draw(work / "other" / "fits.png", (80, 64), seed=5)
    assert make("out", "--overwrite", hq="other").exit_code == 0
    assert tree(work / "hq") == before


def test_the_pair_of_a_replaced_hq_is_made_again(make: Callable, work: Path) -> None:
    make("out", "--variants", 2)
    draw(work / "hq" / "a.png", (64, 48), seed=99)
    (work / "hq" / "z.jpg").unlink()
    draw(work / "hq" / "z.jpg", (70, 33), seed=98)
    result = make("out", "--variants", 2)
    assert result.exit_code == 0, result.stderr
    make("fresh", "--variants", 2)
    assert tree(work / "out") == tree(work / "fresh")


def test_without_it_sides_that_do_not_fit_are_told(redeg: Callable, work: Path) -> None:
    del work
    result = redeg("synthesize", "hq", "-o", "out", "--degrader", "classical", "--scale", 4)
    assert result.stderr == (
        "2 images have sides that are no multiple of 4: their LQs are rounded up; --pairs cuts HQs "
        "to fit\n"
    )
    options = ("--degrader", "classical", "--scale", 4, "--aligned")
    assert redeg("synthesize", "hq", "-o", "aligned", *options).stderr == ""
