"""benchmarks/metrics.py runs, and counts what it says."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from redeg_cli.io.images import read_rgb

SMALL = ("--count", "5", "--distinct", "2", "--side", "40")


@pytest.fixture
def benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "metrics.py"
    spec = importlib.util.spec_from_file_location("metrics_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_measures_pairs(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    benchmark.main([*SMALL, "--json"])
    out = capsys.readouterr()
    (line,) = out.out.splitlines()
    made = json.loads(line)
    assert (made["count"], made["side"], made["metrics"]) == (5, 40, ["psnr", "ssim"])
    assert set(made["one_thread_ms"]) == {"reading", "psnr", "ssim"}
    assert all(taken > 0 for taken in made["one_thread_ms"].values())
    assert made["seconds"] > 0
    assert made["cpu_seconds"] > 0
    assert "5 pairs of 40x40" in out.err
    assert torch.get_num_threads() == threads


def test_its_pairs_are_as_many_and_as_large_as_asked_for(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    references, results = benchmark.write_pairs(tmp_path, 6, 5, 330)
    names = [f"{index:04}.png" for index in range(6)]
    assert sorted(path.name for path in references.iterdir()) == names
    assert sorted(path.name for path in results.iterdir()) == names
    images = [read_rgb(references / name) for name in names]
    assert all(image.shape == (330, 330, 3) for image in images)
    assert (images[0] == images[5]).all()  # the sixth of five is the first again
    assert (images[0] != images[4]).any()  # two crops of one photo
    assert (read_rgb(results / names[0]) != images[0]).any()


def test_a_metric_that_cannot_be_computed_ends_it(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("REDEG_HOME", str(tmp_path))
    with pytest.raises(SystemExit, match=r"not all was measured: .*redeg models download alexnet"):
        benchmark.main([*SMALL, "--metrics", "lpips"])
