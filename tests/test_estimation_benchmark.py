"""benchmarks/estimation.py runs, and prints a figure of each kind."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import skimage.data
from PIL import Image


@pytest.fixture
def benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "estimation.py"
    spec = importlib.util.spec_from_file_location("estimation_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_measures_all_three(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = Image.fromarray(skimage.data.astronaut()).resize((192, 160), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "a.png")
    benchmark.main([str(tmp_path), "--steps", "5"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines[:5]] == ["noise"] * 5
    assert lines[5].startswith("jpeg, 1 images at 10 qualities: mean error ")
    assert lines[6].startswith("a.png: 0.")
    assert lines[7].startswith("kernels, 1 images, 5 steps: median similarity 0.")
