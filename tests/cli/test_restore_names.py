"""Names, sizes and results of ``redeg restore`` that could be meant in more than one way."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from redeg_cli.io.checkpoints import load_tensors, save_tensors


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), "green").save(path)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture
def restore(redeg: Callable, tiny_model: Path) -> Callable:
    return lambda *arguments: redeg("restore", *arguments, "--model", tiny_model, "--device", "cpu")


def test_photos_of_one_name_have_their_suffix_in_that_of_the_result(
    restore: Callable, tmp_path: Path
) -> None:
    for name in ("a.png", "a.jpg", "b.jpg"):
        draw(tmp_path / "in" / name)
    result = restore(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 0
    names = ["a.jpg.png", "a.png.png", "b.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert restore(tmp_path / "in", "-o", tmp_path / "kept", "--format", "keep").exit_code == 0
    names = ["a.jpg", "a.png", "b.jpg"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == names


def test_results_of_one_name_all_the_same_are_refused(restore: Callable, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.jpg.jpg"):
        draw(tmp_path / "in" / name)
    result = restore(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "a.jpg and a.jpg.jpg would both become" in result.stderr
    assert not (tmp_path / "out").exists()


def test_results_that_exist_are_told_before_any_work(restore: Callable, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        draw(tmp_path / "in" / name)
    assert restore(tmp_path / "in" / "a.png", "-o", tmp_path / "out").exit_code == 0
    result = restore(tmp_path / "in", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: 1 of 3 results exist (")
    assert "--skip-existing" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_a_fine_tuned_model_knows_its_scale(
    redeg: Callable, tiny_model: Path, tmp_path: Path
) -> None:
    tensors, metadata = load_tensors(tiny_model)
    tuned = tmp_path / "tuned.safetensors"
    save_tensors(tuned, tensors, metadata | {"finetuned_scale": "1"})
    draw(tmp_path / "a.png")
    run = ("restore", tmp_path / "a.png", "--model", tuned, "--device", "cpu")
    result = redeg(*run, "-o", tmp_path / "one.png")
    assert (result.exit_code, result.stderr) == (0, "")
    result = redeg(*run, "-o", tmp_path / "two.png", "--scale", 2)
    assert result.exit_code == 0
    assert "was fine-tuned at scale 1: at 2 it restores as before fine-tuning" in result.stderr
    assert size(tmp_path / "one.png") == (40, 30)
    assert size(tmp_path / "two.png") == (80, 60)
