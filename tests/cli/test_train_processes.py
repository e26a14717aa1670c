"""Two processes train what one does with the same batch."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from degraded import draw

from redeg_cli.io.manifest import read_manifest

RECIPE = """
kind = "restorer"
name = "tiny"
architecture = "f2n-compact"
config = { features = 8, blocks = 1, scales = [1, 2] }
scales = [1, 2]
crop = 16
batch = 4
steps = 6
save_every = 3
validate_every = 4
learning_rate = 1e-3
clip = 1000
gradient_weight = 0.5
adversarial_weight = 0.1
adversarial = "hinge"
discriminator_width = 4
precision = "fp32"
data = [{ folder = "hq" }]
validation = [{ folder = "hq" }]
degradation = { steps = [{ op = "resize", of = "native" }, { op = "jpeg", quality = [40, 90] }] }
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return port


def start(folder: Path, output: str, rank: int, world: int, port: int) -> subprocess.Popen:
    """Start one process of a run, with the environment that torchrun gives it."""
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    environment = {key: str(value) for key, value in (own | shared).items()}
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "redeg_cli", "train", "restorer", "--cpu"),
            *("--recipe", "recipe.toml", "-o", output),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())} | (environment if world > 1 else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_are_one_with_the_same_batch(tmp_path: Path, port: int) -> None:
    for index in range(3):
        draw(tmp_path / "hq" / f"{index}.png", seed=index)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    processes = [
        start(tmp_path, "one", 0, 1, port),
        start(tmp_path, "two", 0, 2, port),
        start(tmp_path, "two", 1, 2, port),
    ]
    try:
        ends = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    told = [err for _, err in ends]
    assert [process.returncode for process in processes] == [0, 0, 0], told
    # Only the first process speaks and writes.
    assert [out for out, _ in ends] == ["one/tiny.safetensors\n", "two/tiny.safetensors\n", ""]
    assert "batch = 4" in told[1]
    assert "batch = 4" not in told[2]
    names = [{path.name for path in (tmp_path / run).iterdir()} for run in ("one", "two")]
    assert names[0] == names[1]

    one, two = (
        torch.load(tmp_path / run / "state.pt", weights_only=True) for run in ("one", "two")
    )
    assert one["step"] == two["step"] == 6
    for name in ("restorer", "restorer's discriminator"):
        torch.testing.assert_close(two["networks"][name], one["networks"][name], atol=1e-5, rtol=0)
    torch.testing.assert_close(two["averages"], one["averages"], atol=1e-5, rtol=0)
    logs = [read_manifest(tmp_path / run / "log.jsonl") for run in ("one", "two")]
    assert len(logs[0]) == len(logs[1])
    for row, other in zip(*logs, strict=True):
        assert other | {"seconds": 0} == pytest.approx(row | {"seconds": 0}, rel=1e-3)
