"""benchmarks/dml.py runs, and its figures are those of its files."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from degraded import draw
from registered import save_dml
from variant_blur import Camera

from redeg_cli.io.registered_pairs import find_registered

SMALL = (
    *("--steps", "2", "--vdsr-steps", "2", "--side", "96", "--widths", "4", "--count", "2"),
    *("--features", "4", "--crop", "32", "--vdsr-crop", "12", "--batch", "1", "--json"),
)


@pytest.fixture
def benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "dml.py"
    spec = importlib.util.spec_from_file_location("dml_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs(benchmark: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    try:
        benchmark.main([*SMALL, "-o", str(tmp_path)])
    finally:
        torch.set_num_threads(threads)
    out = capsys.readouterr()
    made = json.loads(out.out)
    assert (made["pairs"], made["tests"]) == (3, 1)
    assert set(made["models"]) == {"dml", "dml-unit-sum", "direct-net", "direct-kpn"}
    assert all(np.isfinite(row["lr_psnr"]) for row in made["models"].values())
    assert -1 <= made["models"]["dml"]["rank"] <= 1
    assert set(made["restorers"]) == {"bicubic", "vdsr-dml", "vdsr-bicubic"}
    assert len(find_registered([tmp_path / "pairs"], 2)[0]) == 3
    assert "rank" in out.err


def test_a_model_that_knows_the_camera_has_the_figures(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    """An even camera is all in the two kernels of a model: its LQs are nearly the photographs."""
    camera = Camera(sharpest=0.55, defocus=0, aberration=0)
    hq = benchmark.photographs(None, 1, 96, True)[0]
    shot = benchmark.shoot(hq, camera)
    near = benchmark.measure_model(save_dml(tmp_path / "near.safetensors", 0.4), [shot])
    far = benchmark.measure_model(save_dml(tmp_path / "far.safetensors", 0.999), [shot])
    assert near["lr_psnr"] > far["lr_psnr"] + 3
    assert far["lr_psnr"] == pytest.approx(benchmark.psnr(hq, shot.lq), abs=0.1)


def test_folders_come_together(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    draw(tmp_path / "a.png", (96, 80))
    for words, message in (
        (["--images", str(tmp_path)], "give both or none"),
        (["--images", "none", "--held-out", str(tmp_path)], "none does not exist"),
    ):
        with pytest.raises(SystemExit):
            benchmark.main([*SMALL, *words])
        assert message in capsys.readouterr().err
