"""``redeg evaluate restore``: what a user gives and what comes out, good and bad."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from redeg_cli.io.images import read_rgb, write_rgb


def draw(path: Path, size: tuple[int, int] = (48, 64), noise: float = 0.02, seed: int = 0) -> None:
    """Write a smooth picture of (height, width); its grain differs by seed."""
    coarse = np.random.default_rng(7).uniform(0.2, 0.8, (4, 5, 3)).astype(np.float32)
    picture = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)
    write_rgb(path, picture + np.random.default_rng(seed).normal(0, noise, picture.shape))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """References hr/, LQs lq/ of scale 2, and results fine/ and coarse/ of three images."""
    for number, name in enumerate(("1.png", "n/2.png", "10.png")):
        draw(tmp_path / "hr" / name, seed=number)
        draw(tmp_path / "lq" / name, (24, 32), seed=number + 10)
        draw(tmp_path / "fine" / name, noise=0.03, seed=number + 20)
        draw(tmp_path / "coarse" / name, noise=0.09, seed=number + 30)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def evaluate(redeg: Callable, work: Path) -> Callable:
    del work
    return lambda *arguments: redeg("evaluate", "restore", *arguments, "--device", "cpu")


def test_folders_against_references(evaluate: Callable) -> None:
    result = evaluate("fine", "rough=coarse", "--reference", "hr", "--baseline", "rough")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "PSNR (dB) ↑" in result.stdout
    assert "SSIM ↑" in result.stdout
    assert "rough" in result.stdout
    assert "hr (references), 3 images; RGB, border of 0 pixels left out." in result.stdout
    assert "difference to rough" in result.stdout


def test_the_report(evaluate: Callable, work: Path) -> None:
    arguments = ("fine", "coarse", "-r", "hr", "--colour", "y", "--crop", 4, "-o", "report")
    result = evaluate(*arguments, "--sheet", 2)
    assert result.exit_code == 0, result.output
    names = ["per_image.csv", "result.json", "sheet.png", "table.md", "table.tex"]
    assert sorted(path.name for path in (work / "report").iterdir()) == names
    assert "written to report: table.md" in result.stderr
    text = (work / "report" / "per_image.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert [(row["image"], row["method"]) for row in rows[:3]] == [
        *(("1", "fine"), ("1", "coarse"), ("10", "fine"))
    ]
    record = json.loads((work / "report" / "result.json").read_text(encoding="utf-8"))
    assert record["settings"]["colour"] == "y"
    assert record["settings"]["crop"] == 4
    mean = np.mean([float(row["psnr"]) for row in rows if row["method"] == "fine"])
    assert record["methods"][0]["metrics"]["psnr"]["mean"] == pytest.approx(mean)
    # 2 strips of whole image, two methods and reference
    assert read_rgb(work / "report" / "sheet.png").shape[1] == 4 * 270 + 14
    again = evaluate(*arguments)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "exists; give --overwrite" in again.stderr
    assert evaluate(*arguments, "--overwrite", "--show", "n/2").exit_code == 0
    assert "did you mean" in evaluate(*arguments, "--overwrite", "--show", "n/3").stderr


def test_models_on_the_fly(evaluate: Callable, redeg: Callable, tiny_model: Path) -> None:
    """The tiny model enlarges by bicubic; what is measured is what `redeg restore` would save."""
    model = ("--model", f"net={tiny_model}")
    saved = redeg("restore", "lq", "-o", "saved", "--model", tiny_model, "--device", "cpu")
    assert saved.exit_code == 0, saved.output
    result = evaluate("saved", "-r", "hr", "--lq", "lq", *model, "--model", "bicubic", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert [method["name"] for method in record["methods"]] == ["saved", "net", "bicubic"]
    means = [method["metrics"]["psnr"]["mean"] for method in record["methods"]]
    assert means[0] == means[1]
    assert means[2] == pytest.approx(means[0], abs=0.3)
    assert len(record["methods"][1]["fingerprint"]) == 12
    assert record["settings"]["scale"] == 2


def test_a_data_set(evaluate: Callable, work: Path) -> None:
    (work / "set").mkdir()
    (work / "hr").rename(work / "set" / "HR")
    (work / "lq").rename(work / "set" / "LR_x2")
    result = evaluate("fine", "--dataset", "set", "--model", "bicubic")
    assert result.exit_code == 0, result.output
    assert "set (HR and LQ folders), 3 images" in result.stdout


def test_without_references(evaluate: Callable, work: Path) -> None:
    draw(work / "old photos" / "a.png", (220, 240))
    result = evaluate("--lq", "old photos", "--model", "bicubic", "--scale", 1)
    assert result.exit_code == 0, result.output
    assert "NIQE ↓" in result.stdout
    assert "PSNR" not in result.stdout
    said = evaluate("--lq", "old photos", "--model", "bicubic", "--scale", 1, "--metric", "psnr")
    assert said.exit_code == 1
    assert said.stderr == "error: old photos has no references, which psnr needs\n"


def test_what_is_wrong_is_named_and_the_rest_measured(evaluate: Callable, work: Path) -> None:
    (work / "fine" / "1.png").unlink()
    draw(work / "fine" / "10.png", (50, 64))
    draw(work / "fine" / "extra.png")
    draw(work / "fine" / "n" / "2.jpg", noise=0.01)
    result = evaluate("fine", "coarse", "-r", "hr", "--json")
    assert result.exit_code == 1
    record = json.loads(result.stdout)
    fine, coarse = record["methods"]
    assert (fine["failed"], fine["metrics"]["psnr"]["n"]) == (2, 1)
    assert (coarse["failed"], coarse["metrics"]["psnr"]["n"]) == (0, 3)
    assert "extra.png is left out: it has no partner" in result.stderr
    assert "2.png is left out: 2.jpg has the same name" in result.stderr
    assert "fine: no result in fine (1 images: 1)" in result.stderr
    sizes = "the result is 64x50, its reference 64x48 pixels: give --scale 3"
    assert f"fine: {sizes}" in result.stderr
    assert "2 of 6 results without all values, 2 pictures left out" in result.stderr


def test_many_failures_are_counted(evaluate: Callable, work: Path) -> None:
    for number in range(30):
        draw(work / "fine" / f"extra{number}.png", (8, 8))
    said = evaluate("fine", "-r", "hr").stderr.splitlines()
    assert len(said) == 22
    assert said[20].startswith("error: and 10 more")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("empty", "-r", "hr"), "empty holds no images"),
        (("gone", "-r", "hr"), "gone does not exist: give a folder"),
        (("fine", "-r", "gone"), "gone does not exist"),
        (("fine", "--dataset", "empty"), "empty holds no images"),
        (("other", "-r", "hr"), "no picture in other has the name of one"),
        (("fine", "-r", "hr", "--metric", "pnsr"), "no metric 'pnsr' (did you mean 'psnr'?)"),
        (("fine", "hr", "fine", "-r", "hr"), "got fine, hr, fine: give NAME=FOLDER"),
        (("fine", "-r", "hr", "--baseline", "fin"), "did you mean 'fine'?"),
        (("--lq", "lq", "-r", "hr", "--model", "nothing"), "no model is called 'nothing'"),
        (("fine", "-r", "hr", "-o", "hr/1.png"), "hr/1.png is a file, not a folder"),
    ],
)
def test_mistakes(evaluate: Callable, work: Path, arguments: tuple[str, ...], words: str) -> None:
    (work / "empty").mkdir()
    draw(work / "other" / "z.png")
    result = evaluate(*arguments)
    code = 2 if {"pnsr", "nothing"} & {*arguments} else 1  # a name that nobody knows
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-r", "hr"), "give folders of results, or --model"),
        (("fine",), "give --dataset, or --reference and --lq"),
        (("fine", "-r", "hr", "--dataset", "hr"), "give --dataset, or --reference"),
        (("-r", "hr", "--model", "bicubic"), "--model restores LQs"),
        (("--lq", "lq", "--model", "bicubic"), "give --scale"),
        (("fine", "-r", "hr", "--colour", "lab"), "'lab' is not one of"),
    ],
)
def test_wrong_usage(evaluate: Callable, arguments: tuple[str, ...], words: str) -> None:
    result = evaluate(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_metrics_that_are_unavailable(evaluate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named: an error after everything else was measured. Among all: only listed."""
    why = "run `redeg models download it`"
    monkeypatch.setattr(
        "redeg_cli.evaluate.restoration.why_unavailable",
        lambda name: None if name in ("psnr", "ssim") else why,
    )
    result = evaluate("fine", "-r", "hr", "--metric", "lpips", "--metric", "psnr")
    assert result.exit_code == 1
    assert "PSNR" in result.stdout
    assert f"LPIPS: unavailable: {why}" in result.stdout
    assert result.stderr == f"error: lpips is unavailable: {why}\n"
    result = evaluate("fine", "-r", "hr", "--metric", "all")
    assert result.exit_code == 0, result.output
    assert f"NIMA: unavailable: {why}" in result.stdout


def test_list(redeg: Callable) -> None:
    result = redeg("evaluate", "restore", "--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["psnr", "reference"]
    assert all("available" in line for line in lines)
    rows = json.loads(redeg("evaluate", "restore", "--list", "--json").stdout)
    assert [row["name"] for row in rows][:2] == ["psnr", "ssim"]
    assert rows[0]["unavailable"] is None
