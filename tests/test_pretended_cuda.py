"""Everything a command works out is on the device that it was given: on a CUDA device of pretence,
where tensors on two devices refuse each other as they do on a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from degraded import draw, draw_pair

HELPER = Path(__file__).parent / "helpers" / "pretended_cuda.py"
PHOTO = Path(__file__).parents[1] / "examples" / "old_photo.jpg"
RESTORER = """
kind = "restorer"
name = "tiny"
architecture = "f2n-compact"
config = { features = 8, blocks = 1, scales = [1, 2] }
scales = [1, 2]
crop = 32
batch = 2
save_every = 1
validate_every = 1
optimizer = "muon"
psnr_weight = 0.05
gradient_weight = 0.5
perceptual_weight = 0.1
style_weight = 0.1
energy_weight = 0.1
lattice_weight = 0.1
adversarial_weight = 0.1
discriminator_width = 4
queue = 4
lq_noise = 0.5
usm_targets = true
data = [{ folder = "hq" }]
validation = [{ folder = "hq" }]
degradation = "real-esrgan"
"""
REDEGNET = """
kind = "redegnet"
name = "tiny"
scales = [1, 2]
crop = 64
batch = 2
pseudo_share = 0.5
validate_every = 1
transfer = 1
data = [{ folder = "hq" }, { folder = "hq" }]
validation = [{ folder = "hq" }, { folder = "hq" }]
degradation = "mild"
[config]
degnet = { widths = [8, 8] }
synnet = { widths = [8, 8], style = 8, kernel = 5, grain_kernel = 5 }
"""


def on_cuda(folder: Path, *commands: list[str]) -> None:
    """Run commands of redeg in ``folder``; each must do well, and work on the device."""
    ran = subprocess.run(
        [sys.executable, str(HELPER), *map(json.dumps, commands)],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},  # a real one stays out of it
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if "NO PRETENCE" in ran.stderr:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    kinds = [int(line[9:]) for line in ran.stdout.splitlines() if line.startswith("ON CUDA: ")]
    assert len(kinds) == len(commands)
    assert min(kinds) > 10


@pytest.fixture
def hq(tmp_path: Path) -> Path:
    """A folder that holds two pictures in hq/."""
    (tmp_path / "hq").mkdir()
    for number in range(2):
        draw(tmp_path / "hq" / f"{number}.png", (96, 96), number)
    return tmp_path


def test_photos_and_pairs(hq: Path) -> None:
    draw_pair(hq, "pair.png", 2)
    degraders = ("bsrgan", "bsrgan-isp", "real-esrgan", "old-photo", "vhs", "halftone")
    on_cuda(
        hq,
        ["restore", "hq/0.png", "-o", "restored", "--texture", "0.5", "--turns", "--tile", "64"],
        ["extract-omega", "lq/pair.png", "hq/pair.png", "-o", "omega.npz", "--scale", "2"],
        ["synthesize", "--pool", "omega.npz", "hq/0.png", "-o", "pool", "--scale", "2"],
        *(
            ["synthesize", "--degrader", name, "hq/0.png", "-o", name, "--scale", "2"]
            for name in degraders
        ),
        ["evaluate", "restore", "restored", "--reference", "restored", "-m", "psnr", "-m", "niqe"],
    )


def test_training(hq: Path) -> None:
    (hq / "restorer.toml").write_text(RESTORER, encoding="utf-8")
    (hq / "redegnet.toml").write_text(REDEGNET, encoding="utf-8")
    restorer = ["train", "restorer", "--recipe", "restorer.toml", "-o", "runs/restorer"]
    redegnet = ["train", "redegnet", "--recipe", "redegnet.toml", "-o", "runs/redegnet"]
    on_cuda(
        hq,
        # The second of each takes up the state of the first.
        *([*command, "--set", f"steps={n}"] for command in (restorer, redegnet) for n in (2, 3)),
    )


def test_finetune(tmp_path: Path) -> None:
    on_cuda(tmp_path, ["finetune", str(PHOTO), "-o", "made", "--steps", "2", "--no-turns"])
    assert (tmp_path / "made" / "index.html").exists()
