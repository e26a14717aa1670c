"""A run that is killed, stopped and started again ends like one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from degraded import draw

from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.io.manifest import read_manifest

RECIPE = """
kind = "restorer"
name = "tiny"
architecture = "f2n-compact"
config = { features = 4, blocks = 1, scales = [1, 2] }
scales = [1, 2]
crop = 16
batch = 2
queue = 4
steps = 150
save_every = 20
validate_every = 15
adversarial_weight = 0.01
discriminator_width = 4
precision = "fp32"
data = [{ folder = "hq" }]
validation = [{ folder = "hq" }]
degradation = { steps = [{ op = "resize", of = "native" }, { op = "jpeg", quality = [40, 90] }] }
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start the training in a folder, as a process of its own."""
    for index in range(3):
        draw(tmp_path / "hq" / f"{index}.png", seed=index)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    started: list[subprocess.Popen] = []

    def go(folder: str, *options: str) -> subprocess.Popen:
        command = [*(sys.executable, "-m", "redeg_cli", "train", "restorer", "--device", "cpu")]
        process = subprocess.Popen(
            [*command, "--recipe", "recipe.toml", "-o", folder, *options],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.communicate()


def wait_for_rows(process: subprocess.Popen, log: Path, count: int) -> None:
    for _ in range(40_000):  # a machine with other work is slow to import torch
        if log.exists() and len(read_manifest(log)) >= count:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    raise AssertionError("the run does not get on")


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_a_run_killed_and_stopped_ends_like_one_that_was_not(
    start: Callable, tmp_path: Path
) -> None:
    whole, cut = start("whole"), start("cut")
    log, state = (tmp_path / "cut" / name for name in ("log.jsonl", "state.pt"))

    wait_for_rows(cut, log, 3)
    time.sleep(random.random() / 4)  # any moment will do
    cut.kill()
    assert cut.wait() == -signal.SIGKILL
    assert torch.load(state, weights_only=True)["step"] % 20 == 0

    stopped = start("cut")
    wait_for_rows(stopped, log, 6)
    stopped.send_signal(signal.SIGTERM)
    out, told = stopped.communicate()
    assert (stopped.returncode, out) == (130, "")
    assert told.splitlines()[-1] == "stopped: the same command carries on from cut/state.pt"
    at = torch.load(state, weights_only=True)["step"]
    assert 60 < at < 150
    assert max(row["step"] for row in read_manifest(log)) <= at

    for process, folder in ((whole, "whole"), (start("cut"), "cut")):
        out, told = process.communicate()
        assert (process.returncode, out) == (0, f"{folder}/tiny.safetensors\n"), told
    rows = [
        [
            {key: value for key, value in row.items() if key != "seconds"}
            for row in read_manifest(tmp_path / folder / "log.jsonl")
        ]
        for folder in ("whole", "cut")
    ]
    assert rows[0] == rows[1]
    (tensors, notes), (others, other_notes) = (
        load_tensors(tmp_path / folder / "tiny.safetensors") for folder in ("whole", "cut")
    )
    assert notes | {"minutes": ""} == other_notes | {"minutes": ""}
    assert set(tensors) == set(others)
    assert all(torch.equal(tensors[name], others[name]) for name in tensors)


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_a_stopped_run_can_be_ended_where_it_is(start: Callable, tmp_path: Path) -> None:
    """With a step that is long past: the average of its weights is written as it is."""
    stopped = start("cut")
    wait_for_rows(stopped, tmp_path / "cut" / "log.jsonl", 2)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate()
    state = torch.load(tmp_path / "cut" / "state.pt", weights_only=True)
    ended = start("cut", "--set", "steps=1")
    out, told = ended.communicate()
    assert (ended.returncode, out) == (0, "cut/tiny.safetensors\n"), told
    tensors, notes = load_tensors(tmp_path / "cut" / "tiny.safetensors")
    assert int(notes["steps"]) == state["step"]
    (averages,) = state["averages"].values()
    for name, tensor in tensors.items():
        wanted = averages[f"module.{name}"]
        torch.testing.assert_close(tensor.float(), wanted, atol=1e-3, rtol=1e-3)
