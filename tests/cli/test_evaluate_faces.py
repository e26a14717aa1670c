"""``redeg evaluate faces``: its files, its errors, its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from redeg_cli.io.images import read_rgb, write_rgb


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    write_rgb(tmp_path / "in" / "a.png", data.astronaut()[:320, 60:380] / np.float32(255))
    write_rgb(tmp_path / "in" / "flat.png", np.full((80, 80, 3), 0.5, np.float32))
    return tmp_path / "in"


def test_files_and_json_agree(redeg: Callable, portraits: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    common = ("evaluate", "faces", portraits, "--device", "cpu", "--side", 64)
    result = redeg(*common, "-o", out, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == json.loads((out / "faces.json").read_text())
    assert told["model"] == "face-restorer"
    assert told["faces"] == 1
    assert [each["side"] for each in told["sizes"]] == [64]
    assert "left out: flat.png: no face was found" in result.stderr
    assert f"{told['sizes'][0]['restored']['mean']:.2f}" in (out / "faces.md").read_text()
    assert read_rgb(out / "faces.png").shape == (256, 768, 3)
    again = redeg(*common, "-o", out)
    assert again.exit_code == 1
    assert "exists" in again.stderr


def test_portraits_that_cannot_be_read_are_told_and_the_others_measured(
    redeg: Callable, portraits: Path
) -> None:
    (portraits / "text.png").write_text("no picture")
    result = redeg("-q", "evaluate", "faces", portraits, "--device", "cpu", "--side", 64, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["faces"] == 1
    assert told["left_out"] == ["flat.png: no face was found"]
    assert [each["name"] for each in told["failed"]] == ["text.png"]
    first, second = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert "text.png is not an image" in first
    assert second == "1 portraits could not be read; the others were measured"


def test_wrong_requests_are_one_line(redeg: Callable, portraits: Path, tmp_path: Path) -> None:
    assert redeg("evaluate", "faces", portraits, "--side", 100).exit_code == 2
    (tmp_path / "none").mkdir()
    write_rgb(tmp_path / "none" / "flat.png", np.full((80, 80, 3), 0.5, np.float32))
    result = redeg("evaluate", "faces", tmp_path / "none", "--device", "cpu")
    assert result.exit_code == 1
    assert "no face was found in 1 pictures" in result.stderr
