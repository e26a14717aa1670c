"""``redeg degrade-preview`` and ``redeg degraders``."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from degraded import draw, save_pool, save_redegnet

from redeg_cli.io.images import read_rgb


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    draw(tmp_path / "photo.png", (120, 96))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sheet_of_the_image_and_its_lqs(redeg: Callable, work: Path) -> None:
    result = redeg("degrade-preview", "photo.png", "--degrader", "bsrgan", "-n", 5)
    assert (result.exit_code, result.stdout) == (0, "photo_bsrgan.png\n")
    sheet = read_rgb(work / "photo_bsrgan.png")
    original = read_rgb(work / "photo.png")
    # The image itself comes first, 12 pixels from the corner; two rows of four follow it.
    np.testing.assert_allclose(sheet[12:108, 12:132], original, atol=1e-6)
    assert sheet.shape[1] == 4 * (120 + 12) + 12
    second = sheet[12:108, 144:264]
    assert 0.005 < np.abs(second - original).mean() < 0.3
    label = sheet[111:125, 144:264]
    assert label.min() < 0.4  # there is ink
    again = redeg("degrade-preview", "photo.png", "--degrader", "bsrgan", "-n", 5)
    assert again.exit_code == 1
    assert "photo_bsrgan.png exists" in again.stderr
    options = ("--degrader", "bsrgan", "-n", 5, "-o", "other.png")
    redeg("degrade-preview", "photo.png", *options)
    assert (work / "other.png").read_bytes() == (work / "photo_bsrgan.png").read_bytes()


def test_json_holds_the_records(redeg: Callable, work: Path) -> None:
    del work
    options = ("--degrader", "classical", "-n", 3, "--scale", 2, "--json")
    told = json.loads(redeg("degrade-preview", "photo.png", *options).stdout)
    assert told["sheet"] == "photo_classical.png"
    assert len(told["records"]) == 3
    assert {record["scale"] for record in told["records"]} == {2}


def test_a_pool_can_be_looked_at_too(redeg: Callable, work: Path) -> None:
    save_pool(work / "pool.npz", save_redegnet(work / "tiny.safetensors"))
    options = ("--pool", "pool.npz", "--redegnet", "tiny.safetensors", "-n", 2, "--device", "cpu")
    result = redeg("degrade-preview", "photo.png", *options)
    assert (result.exit_code, result.stdout) == (0, "photo_omega.png\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("none.png", "--degrader", "bsrgan"), 1, "none.png does not exist"),
        (("photo.png", "--degrader", "no"), 2, "no degrader 'no'"),
        (("tiny.png", "--degrader", "bsrgan"), 1, "tiny.png is 20x20 pixels"),
    ],
)
def test_mistakes(redeg: Callable, work: Path, arguments: tuple, code: int, message: str) -> None:
    draw(work / "tiny.png", (20, 20))
    result = redeg("degrade-preview", *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert sorted(path.name for path in work.iterdir()) == ["photo.png", "tiny.png"]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("sheet.txt", "the suffix .txt names no format"),
        ("photo.png/sheet.png", "photo.png is a file, not a folder"),
        ("folder", "folder is a folder, not a file"),
        (f"new/{'n' * 252}.png", "a name of 256 bytes is too long"),
    ],
)
def test_a_wrong_output_is_told_before_the_work(
    redeg: Callable, work: Path, monkeypatch: pytest.MonkeyPatch, output: str, message: str
) -> None:
    def worked(*_: object) -> None:
        raise AssertionError("there was work")

    monkeypatch.setattr("redeg_cli.run.preview.read_crop", worked)
    (work / "folder").mkdir()
    result = redeg("degrade-preview", "photo.png", "--degrader", "bsrgan", "-o", output)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert sorted(path.name for path in work.iterdir()) == ["folder", "photo.png"]


def test_degraders_are_listed_and_printed(redeg: Callable) -> None:
    lines = redeg("degraders").stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert {"bsrgan", "bsrgan-plus", "real-esrgan", "classical", "halftone", "old-photo"} <= {
        *names
    }
    assert json.loads(redeg("degraders", "--json").stdout)[0]["name"] == names[0]
    assert names[-4:] == ["omega", "adapted", "kernel-noise", "dml"]  # what a file decides
    printed = redeg("degraders", "bsrgan").stdout
    assert "\n[[steps]]\n" in printed
    assert "Zhang et al. 2021" in printed
    tables = json.loads(redeg("degraders", "bsrgan", "--json").stdout)
    assert tables["name"] == "bsrgan"
    assert tables["chains"]["jpeg"] == [{"op": "jpeg", "quality": {"integers": [30, 95]}}]
    result = redeg("degraders", "omega")
    assert result.exit_code == 2
    assert "omega has no TOML file, it is Ωs of a pool: --pool FILE" in " ".join(
        result.stderr.split()
    )
    result = redeg("degraders", "bsrgam")
    assert result.exit_code == 2
    assert "did you mean 'bsrgan'?" in result.stderr


def test_a_printed_preset_is_a_degrader_of_ones_own(redeg: Callable, work: Path) -> None:
    (work / "mine.toml").write_text(redeg("degraders", "bsrgan").stdout)
    for degrader, sheet in (("mine.toml", "mine"), ("bsrgan", "bsrgan")):
        options = ("--degrader", degrader, "-n", 2, "--json")
        told = json.loads(redeg("degrade-preview", "photo.png", *options).stdout)
        assert told["sheet"] == f"photo_{sheet}.png"
    first, second = (read_rgb(work / f"photo_{name}.png") for name in ("mine", "bsrgan"))
    np.testing.assert_allclose(first[12:108, 144:264], second[12:108, 144:264], atol=1e-6)


@pytest.mark.parametrize("through_link", [False, True])
def test_the_image_itself_is_never_overwritten(
    redeg: Callable, work: Path, through_link: bool
) -> None:
    if through_link:
        (work / "link.png").symlink_to(work / "photo.png")
    before = (work / "photo.png").read_bytes()
    output = "link.png" if through_link else "photo.png"
    arguments = ("photo.png", "--degrader", "bsrgan", "-o", output, "--overwrite")
    result = redeg("degrade-preview", *arguments)
    assert result.exit_code == 1
    assert "is the image itself: give another file with -o" in result.stderr
    assert (work / "photo.png").read_bytes() == before
