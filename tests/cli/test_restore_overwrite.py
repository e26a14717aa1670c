"""What ``redeg restore`` writes over, and what never."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from degraded import draw
from PIL import Image


def test_nothing_is_overwritten_unasked(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    target = tmp_path / "out" / "a.png"
    target.parent.mkdir()
    target.write_text("precious")
    refused = restore(tmp_path / "a.png", "-o", tmp_path / "out")
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert target.read_text() == "precious"
    skipped = restore(tmp_path / "a.png", "-o", tmp_path / "out", "--skip-existing")
    assert skipped.exit_code == 0
    assert skipped.stdout == ""
    assert "1 skipped" in skipped.stderr
    assert target.read_text() == "precious"
    replaced = restore(tmp_path / "a.png", "-o", tmp_path / "out", "--overwrite")
    assert replaced.exit_code == 0
    with Image.open(target) as image:
        assert image.size == (128, 96)


def test_a_photo_is_never_replaced_where_case_does_not_count(
    restore: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Screenshots of phones are called IMG_0001.PNG, on macOS that is IMG_0001.png."""
    draw(tmp_path / "IMG_1.PNG")
    monkeypatch.setattr("redeg_cli.io.listing.sys.platform", "darwin")
    result = restore(tmp_path / "IMG_1.PNG", "-o", tmp_path, "--overwrite")
    assert result.exit_code == 1
    assert "the photo itself" in result.stderr


def test_a_photo_is_never_replaced_by_its_result(restore: Callable, tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    for output in (tmp_path, tmp_path / "a.png"):
        result = restore(tmp_path / "a.png", "-o", output, "--overwrite")
        assert result.exit_code == 1
        assert "the photo itself" in result.stderr
    assert (tmp_path / "a.png").read_bytes() == before


def test_an_output_that_cannot_be_written_is_said_before_any_work(
    redeg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "a.png")
    (tmp_path / "file").write_text("not a folder")
    # The model does not exist: the line about the output must come first.
    for output in (tmp_path / "file", tmp_path / "file" / "deeper"):
        result = redeg("restore", tmp_path / "a.png", "-o", output, "--model", "none")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: cannot write to {output}")
        assert result.stderr.count("\n") == 1
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = redeg("restore", tmp_path / "a.png", "-o", tmp_path / "out", "--model", "none")
    assert result.exit_code == 1
    assert "no permission" in result.stderr
