"""What ``redeg restore`` says of what it leaves out, and when nobody listens."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20), "green").save(path)


@pytest.fixture
def restore(redeg: Callable, tiny_model: Path) -> Callable:
    return lambda *arguments: redeg("restore", *arguments, "--model", tiny_model, "--device", "cpu")


def test_further_pages_are_told_once(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "one.png")
    pages = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "multi.tif", save_all=True, append_images=pages[1:])
    result = restore(tmp_path / "multi.tif", tmp_path / "one.png", "-o", tmp_path / "out")
    assert result.exit_code == 0
    name = tmp_path / "multi.tif"
    assert result.stderr == f"warning: {name}: page 1 of 2, the others are left out\n"
    with Image.open(tmp_path / "out" / "multi.png") as image:
        assert image.getpixel((9, 9)) == (255, 0, 0)


def test_files_of_a_kind_that_is_not_read_are_told_once(restore: Callable, tmp_path: Path) -> None:
    for folder in ("in", "more"):
        draw(tmp_path / folder / f"{folder}.png")
        for number in range(2):
            (tmp_path / folder / f"{number}.dng").write_bytes(b"x")
    for _ in range(2):  # each run says it
        result = restore(tmp_path / "in", tmp_path / "more", "-o", tmp_path / "o", "--overwrite")
        assert result.exit_code == 0
        told = "2 files are not read: 2 .dng (save them as JPEG or PNG)"
        assert result.stderr.splitlines() == [
            f"warning: {tmp_path / folder}: {told}" for folder in ("in", "more")
        ]


def test_photos_are_restored_though_nobody_reads_their_paths(
    tmp_path: Path, tiny_model: Path
) -> None:
    for name in ("a", "b", "c"):
        draw(tmp_path / "in" / f"{name}.png")
    reading, writing = os.pipe()
    os.close(reading)  # as `| head` leaves it
    words = ["restore", "in", "-o", "out", "--model", str(tiny_model), "--device", "cpu"]
    run = subprocess.run(
        [sys.executable, "-m", "redeg_cli", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


@pytest.mark.parametrize("name", ["out.bmp", "out.HEIC", "out.gif"])
def test_a_file_of_a_format_that_is_not_written_is_refused(
    restore: Callable, tmp_path: Path, name: str
) -> None:
    draw(tmp_path / "a.png")
    result = restore(tmp_path / "a.png", "-o", tmp_path / name)
    assert result.exit_code == 1
    suffix = Path(name).suffix
    told = f"cannot write {tmp_path / name}: the suffix {suffix} names no format, use one of .png,"
    assert result.stderr.startswith(f"error: {told}")
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()
    assert restore(tmp_path / "a.png", "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / name / "a.png").is_file()


@pytest.mark.parametrize("words", [["finetune"], ["synthesize", "--degrader", "bsrgan"]])
def test_a_file_name_for_several_results_is_wrong_usage(
    redeg: Callable, tmp_path: Path, words: list[str]
) -> None:
    draw(tmp_path / "a.png")
    for name in ("out.png", "out.bmp"):
        result = redeg(*words, tmp_path / "a.png", "-o", tmp_path / name)
        assert result.exit_code == 2
        assert "give a folder" in result.stderr
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("photo", "form", "name", "fine"),
    [
        ("a.png", "jpg", "x.png", False),
        ("a.png", "png", "x.webp", False),
        ("a.jpg", "keep", "x.png", False),
        ("a.png", "jpg", "x.JPEG", True),
        ("a.bmp", "keep", "x.png", True),
    ],
)
def test_a_format_that_the_file_name_contradicts_is_wrong_usage(
    restore: Callable, tmp_path: Path, photo: str, form: str, name: str, fine: bool
) -> None:
    draw(tmp_path / photo)
    result = restore(tmp_path / photo, "-o", tmp_path / name, "--format", form)
    assert result.exit_code == (0 if fine else 2)
    assert (f"--format {form}" in result.stderr) is not fine
    assert (tmp_path / name).exists() is fine
