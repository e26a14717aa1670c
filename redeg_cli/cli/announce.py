"""What ``redeg finetune`` is going to do, said before anything slow is imported."""

import os
import platform
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from redeg_cli.cli.messages import counted, say
from redeg_cli.cpu import cpu_cores, cpu_flags

# Seconds measured on two CPU cores with AVX512-BF16: start, faces and writing; one step of the
# adaptation and of the restorer; one pixel of the photo, restored twice at scale 2, and
# one more turn of it.
_FIXED = 12.0
_PER_ADAPT_STEP = 0.18
_PER_STEP = 0.66
_PER_PIXEL = 2.5e-5
_PER_TURN = 7.5e-6

# How much longer other CPUs take: with AVX-512 alone, measured on a step of the restorer with
# PyTorch and oneDNN held to that; with AVX2 alone, on the whole run, on two such cores (AMD EPYC).
_AVX512 = 1.7
_AVX2 = 2.1


def announce(
    photos: list[tuple[Path, tuple[int, int]]],
    scale: int,
    steps: int,
    adapt: int,
    folder: Path,
    device: str,
    *,
    turns: bool,
    known: bool = True,
) -> None:
    """Say what is going to happen and how long it takes at most, if the restorer is ``known``.

    ``photos`` are files with their (height, width) in pixels. The turns of small photos, which
    nobody asked for, are seconds.
    """
    if len(photos) == 1:
        path, (height, width) = photos[0]
        say(
            f"{path.name}: {width}x{height} px, to be restored at {width * scale}x{height * scale} "
            f"px into {folder}{os.sep}"
        )
    else:
        say(f"{len(photos)} photos, to be restored by one restorer into {folder}{os.sep}")
    pixels = sum(height * width for _, (height, width) in photos)
    fit = _PER_ADAPT_STEP * adapt + _PER_STEP * steps
    restored = (_PER_PIXEL + 3 * _PER_TURN * turns) * pixels
    cores = _threads()
    seconds = (_FIXED + fit + restored) * 2 * _slowness() / min(cores, 16)
    gpu = "much faster on its GPU" if _has_gpu(device) else "a GPU is much faster"
    takes = (
        f": about {max(1, round(seconds / 60))} min on {counted(cores, 'CPU core')}"
        if known
        else ""
    )
    say(
        "find the faces, restore them, read the degradation off them, fine-tune a restorer on it "
        f"(at most {steps} steps), restore{takes} ({gpu})"
    )


def _threads() -> int:
    """Return how many cores PyTorch will use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cpu_cores(), max(1, int(asked))) if asked.isdecimal() else cpu_cores()


def _slowness() -> float:
    """Return how many times as long as a CPU with AVX512-BF16 this one takes."""
    flags = cpu_flags()
    if not flags.isdisjoint(("avx512_bf16", "amx_bf16")):
        return 1.0
    return _AVX512 if "avx512f" in flags else _AVX2


def _has_gpu(device: str) -> bool:
    """Return whether the work is probably done on a GPU: to know it takes seconds."""
    if device != "auto":
        return device != "cpu"
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return apple or (_torch_has_cuda() and shutil.which("nvidia-smi") is not None)


def _torch_has_cuda() -> bool:
    """Return whether the PyTorch there is was built for CUDA: PyPI's is on Linux alone."""
    build = version("torch").partition("+")[2]
    return build.startswith("cu") or (not build and sys.platform == "linux")
