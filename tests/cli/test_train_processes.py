"""Two processes train what one does with the same batch, its plateaus included."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from degraded import draw
from paper_runs import make_place

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
validate_every = 1
learning_rate = 1e-3
schedule = "plateau"
watched = "psnr_bicubic_x1"
plateau = 2
decay = 0.1
clip = 1000
gradient_weight = 0.5
adversarial_weight = 0.1
# Not hinge: there the gradient of the last bias is rounding alone, of which Adam makes whole steps.
adversarial = "vanilla"
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


PROGRAM = "from redeg_cli.cli.app import app; app()"
NARROW = """
from redeg_cli.nets import degnet, synnet

degnet.LADDER = synnet.LADDER = (4,) * 7
"""
"""ReDegNets with 4 channels at every level, in place of 64 to 512."""


def start(
    *, folder: Path, what: str, recipe: str, output: str, rank: int, world: int, port: int
) -> subprocess.Popen:
    """Start one process of a run, with the environment that torchrun gives it."""
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    environment = {key: str(value) for key, value in (own | shared).items()}
    return subprocess.Popen(
        [
            *(sys.executable, "-c", NARROW + PROGRAM, "train", what, "--device", "cpu"),
            *("--recipe", recipe, "-o", output),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())} | (environment if world > 1 else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(processes: list[subprocess.Popen]) -> list[tuple[str, str]]:
    """Return what processes of one run each said on stdout and on stderr; none has failed."""
    try:
        ends = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), [err for _, err in ends]
    return ends


def test_two_processes_are_one_with_the_same_batch(tmp_path: Path, port: int) -> None:
    for index in range(3):
        draw(tmp_path / "hq" / f"{index}.png", seed=index)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    own = {"folder": tmp_path, "what": "restorer", "recipe": "recipe.toml", "port": port}
    ends = run(
        [
            start(output="one", rank=0, world=1, **own),
            start(output="two", rank=0, world=2, **own),
            start(output="two", rank=1, world=2, **own),
        ]
    )
    told = [err for _, err in ends]
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


def test_the_papers_redegnet_is_trained_by_two_processes(tmp_path: Path, port: int) -> None:
    """Some weights of its SynNet have no part in what comes out, which DDP has to be told."""
    place = make_place(tmp_path)
    recipe = (place / "paper.toml").read_text().replace("batch = 1", "batch = 2")
    (place / "paper.toml").write_text(recipe)
    own = {"folder": place, "what": "redegnet", "recipe": "paper.toml", "port": port}
    ends = run([start(output="two", rank=rank, world=2, **own) for rank in (0, 1)])
    assert [out for out, _ in ends] == ["two/tiny-paper.safetensors\n", ""]
    assert torch.load(place / "two" / "state.pt", weights_only=True)["step"] == 3
