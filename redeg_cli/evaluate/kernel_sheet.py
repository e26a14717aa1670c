"""Contact sheets of kernels and of the maps that weight them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade.kernel_pool import KernelPool
from redeg_cli.degrade.resize import resize
from redeg_cli.evaluate.kernels import DrawnKernels, KernelSet, describe_kernel, kernel_at
from redeg_cli.evaluate.sheet import Panel, Strip, draw_sheet

_CELL = 256
_MOST = 60
"""Kernels of a pool that are shown."""
_POSITIVE = ((255, 255, 255), (150, 190, 222), (49, 105, 170), (9, 30, 77))
_NEGATIVE = ((255, 255, 255), (240, 160, 130), (178, 24, 43))
_WEIGHTS = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
"""Dark violet to yellow, evenly brighter (after viridis)."""


def draws_sheet(draws: Sequence[DrawnKernels]) -> np.ndarray:
    """Return a sheet (H, W, 3) in [0, 1]: a draw a row, its kernels and the effective one.

    Under each kernel: sum, centre of mass (x, y) from the middle, widths along both axes, in
    pixels of the grid that it works on (the HQ grid for the effective one).
    """
    strips = []
    for number, draw in enumerate(draws, 1):
        panels = [_kernel(shown.values, shown.label) for shown in draw.kernels]
        title = f"draw {number}: {', '.join(draw.ops)}"
        if draw.effective is not None:
            panels.append(_kernel(draw.effective, "effective"))
            title += f"; effective without {', '.join(draw.left_out)}" if draw.left_out else ""
        else:
            empty = np.full((_CELL, _CELL, 3), 0.93, np.float32)
            panels.append(Panel(empty, "no effective kernel", f"because of {draw.left_out[0]}"))
        strips.append(Strip(title, tuple(panels)))
    return draw_sheet(strips)


def pool_sheet(pool: KernelPool) -> np.ndarray:
    """Return a sheet (H, W, 3) in [0, 1] of a pool's kernels; of many, evenly from all."""
    count = min(len(pool), _MOST)
    rows = np.linspace(0, len(pool) - 1, count).round().astype(int)
    panels = [_kernel(torch.from_numpy(pool.kernels[row]), pool.names[row]) for row in rows]
    whole = "" if count == len(pool) else f"{count} of "
    title = f"{whole}{len(pool)} kernels of scale {pool.scale}"
    return draw_sheet([Strip(title, tuple(panels))])


def set_sheet(
    kernels: KernelSet, at: tuple[int, int] | None = None, picture: np.ndarray | None = None
) -> np.ndarray:
    """Return a sheet (H, W, 3) in [0, 1] of kernels, weight maps and the kernel at a pixel.

    ``at`` is (x, y) of the weights; ``picture`` (h, w, 3) in [0, 1] is shown beside the maps.
    """
    count, size = kernels.kernels.shape[:2]
    strips = []
    if at is not None:
        shares = kernels.weights[:, at[1], at[0]] if kernels.weights is not None else None
        found = _kernel(kernel_at(kernels, *at), f"at {at[0]},{at[1]}")
        most = "" if shares is None else _most(shares)
        strips.append(Strip(f"the kernel at a pixel: {most}", (found,)))
    every = tuple(_kernel(values, f"kernel {m}") for m, values in enumerate(kernels.kernels))
    strips.append(Strip(f"{count} kernels of {kernels.kernels.shape[2]}x{size}", every))
    if kernels.weights is not None:
        low, high = float(kernels.weights.min()), float(kernels.weights.max())
        maps = [_map(plane, low, high, m, at) for m, plane in enumerate(kernels.weights)]
        if picture is not None:
            maps.insert(0, Panel(_fitted(picture), "picture"))
        strips.append(Strip(f"weights, {low:.2f} (dark) to {high:.2f} (light)", tuple(maps)))
    return draw_sheet(strips)


def paint_kernel(kernel: Tensor) -> np.ndarray:
    """Return a kernel (h, w) as RGB (h, w, 3) in [0, 1]: white is 0, blue above, red below."""
    values = kernel.float().numpy()
    share = values / max(float(np.abs(values).max()), 1e-12)
    above, below = _ramp(share.clip(0, 1), _POSITIVE), _ramp((-share).clip(0, 1), _NEGATIVE)
    return np.where(share[..., None] >= 0, above, below)


def _kernel(values: Tensor, label: str) -> Panel:
    facts = describe_kernel(values)
    text = f"sum {facts.total:.3f} · at {_signed(facts.centre[0])} {_signed(facts.centre[1])}"
    if facts.widths is not None:
        text += f" · {facts.widths[0]:.2f} x {facts.widths[1]:.2f}"
    painted = paint_kernel(values)
    zoom = max(1, _CELL // max(painted.shape[:2]))
    large = painted.repeat(zoom, 0).repeat(zoom, 1)[:_CELL, :_CELL]
    large[[0, -1]] = large[:, [0, -1]] = 0.75  # white kernels need an edge on white paper
    return Panel(large, label, text)


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # never -0.0


def _map(plane: Tensor, low: float, high: float, number: int, at: tuple[int, int] | None) -> Panel:
    values = (plane.numpy() - low) / max(high - low, 1e-12)
    painted = _ramp(values, _WEIGHTS)
    if at is not None:
        x, y = at
        arm = max(3, max(values.shape) // 24)
        painted[y, max(0, x - arm) : x + arm + 1] = (1, 0, 0)
        painted[max(0, y - arm) : y + arm + 1, x] = (1, 0, 0)
    text = f"mean {float(plane.mean()):.3f}, {float(plane.min()):.2f} to {float(plane.max()):.2f}"
    return Panel(_fitted(painted), f"weights of kernel {number}", text)


def _most(shares: Tensor) -> str:
    """Return the kernels that weigh most at a pixel."""
    order = shares.abs().argsort(descending=True)[:4].tolist()
    return ", ".join(f"{float(shares[m]):.2f} of kernel {m}" for m in order)


def _fitted(picture: np.ndarray) -> np.ndarray:
    """Return a picture (h, w, 3) as large as a cell lets it be; enlarged by whole numbers."""
    height, width = picture.shape[:2]
    if max(height, width) <= _CELL:
        zoom = _CELL // max(height, width)
        return picture.repeat(zoom, 0).repeat(zoom, 1)
    factor = _CELL / max(height, width)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()
    return resize(planes[None], size, "area")[0].permute(1, 2, 0).numpy()


def _ramp(share: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Return the colours (..., 3) in [0, 1] of shares in [0, 1], evenly between the given ones."""
    places = np.linspace(0, 1, len(colours))
    table = np.array(colours) / 255
    return np.stack([np.interp(share, places, table[:, c]) for c in range(3)], -1)
