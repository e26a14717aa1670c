"""``redeg train``: a recipe in, weights out, and the same command again."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from degraded import draw, tree

from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.models import load_redegnet, load_restorer
from redeg_cli.nets.compact import CompactF2N

RECIPE = """
kind = "restorer"
name = "tiny"
architecture = "f2n-compact"
config = { features = 4, blocks = 1, scales = [2] }
scales = [2]
crop = 8
batch = 2
steps = 3
precision = "fp32"
degradation = "steps.toml"
data = [{ folder = "hq" }]
"""
STEPS = 'steps = [{ op = "resize", of = "native" }, { op = "jpeg", quality = [40, 90] }]'


@pytest.fixture
def train(redeg: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Run in ``tmp_path`` with hq/ and recipe.toml."""
    for index in range(3):
        draw(tmp_path / "hq" / f"{index}.png", seed=index)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "steps.toml").write_text(STEPS)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: redeg("train", *arguments, "--device", "cpu")


def test_a_restorer_comes_out(train: Callable, tmp_path: Path) -> None:
    result = train("restorer", "--recipe", "recipe.toml", "-o", "run", "--set", "batch=1")
    assert result.exit_code == 0, result.output
    assert result.stdout == "run/tiny.safetensors\n"
    assert "batch = 1\n" in result.stderr
    assert "run/tiny.safetensors" in result.stderr
    kept = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert (kept["batch"], kept["data"][0]["folder"]) == (1, str(tmp_path / "hq"))
    assert kept["degradation"]["steps"][1] == {"op": "jpeg", "quality": [40, 90]}
    assert load_restorer(tmp_path / "run" / "tiny.safetensors").scale == 2


def test_it_carries_on(train: Callable, tmp_path: Path) -> None:
    arguments = ("restorer", "--recipe", "recipe.toml", "-o", "run")
    assert train(*arguments).exit_code == 0
    longer = train(*arguments, "--set", "steps=5", "--set", "learning_rate=1e-4", "--json")
    assert longer.exit_code == 0
    assert "carrying on from run/state.pt" in longer.stderr
    assert json.loads(longer.stdout)["recipe"]["steps"] == 5
    assert load_tensors(tmp_path / "run" / "tiny.safetensors")[1]["steps"] == "5"


def test_another_recipe_in_the_folder_is_refused(train: Callable, tmp_path: Path) -> None:
    arguments = ("restorer", "--recipe", "recipe.toml", "-o", "run")
    assert train(*arguments).exit_code == 0
    before = (tmp_path / "run" / "state.pt").read_bytes()
    result = train(*arguments, "--set", "crop=16")
    assert result.exit_code == 2
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: run holds a run with crop = 8, now it is 16")
    assert (tmp_path / "run" / "state.pt").read_bytes() == before


def test_a_preset_takes_data_from_the_working_folder(train: Callable, tmp_path: Path) -> None:
    (tmp_path / "data" / "natural").mkdir(parents=True)
    (tmp_path / "hq").rename(tmp_path / "data" / "natural" / "train")
    small = {"degnet": {"widths": [8]}, "synnet": {"widths": [8], "style": 8, "kernel": 5}}
    result = train(
        *("redegnet", "--recipe", "redegnet-lite", "-o", "run", "--set", "steps=1"),
        *("--set", f"config={json.dumps(small)}", "--set", "crop=32", "--set", "batch=1"),
        *("--set", 'data=[{"folder": "data/natural/train"}]', "--set", "validation=[]"),
    )
    assert result.exit_code == 0, result.output
    assert load_redegnet(tmp_path / "run" / "redegnet-lite.safetensors") is not None


@pytest.mark.parametrize(
    ("recipe", "change", "code", "message"),
    [
        ("none.toml", None, 2, "no recipe none.toml: give a TOML file, or one of"),
        ("dml", None, 2, "'kind'"),
        ("recipe.toml", "stepps=1", 2, "did you mean 'steps'?"),
        ("recipe.toml", "steps", 2, "expected key=value"),
        ("recipe.toml", "data.0.folder=no", 1, "no does not exist"),
        ("recipe.toml", "degradation=bsrgn", 2, "'bsrgan'?"),
        ("f2n-compact", None, 1, "data/natural/train does not exist"),
        ("recipe.toml", "crop=999", 1, "no image of at least"),
        ("recipe.toml", "init=none", 2, "none"),
    ],
)
def test_a_mistake_is_one_line(
    train: Callable, recipe: str, change: str | None, code: int, message: str
) -> None:
    changes = () if change is None else ("--set", change)
    result = train("restorer", "--recipe", recipe, *changes, "-o", "run")
    assert result.exit_code == code
    assert result.stdout == ""
    *told, last = result.stderr.splitlines()
    assert last.startswith("error: ")
    assert message in last
    assert not any(line.startswith(("error", "Traceback")) for line in told)


def test_wrong_usage(train: Callable) -> None:
    assert train("nonsense", "--recipe", "recipe.toml", "-o", "run").exit_code == 2
    assert train("restorer", "--recipe", "recipe.toml").exit_code == 2


def test_a_dry_run_says_what_would_be_and_writes_nothing(train: Callable, tmp_path: Path) -> None:
    before = tree(tmp_path)
    result = train("restorer", "--recipe", "recipe.toml", "-o", "run", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    told = dict(line.split(" = ", 1) for line in result.stdout.splitlines())
    assert json.loads(told["degradation"])["steps"]
    assert json.loads(told["data images"]) == {"hq": 3}
    weights = CompactF2N(features=4, blocks=1, scales=[2])
    assert int(told["parameters"]) == sum(each.numel() for each in weights.parameters())
    assert (told["batch"], told["steps"], told["minutes"]) == ("2", "3", "null")
    assert (told["device"], told["precision"]) == ('"cpu"', '"fp32"')
    assert (told["processes"], told["carries on"]) == ("1", "false")
    assert tree(tmp_path) == before
    places = json.loads(told["writes"])

    arguments = ("restorer", "--recipe", "recipe.toml", "-o", "run")
    assert train(*arguments).exit_code == 0
    assert {str(path.relative_to(tmp_path)) for path in (tmp_path / "run").iterdir()} == set(places)
    before = tree(tmp_path)
    again = train(*arguments, "--dry-run", "--json")
    assert json.loads(again.stdout)["overview"]["carries on"] is True
    refused = train(*arguments, "--dry-run", "--set", "crop=16")
    assert refused.exit_code == 2
    assert "error: run holds a run with crop = 8, now it is 16" in refused.stderr
    missing = train(*arguments, "--dry-run", "--set", 'validation=[{"folder": "none"}]')
    assert missing.exit_code == 2
    assert tree(tmp_path) == before


def test_a_dry_run_prints_the_recipe_where_there_are_no_data(train: Callable) -> None:
    result = train("restorer", "--recipe", "f2n-compact", "-o", "run", "--dry-run")
    assert result.exit_code == 1
    assert 'name = "f2n-compact"' in result.stdout.splitlines()
    assert result.stderr.splitlines()[-1].startswith("error: data/natural/train does not exist")


def test_a_folder_without_a_usable_image_is_named(train: Callable) -> None:
    small = train("restorer", "--recipe", "recipe.toml", "--check-data", "--set", "crop=200")
    assert small.exit_code == 1
    assert small.stdout.splitlines()[-1] == (
        "unusable: hq has no image of at least 400 px on its shorter side"
    )


def test_data_is_checked_without_an_output(train: Callable, tmp_path: Path) -> None:
    arguments = ("restorer", "--recipe", "recipe.toml", "--check-data")
    good = train(*arguments)
    assert (good.exit_code, good.stdout) == (0, "")
    assert good.stderr.splitlines()[-1] == (
        "3 images: 0 unreadable, 0 too small, 0 duplicates; 0 pairs that do not match"
    )
    (tmp_path / "hq" / "copy.png").write_bytes((tmp_path / "hq" / "1.png").read_bytes())
    double = train(*arguments)
    assert double.exit_code == 0
    assert double.stdout == "duplicate: hq/copy.png has the same bytes as hq/1.png\n"
    (tmp_path / "hq" / "empty.png").touch()
    bad = train(*arguments)
    assert bad.exit_code == 1
    assert bad.stdout.splitlines()[-1].startswith("unreadable: ")
    assert "hq/empty.png" in bad.stdout
    assert bad.stderr.splitlines()[-1] == (
        "5 images: 1 unreadable, 0 too small, 1 duplicates; 0 pairs that do not match"
    )
    found = json.loads(train(*arguments, "--json").stdout)
    assert (found["images"], len(found["findings"])) == (5, 2)
    assert not (tmp_path / "run").exists()
