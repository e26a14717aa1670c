"""benchmarks/train.py runs, and its numbers add up."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from redeg_cli.train import redegnet
from redeg_cli.train.pairs import PairMaker
from redeg_cli.train.workers import BatchMaker

SMALL = ("--steps", "3", "--warm-up", "1", "--set", "precision=fp32", "--json")
LITE = {
    "degnet": {"widths": [8]},
    "synnet": {"widths": [8], "style": 8, "kernel": 5, "grain_kernel": 5},
}
RESTORER = (
    *("--presets", "f2n-compact", "--set", "batch=2", "--set", "crop=32"),
    *("--set", 'config={"features": 4, "blocks": 1, "scales": [1, 2]}', "--set", "scales=[1, 2]"),
)
REDEGNET = (
    *("--presets", "redegnet-lite", "--set", "batch=1", "--set", "crop=32", "--set", "scales=[1]"),
    *("--set", f"config={json.dumps(LITE)}"),
)


@pytest.fixture
def benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "train.py"
    spec = importlib.util.spec_from_file_location("train_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("arguments", [RESTORER, REDEGNET])
def test_it_measures_a_preset(
    benchmark: ModuleType, arguments: tuple, capsys: pytest.CaptureFixture[str]
) -> None:
    before = BatchMaker.__call__, PairMaker.target, redegnet.see_pseudo_hqs
    benchmark.main([*SMALL, *arguments])
    out = capsys.readouterr()
    (line,) = out.out.splitlines()
    made = json.loads(line)
    assert (made["device"], made["steps"]) == ("cpu", 3)
    ((name, row),) = made["presets"].items()
    assert 0 < row["slowest"] <= row["images_per_s"] <= row["fastest"]
    assert 0 < row["data_share"] < 1
    assert row["gflops_per_step"] > 0
    assert row["utilisation"] is None  # a CPU's peak is not known
    assert name in out.err  # the table
    assert (BatchMaker.__call__, PairMaker.target, redegnet.see_pseudo_hqs) == before


def test_flops_are_those_of_the_network_alone(benchmark: ModuleType, tmp_path: Path) -> None:
    """Twice the batch is twice the FLOPs; other degradations are none."""
    benchmark.write_rgb(tmp_path / "hq.png", benchmark.skimage.data.chelsea() / 255)
    settings = [text for text in RESTORER if "=" in text]

    def count(*more: str) -> float:
        recipe = benchmark.recipe_of("f2n-compact", tmp_path, 2, [*settings, *more])
        return benchmark.flops_of_a_step(recipe, "cpu")

    once = count()
    assert count("batch=4") == pytest.approx(2 * once)
    assert count("degradation=bsrgan") == pytest.approx(once)


def test_a_peak_gives_a_share_of_it(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main([*SMALL, *RESTORER, "--peak", "1"])
    (row,) = json.loads(capsys.readouterr().out)["presets"].values()
    seconds = 2 / row["images_per_s"]
    wanted = row["gflops_per_step"] / seconds / 1e3
    assert wanted / 5 < row["utilisation"] < wanted * 5


def wrong_usage() -> list[tuple[str, ...]]:
    return [("--steps", "0"), ("--set", "batchh=1"), ("--presets", "none")]


@pytest.mark.parametrize("arguments", wrong_usage())
def test_wrong_usage_is_one_message(
    benchmark: ModuleType, arguments: tuple, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        benchmark.main([*arguments])
    assert end.value.code == 2
    assert "error: " in capsys.readouterr().err
