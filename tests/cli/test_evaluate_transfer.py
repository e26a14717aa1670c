"""``redeg evaluate transfer``: its files, its errors, its exit codes."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import typer
from degraded import draw, save_face_restorer, save_redegnet
from typer.testing import CliRunner

from redeg_cli.cli.evaluate_transfer import transfer
from redeg_cli.errors import RedegError
from redeg_cli.evaluate import robustness, screen_transfer
from redeg_cli.evaluate import transfer as measured
from redeg_cli.evaluate.realism import judge_realism
from redeg_cli.io.images import read_rgb


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("faces", "natural"):
        for number in range(3):
            draw(tmp_path / folder / f"{number}.png", (96, 80 + len(folder)), seed=number)
    save_redegnet(tmp_path / "tiny.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(screen_transfer, "SIDE", 128)
    monkeypatch.setattr(robustness, "SIZES", ((8, 8), (17, 31)))
    monkeypatch.setattr(robustness, "_SIDE", 16)
    monkeypatch.setattr(measured, "judge_realism", partial(judge_realism, steps=2))
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable:
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer()
    app.command()(transfer)

    def with_options(*options: object):
        given = ("--faces", "faces", "--natural", "natural", "--redegnet", "tiny.safetensors")
        settings = ("--crop", 64, "-n", 12, "--device", "cpu")
        return CliRunner().invoke(app, [str(o) for o in (*given, *settings, *options)])

    return with_options


def test_files_and_json_agree(run: Callable, work: Path) -> None:
    result = run("--only", "noise", "--only", "blur", "-o", "out", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told == json.loads((work / "out" / "transfer.json").read_text())
    assert [each["family"] for each in told["families"]] == ["blur", "noise"]
    assert told["model"] == "tiny"
    assert told["faces"] == {"folder": "faces", "images": 3}
    assert told["failed"] == []
    psnr = told["families"][0]["psnr_hq"]
    assert (psnr["n"], psnr["low"] < psnr["mean"] < psnr["high"]) == (12, True)
    assert f"{psnr['mean']:.2f} [" in (work / "out" / "transfer.md").read_text()
    assert read_rgb(work / "out" / "transfer.png").shape[1] > 4 * 256
    again = run("--only", "noise", "--only", "blur", "-o", "out")
    assert again.exit_code == 1
    assert isinstance(again.exception, RedegError)
    assert "transfer.json exists" in str(again.exception)


def test_pseudo_hqs_are_measured_beside_the_hqs(run: Callable, work: Path) -> None:
    save_face_restorer(work / "face.safetensors")
    figures = {}
    for name in ("face.safetensors", "none"):
        result = run("--only", "blur", "--face-restorer", name, "--json", "-o", name + " out")
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["face_restorer"] == name
        (figures[name],) = told["families"]
    assert figures["none"].pop("psnr_pseudo") is None
    assert figures["none"].pop("detail_ratio_pseudo") is None
    by_pseudo = figures["face.safetensors"].pop("psnr_pseudo")
    assert by_pseudo["n"] == 12
    assert by_pseudo != figures["none"]["psnr_right"]
    assert figures["face.safetensors"].pop("detail_ratio_pseudo") > 0
    assert figures["face.safetensors"] == figures["none"]  # the rest is not touched by it
    tables = [(work / f"{name} out" / "transfer.md").read_text() for name in figures]
    assert [text.count("| by pseudo-HQ |") for text in tables] == [2, 0]


def test_small_faces_are_enlarged_for_the_face_restorer(run: Callable, work: Path) -> None:
    save_face_restorer(work / "face.safetensors")
    figures = []
    for zoom in (1, 2):
        options = ("--face-restorer", "face.safetensors", "--face-zoom", zoom, "--json")
        result = run("--only", "blur", *options)
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told["face_zoom"] == zoom
        figures.append(told["families"][0])
    plain, zoomed = figures
    assert plain["psnr_pseudo"] != zoomed["psnr_pseudo"]
    assert plain["psnr_right"] == zoomed["psnr_right"]


def test_a_broken_file_is_named_and_the_rest_is_measured(run: Callable, work: Path) -> None:
    (work / "natural" / "broken.png").write_bytes(b"no picture")
    draw(work / "natural" / "small.png", (32, 32))
    result = run("--only", "blur")
    assert result.exit_code == 1
    assert "right Ω" in result.stdout
    assert "broken.png" in result.stderr
    assert "1 images could not be read" in result.stderr
    assert "1 images are smaller than 64 px" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--faces", "none"), "none does not exist"),
        (("--natural", "tiny.safetensors"), "is a file, not a folder"),
        (("--crop", 96), "smaller than 96 px"),
        (("--redegnet", "nothing"), "no model is called 'nothing'"),
    ],
)
def test_what_cannot_be_measured(
    run: Callable, work: Path, options: tuple[object, ...], message: str
) -> None:
    del work
    result = run(*options)
    assert result.exit_code == 1
    assert isinstance(result.exception, RedegError)
    assert message in str(result.exception)


@pytest.mark.parametrize("options", [("--crop", 68), ("-n", 3), ("--only", "blurr")])
def test_wrong_usage(run: Callable, work: Path, options: tuple[object, ...]) -> None:
    del work
    assert run(*options).exit_code == 2


def test_an_image_is_not_measured_on_itself(run: Callable, work: Path) -> None:
    del work
    result = run("--natural", "faces")
    assert result.exit_code == 2
    assert "faces is given twice" in " ".join(result.output.split())


def test_the_families_are_those_of_the_package() -> None:
    from redeg_cli.cli.evaluate_transfer import Family
    from redeg_cli.omega.families import FAMILIES

    assert tuple(family.value for family in Family) == FAMILIES
