"""``--mask`` of ``restore`` and ``finetune``: which mask belongs to which photo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def draw(path: Path, value: int, spot: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 40), value, np.uint8)
    if spot is not None:
        pixels[15:18, 10:30] = spot
    Image.fromarray(pixels).save(path)


def spread(path: Path) -> int:
    return int(np.ptp(np.asarray(Image.open(path).convert("L"))))


@pytest.fixture
def restore(redeg: Callable, tiny_model: Path) -> Callable:
    return lambda *arguments: redeg("restore", *arguments, "--model", tiny_model, "--device", "cpu")


def test_scratch_of_one_photo_is_filled(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "old.png", 90, 250)
    draw(tmp_path / "mask.png", 0, 255)
    plain = restore(tmp_path / "old.png", "-o", tmp_path / "plain.png")
    result = restore(
        tmp_path / "old.png", "-o", tmp_path / "o.png", "--mask", tmp_path / "mask.png"
    )
    assert (plain.exit_code, result.exit_code) == (0, 0)
    assert result.stderr == "old.png: 3.8% of it is marked, and filled from around it\n"
    assert spread(tmp_path / "plain.png") > 100
    assert spread(tmp_path / "o.png") < 10


def test_masks_of_a_folder_go_by_name(restore: Callable, tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "2.png"):
        draw(tmp_path / "in" / name, 90, 250)
    draw(tmp_path / "masks" / "b" / "1.jpg", 0, 255)
    draw(tmp_path / "masks" / "3.png", 0, 255)
    result = restore(tmp_path / "in", "-o", tmp_path / "o", "--mask", tmp_path / "masks")
    assert result.exit_code == 0
    left_out = tmp_path / "masks" / "3.png"
    assert f"warning: the mask {left_out} is left out: no photo has its name" in result.stderr
    spreads = {name: spread(tmp_path / "o" / name) for name in ("a/1.png", "b/1.png", "2.png")}
    assert [name for name, each in spreads.items() if each < 10] == ["b/1.png"]


def test_masks_that_fit_no_photo(restore: Callable, tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        draw(tmp_path / "in" / name, 90)
    draw(tmp_path / "masks" / "3.png", 0, 255)
    result = restore(tmp_path / "in", "-o", tmp_path / "o", "--mask", tmp_path / "masks")
    assert result.exit_code == 1
    assert "has the name of a photo: 1.png, ..." in result.stderr
    mask = tmp_path / "masks" / "3.png"
    result = restore(tmp_path / "in", "-o", tmp_path / "o", "--mask", mask)
    assert result.exit_code == 2
    assert "is one mask, and there are 2 photos" in " ".join(result.stderr.split())


def test_a_wrong_mask_is_the_failure_of_its_photo(restore: Callable, tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        draw(tmp_path / "in" / name, 90)
        draw(tmp_path / "masks" / name, 0, 255)
    Image.new("L", (9, 9)).save(tmp_path / "masks" / "1.png")
    result = restore(tmp_path / "in", "-o", tmp_path / "o", "--mask", tmp_path / "masks")
    assert result.exit_code == 1
    assert "is 9x9 pixels and the photo 40x40" in result.stderr
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["2.png"]


def test_masks_among_the_photos_are_no_photos(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "album" / "1.png", 90, 250)
    draw(tmp_path / "album" / "masks" / "1.png", 0, 255)
    masks = tmp_path / "album" / "masks"
    result = restore(tmp_path / "album", "-o", tmp_path / "o", "--mask", masks)
    assert result.exit_code == 0
    assert result.stdout.split() == [str(tmp_path / "o" / "1.png")]
    assert spread(tmp_path / "o" / "1.png") < 10


@pytest.mark.parametrize("mask", [True, False])
def test_nothing_but_results_is_an_error(restore: Callable, tmp_path: Path, mask: bool) -> None:
    draw(tmp_path / "only" / "out" / "1.png", 90)
    draw(tmp_path / "masks" / "1.png", 0, 255)
    options = ("--mask", tmp_path / "masks") if mask else ()
    result = restore(tmp_path / "only", "-o", tmp_path / "only" / "out", *options)
    assert result.exit_code == 1
    assert "all images given lie in the output folder" in result.stderr


def test_results_and_masks_are_not_fine_tuned_on(redeg: Callable, tmp_path: Path) -> None:
    for name in ("out/1.png", "masks/1.png"):
        draw(tmp_path / "only" / name, 90)
    out, masks = tmp_path / "only" / "out", tmp_path / "only" / "masks"
    result = redeg("finetune", tmp_path / "only", "-o", out, "--mask", masks, "--device", "cpu")
    assert result.exit_code == 1
    told = f"error: all images given lie in --mask {masks} or the output folder {out}"
    assert told in result.stderr


def test_two_masks_of_one_photo_are_refused(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "1.png", 90)
    masks = tmp_path / "masks"
    for name in ("1.png", "1.jpg", "2.jpg", "2.png"):
        draw(masks / name, 0, 255)
    result = restore(tmp_path / "in", "-o", tmp_path / "o", "--mask", masks)
    assert result.exit_code == 1
    both = f"{masks / '1.jpg'} and {masks / '1.png'}"
    assert f"error: {both} are both masks of 1.png: keep one of them" in result.stderr
    (masks / "1.jpg").unlink()
    result = restore(tmp_path / "in", "-o", tmp_path / "o", "--mask", masks)
    assert result.exit_code == 0
    for name in ("2.jpg", "2.png"):
        assert f"the mask {masks / name} is left out" in result.stderr


def test_photos_of_one_name_share_the_mask(restore: Callable, tmp_path: Path) -> None:
    for name in ("1.bmp", "1.png"):
        draw(tmp_path / "in" / name, 90, 250)
    draw(tmp_path / "masks" / "1.png", 0, 255)
    result = restore(tmp_path / "in", "-o", tmp_path / "o", "--mask", tmp_path / "masks")
    assert result.exit_code == 0
    assert result.stderr.count("is marked, and filled") == 2
    assert [spread(path) < 10 for path in (tmp_path / "o").iterdir()] == [True, True]
