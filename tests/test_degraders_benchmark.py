"""benchmarks/degraders.py runs, and its numbers add up."""

import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from redeg_cli.degrade import steps
from redeg_cli.degrade.canvas import Canvas

SMALL = ("--size", "32", "--batch", "2", "--batches", "2", "--rounds", "2")
SLOW = """
steps = [
    { op = "resize", of = "native" },
    { op = "jpeg", quality = 50 },
    { op = "jpeg", quality = [20, 90] },
]
"""


@pytest.fixture
def benchmark() -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / "degraders.py"
    spec = importlib.util.spec_from_file_location("degraders_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_measures_a_preset(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(steps.OPS), torch.get_num_threads()
    benchmark.main([*SMALL, "--degraders", "bsrgan", "--json"])
    out = capsys.readouterr()
    (line,) = out.out.splitlines()
    made = json.loads(line)
    assert {key: made[key] for key in ("size", "batch", "batches", "rounds", "device")} == {
        "size": 32,
        "batch": 2,
        "batches": 2,
        "rounds": 2,
        "device": "cpu",
    }
    row = made["degraders"]["bsrgan"]
    assert 0 < row["slowest"] <= row["images_per_s"] <= row["fastest"]
    assert {"blur", "noise", "jpeg", "(rest)"} <= set(row["ops"])
    assert sum(part["share"] for part in row["ops"].values()) == pytest.approx(1)
    assert all(part["share"] > 0 for part in row["ops"].values())
    assert row["ops"]["blur"]["per_image"] >= 2
    assert "bsrgan" in out.err  # the tables
    assert (dict(steps.OPS), torch.get_num_threads()) == before


def test_the_time_is_put_on_the_op_that_takes_it(
    benchmark: ModuleType,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    apply: Callable[[Canvas, Sequence[Any]], Canvas] = steps.OPS["jpeg"].apply

    def slow(canvas: Canvas, chosen: Sequence[Any]) -> Canvas:
        time.sleep(0.02 * len(chosen))
        return apply(canvas, chosen)

    monkeypatch.setitem(steps.OPS, "jpeg", steps.OPS["jpeg"]._replace(apply=slow))
    file = tmp_path / "slow.toml"
    file.write_text(SLOW, encoding="utf-8")
    benchmark.main([*SMALL, "--degraders", str(file), "--json"])
    row = json.loads(capsys.readouterr().out)["degraders"][str(file)]
    assert set(row["ops"]) == {"resize", "jpeg", "(rest)"}
    assert row["ops"]["jpeg"]["per_image"] == 2
    assert row["ops"]["jpeg"]["ms_per_image"] > 40
    assert row["ops"]["jpeg"]["share"] > 0.5
    assert row["one_thread_ms_per_image"] > row["ops"]["jpeg"]["ms_per_image"]


def test_a_degrader_that_cannot_run_does_not_stop_the_others(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main([*SMALL, "--degraders", "bsrgam", "bsrgan", "--json"])
    made = json.loads(capsys.readouterr().out)["degraders"]
    assert "bsrgan" in made["bsrgam"]["error"]
    assert made["bsrgan"]["images_per_s"] > 0


def test_the_tables_go_to_stdout_without_json(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main([*SMALL, "--degraders", "bsrgan"])
    out = capsys.readouterr().out
    assert "images/s" in out
    assert "ms/image" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "304"], "at most 300"),
        (["--size", "30"], "multiple of the scale"),
        (["--rounds", "0"], "1 or more"),
        (["--device", "tpu"], "unknown device"),
    ],
)
def test_wrong_options_are_refused(
    benchmark: ModuleType,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(words)
    assert message in capsys.readouterr().err


def test_the_crops_are_photographs(benchmark: ModuleType) -> None:
    hq = benchmark.hq_crops(5, 64)
    assert hq.shape == (5, 3, 64, 64)
    assert hq.min() >= 0
    assert hq.max() <= 1
    assert torch.equal(hq, benchmark.hq_crops(5, 64))
    assert all(crop.std() > 0.02 for crop in hq)
    assert not torch.equal(hq[0], hq[4])  # another part of the same photo
