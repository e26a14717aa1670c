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
