"""Kernels to look at: those that a degrader draws, and those that a file holds.

A file (.npz or .safetensors) holds ``kernels`` (M, k, k), as a kernel pool or the basis of
Degradation Model Learning (Xiao et al. 2020, eq. 3), and perhaps ``weights`` (M, H, W): how much of
each kernel every pixel takes. A model of `redeg train dml` predicts them for a picture.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.blur import Blur, make_kernels
from redeg_cli.degrade.chain import load_degrader
from redeg_cli.degrade.dml import load_degradation, weight_maps
from redeg_cli.degrade.steps import run_chains
from redeg_cli.errors import InputError, one_line
from redeg_cli.io.arrays import DAMAGE, open_arrays
from redeg_cli.io.checkpoints import load_tensors
from redeg_cli.io.images import to_tensor
from redeg_cli.models import model_info
from redeg_cli.nets.dml import DML
from redeg_cli.seeds import sample_seed

FILES = (".npz", ".safetensors")
_LINEAR = ("blur", "resize")
_LEFT_OUT = ("noise", "speckle", "poisson", "jpeg", "webp", "sharpen")
"""Steps that are no filter but leave one: an effective kernel is that of the others. (Sharpening
acts only where there are edges enough; Real-ESRGAN does it to the HQ.)"""
_SIDE = 256
"""Pixels of the HQ grid that a measured LQ pixel is the middle of."""
_NOTHING = 1e-4
"""Share of a kernel's largest value below which its border is cut off."""


@dataclass(frozen=True)
class KernelFacts:
    """What a kernel does, in numbers."""

    total: float
    """Sum of its values: 1 keeps the brightness."""
    centre: tuple[float, float]
    """Centre of mass (x, y) in pixels from the middle: how far it moves the picture."""
    widths: tuple[float, float] | None
    """Standard deviations in pixels along its long and its short axis; None for a kernel with so
    much below zero that it has none (sinc)."""
    angle: float
    """Direction of the long axis in degrees, [0, 180)."""


@dataclass(frozen=True)
class ShownKernel:
    """A kernel and what it is."""

    label: str
    values: Tensor
    """(k, k) float32."""


@dataclass(frozen=True)
class DrawnKernels:
    """What one draw of a degrader filters with."""

    ops: tuple[str, ...]
    """All its steps, in order."""
    kernels: tuple[ShownKernel, ...]
    effective: Tensor | None
    """(n, n): what the middle LQ pixel takes of the HQ pixels after all blurs and resizes."""
    left_out: tuple[str, ...]
    """Steps that the effective kernel does not hold; those that make it impossible if it is
    None."""


@dataclass(frozen=True)
class KernelSet:
    """What a file holds. Guaranteed: finite, and the shapes fit."""

    kernels: Tensor
    """(M, k, k) float32."""
    weights: Tensor | None
    """(M, H, W) float32."""


def describe_kernel(kernel: Tensor) -> KernelFacts:
    """Return the facts of a kernel (h, w)."""
    values = kernel.double()
    total = float(values.sum())
    height, width = values.shape
    y = torch.arange(height, dtype=values.dtype)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=values.dtype)[None] - (width - 1) / 2
    if abs(total) < 1e-9:
        return KernelFacts(total, (0.0, 0.0), None, 0.0)
    share = values / total
    cx, cy = float((share * x).sum()), float((share * y).sum())
    xx, yy = float((share * (x - cx) ** 2).sum()), float((share * (y - cy) ** 2).sum())
    xy = float((share * (x - cx) * (y - cy)).sum())
    middle, apart = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    widths = None
    if middle - apart > -1e-9:
        widths = math.sqrt(middle + apart), math.sqrt(max(middle - apart, 0.0))
    return KernelFacts(total, (cx, cy), widths, math.degrees(math.atan2(2 * xy, xx - yy)) / 2 % 180)


def draw_kernels(what: str | Path, scale: int, count: int, seed: int = 0) -> list[DrawnKernels]:
    """Return the kernels of ``count`` draws of a degrader: a preset's name or a TOML file.

    Raises RecipeError when there is none of that name.
    """
    degrader = load_degrader(what, scale)
    return [
        kernels_of(degrader.draw(sample_seed(seed, "kernels", number))["steps"], scale)
        for number in range(count)
    ]


def kernels_of(steps: Sequence[Mapping[str, Any]], scale: int) -> DrawnKernels:
    """Return the kernels of recorded steps."""
    ops = tuple(str(step["op"]) for step in steps)
    shown = []
    for step in steps:
        if step["op"] == "blur":
            blur = Blur.model_validate({key: value for key, value in step.items() if key != "op"})
            shown.append(ShownKernel(label_blur(blur), make_kernels([blur])[0]))
    strange = tuple(dict.fromkeys(op for op in ops if op not in (*_LINEAR, *_LEFT_OUT)))
    if strange:
        return DrawnKernels(ops, tuple(shown), None, strange)
    linear = [step for step in steps if step["op"] in _LINEAR]
    left_out = tuple(dict.fromkeys(op for op in ops if op in _LEFT_OUT))
    return DrawnKernels(ops, tuple(shown), effective_kernel(linear, scale), left_out)


def effective_kernel(steps: Sequence[Mapping[str, Any]], scale: int) -> Tensor:
    """Return what the middle native LQ pixel takes of the HQ pixels, (n, n), n odd.

    ``steps`` are recorded blurs and resizes. Its value at a pixel is the answer to an impulse
    there; all are measured at once as the derivative of the LQ pixel at a gray picture, where no
    step clips. The middle is the HQ pixel at (or just below) the centre of the LQ pixel. Other LQ
    pixels may differ a little where a resize is by no whole number.
    """
    side = _SIDE // scale * scale
    hq = torch.full((1, 3, side, side), 0.5, dtype=torch.float64, requires_grad=True)
    chain = [*steps, {"op": "resize", "of": "native"}]
    with torch.enable_grad():
        native = run_chains(hq, [chain], scale).pixels
        row = native.shape[2] // 2
        (gradient,) = torch.autograd.grad(native[0, 0, row, row], hq)
    middle = int(scale * (row + 0.5) - 0.5)
    return _trimmed(gradient[0, 0], middle).float()


def _trimmed(weights: Tensor, middle: int) -> Tensor:
    """Cut the border of (s, s) that holds nothing off, odd and about ``middle``."""
    there = (weights.abs() > _NOTHING * weights.abs().max()).nonzero()
    reach = int((there - middle).abs().max())
    reach = min(reach, middle, weights.shape[0] - 1 - middle)
    part = slice(middle - reach, middle + reach + 1)
    return weights[part, part]


def label_blur(step: Blur) -> str:
    """Return a blur step in words: ``gaussian 21 px, width 1.20 x 3.40, 37°``."""
    text = f"{step.family} {step.size} px"
    if step.family == "sinc":
        return f"{text}, cut-off {step.cutoff / math.pi:.2f} pi"
    text += f", width {step.sigma:.2f}"
    if step.across != step.sigma:
        text += f" x {step.across:.2f}, {math.degrees(step.theta) % 180:.0f}°"
    if step.family != "gaussian":
        text += f", beta {step.beta:.2f}"
    return text


def read_kernels(path: Path) -> KernelSet:
    """Read a file of kernels. Raises InputError when it holds none or shapes do not fit."""
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a degrader's name, its TOML or a file")
    found = _read_arrays(path)
    if "kernels" not in found:
        there = ", ".join(sorted(found)) or "no kernels"
        raise InputError(f"{path} holds {there}: wanted kernels (M, k, k) and perhaps weights")
    kernels, weights = found["kernels"].float(), found.get("weights")
    if kernels.ndim != 3 or 0 in kernels.shape:
        raise InputError(f"{path}: kernels are {tuple(kernels.shape)}, wanted (M, k, k)")
    if weights is not None:
        weights = weights.float()
        if weights.ndim != 3 or len(weights) != len(kernels) or 0 in weights.shape:
            raise InputError(
                f"{path}: weights are {tuple(weights.shape)}, wanted ({len(kernels)}, H, W): a "
                "map for each kernel"
            )
    for name, values in (("kernels", kernels), ("weights", weights)):
        if values is not None and not bool(values.isfinite().all()):
            raise InputError(f"{path}: {name} hold NaN or infinity")
    return KernelSet(kernels, weights)


def is_dml(path: Path) -> bool:
    """Return whether a file is a DML that `redeg train dml` wrote.

    Raises ModelError for one that is unreadable, InputError for one of its rivals: they have no
    basis kernels.
    """
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    info = model_info(path)
    if info.kind == "degrader" and info.architecture != "dml":
        raise InputError(
            f"{path} is a {info.architecture}, which has no basis kernels: give a dml model, or "
            "its LQs with `redeg synthesize`"
        )
    return info.architecture == "dml"


def dml_kernels(path: Path, picture: np.ndarray | None = None) -> KernelSet:
    """Return the basis kernels of a DML, and their weights for a picture (H, W, 3) in [0, 1].

    Raises ModelError.
    """
    net = cast("DML", load_degradation(path))
    weights = None if picture is None else weight_maps(net, to_tensor(picture))[0]
    return KernelSet(net.basis().detach(), weights)


def kernel_at(kernels: KernelSet, x: int, y: int) -> Tensor:
    """Return the kernel (k, k) of the pixel in column ``x`` and row ``y``: the weighted sum.

    Raises InputError when there are no weights or the pixel is outside of them.
    """
    if kernels.weights is None:
        raise InputError(
            "the kernel at a pixel needs weights (M, H, W), and there are none: a dml model "
            "predicts them for a --picture"
        )
    height, width = kernels.weights.shape[1:]
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"pixel {x},{y} is outside of the weights, which are {width}x{height}")
    return torch.einsum("m,mij->ij", kernels.weights[:, y, x], kernels.kernels)


def _read_arrays(path: Path) -> dict[str, Tensor]:
    if path.suffix.lower() == ".safetensors":
        return load_tensors(path)[0]
    try:
        with path.open("rb") as content, open_arrays(content) as file:
            return {
                name: torch.from_numpy(file[name].astype(np.float64, casting="same_kind"))
                for name in file.files
                if name in ("kernels", "weights")
            }
    except DAMAGE as error:
        raise InputError(f"{path} cannot be read as .npz: {one_line(error)}") from None
