"""``redeg train dml``: pairs in, a degradation model out."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from degraded import tree
from registered import boxes, write_realsr

from redeg_cli.degrade.dml import load_degradation
from redeg_cli.io.images import Photo, write_photo, write_rgb
from redeg_cli.nets.dml import DirectKPN

SMALL = (
    *("--set", 'config={"widths": [4]}', "--set", "crop=32", "--set", "batch=1"),
    *("--set", "steps=2", "--set", "precision=fp32"),
)


@pytest.fixture
def train(redeg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run in ``tmp_path`` with pairs/ in RealSR's layout at scale 2."""
    write_realsr(tmp_path / "pairs")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: redeg("train", "dml", *arguments, "--device", "cpu")


def test_a_model_comes_out(train: Callable) -> None:
    result = train("--pairs", "pairs", "--scale", 2, *SMALL)
    assert result.exit_code == 0, result.output
    assert result.stdout == "dml-x2/dml.safetensors\n"
    assert 'pairs = {"pairs": 3}' in result.stderr
    net = load_degradation("dml-x2/dml.safetensors")
    assert (net.scale, net.grid) == (2, "aligned")
    kept = json.loads(Path("dml-x2/recipe.json").read_text(encoding="utf-8"))
    assert kept["pairs"] == [str(Path("pairs").absolute())]


def test_a_rival_by_the_same_command_carries_on(train: Callable) -> None:
    arguments = ("--pairs", "pairs", "--scale", 2, "-o", "run", *SMALL)
    arguments += ("--set", "architecture=direct-kpn", "--set", "name=kpn")
    assert train(*arguments).exit_code == 0
    again = train(*arguments, "--set", "steps=3")
    assert again.exit_code == 0, again.output
    assert "carrying on from run/state.pt" in again.stderr
    assert isinstance(load_degradation("run/kpn.safetensors"), DirectKPN)


def test_a_dry_run_writes_nothing(train: Callable, tmp_path: Path) -> None:
    before = tree(tmp_path)
    result = train("--pairs", "pairs", "--scale", 2, "--dry-run", *SMALL)
    assert result.exit_code == 0, result.output
    assert "parameters = " in result.stdout
    assert tree(tmp_path) == before


def spoil(what: str) -> None:
    """Make the second pair one that cannot be used."""
    image, lq = boxes(1), Path("pairs/cam_001_LR2.png")
    if what == "shift":
        soft = cv2.GaussianBlur(image, (7, 7), 1.2)
        write_rgb(lq, soft[:, [0, 0, *range(94)]])
    elif what == "size":
        write_rgb(lq, image[:40, :40])
    elif what == "gray":
        write_photo(lq, Photo(image.mean(2, keepdims=True).repeat(3, 2), gray=True))
    elif what == "broken":
        lq.write_bytes(b"no picture")
    elif what == "empty":
        for path in Path("pairs").iterdir():
            path.unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("shift", "1 of 3 pairs cannot be used: pairs/cam_001_LR2.png is shifted by +"),
        ("size", "cam_001_LR2.png (40x40) and its HQ (96x96) are no pair of scale 2"),
        ("gray", "cam_001_LR2.png is gray, its HQ in colour"),
        ("broken", "cam_001_LR2.png"),
        ("empty", "pairs holds no images"),
    ],
)
def test_pairs_that_cannot_be_used_are_one_line(train: Callable, what: str, message: str) -> None:
    spoil(what)
    result = train("--pairs", "pairs", "--scale", 2, "-o", "run", *SMALL)
    assert result.exit_code == 1
    assert result.stdout == ""
    *told, last = result.stderr.splitlines()
    assert last.startswith("error: ")
    assert message in last
    assert not any(line.startswith(("error", "Traceback")) for line in told)
    assert not list(Path("run").glob("*.safetensors"))


@pytest.mark.parametrize("what", ["shift", "size", "gray"])
def test_check_data_names_the_pair(train: Callable, what: str) -> None:
    assert train("--pairs", "pairs", "--scale", 2, "--check-data", *SMALL).exit_code == 0
    spoil(what)
    result = train("--pairs", "pairs", "--scale", 2, "--check-data", *SMALL)
    assert result.exit_code == 1
    assert result.stdout.count("\n") == 1
    assert result.stdout.startswith("mismatched: pairs/cam_001_LR2.png")
    assert "1 pairs that do not match" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--scale", "2"), 1, "data/pairs/train does not exist"),
        (("--pairs", "none", "--scale", "2"), 1, "none does not exist"),
        (("--pairs", "pairs", "--scale", "3"), 1, "holds no LQ of scale 3, only of 2"),
        (("--pairs", "pairs", "--scale", "5"), 2, "scale"),
        (("--pairs", "pairs", "--scale", "2", "--set", "config.scale=2"), 2, "config.scale"),
        (("--pairs", "pairs", "--scale", "2", "--set", "config.kernel=4"), 1, "odd number"),
        (("--pairs", "pairs", "--scale", "2", "--set", "pears=[]"), 2, "did you mean 'pairs'?"),
    ],
)
def test_mistakes(train: Callable, arguments: tuple, code: int, message: str) -> None:
    result = train(*arguments, "-o", "run")
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_pairs_are_of_dml_alone(redeg: Callable) -> None:
    result = redeg("train", "restorer", "--recipe", "f2n", "--pairs", "p", "-o", "run")
    assert result.exit_code == 2
    assert "--pairs and --scale are of dml" in result.stderr
    assert redeg("train", "restorer", "-o", "run").exit_code == 2
