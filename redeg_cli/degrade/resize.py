"""Resizing between grids, with pixel centres aligned (half-pixel convention).

Any filter by any factor is one matrix per axis, so a batch of images with factors of their own is
two batched matrix products.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas, Size
from redeg_cli.errors import RecipeError

Filter = Literal["area", "pool", "bilinear", "bicubic", "lanczos", "nearest"]
_BLOCK, _BLOCK_GPU = 64, 256
"""Rows made at a time: a matrix is mostly zeros away from its diagonal. A core takes half the time
at 64 (512 pixels to 189: 2.9 ms in place of 5.8), a GPU has fewer and larger products to start."""
MOST_TIMES, ALWAYS = 16, 2048**2
"""Times the pixels of the HQ that an image may have on its way, so that no record asks for more
than memory holds; so many pixels are always allowed."""


class Resize(Step):
    """A resize by a factor, or onto a grid."""

    factor: Annotated[float, Field(gt=0, le=16)] = 1.0
    """New sides as a multiple of those of ``of``; rounded down to whole pixels, at least 1."""
    of: Literal["current", "hq", "native"] = "current"
    """What the factor multiplies: the image as it is, the HQ grid or the native grid."""
    filter: Filter = "area"
    antialias: bool = False
    """Widen bilinear, bicubic and lanczos where the image shrinks; see ``resize_matrix``."""

    def target(self, current: Size, canvas: Canvas) -> Size:
        """Return the new size of an image that has the size ``current``."""
        base = {"current": current, "hq": canvas.hq_size, "native": canvas.native_size}[self.of]
        # The tiny addition keeps 3 * (1 / 3) a whole number.
        height, width = (max(1, math.floor(n * self.factor + 1e-6)) for n in base)
        if height * width > max(MOST_TIMES * math.prod(canvas.hq_size), ALWAYS):
            raise RecipeError(
                f"a resize to {width}x{height} px has more than {MOST_TIMES} times the pixels of "
                "the HQ: take a smaller factor"
            )
        return height, width


def resize_matrix(
    before: Sequence[int],
    after: Sequence[int],
    rows: range,
    columns: range,
    filter: Filter,
    antialias: bool,
    device: torch.device,
) -> Tensor:
    """Return (B, rows, columns): what an image's new pixels take of its old ones, along a line.

    ``before`` and ``after`` are the images' own lengths in pixels. Each row sums to 1; rows from an
    image's new length on repeat its last. The filters:

    - ``area``: the exact average over each new pixel's area (OpenCV's ``INTER_AREA``);
    - ``pool``: the average of all pixels it touches (PyTorch's "area", used by Real-ESRGAN);
    - ``bilinear``, ``bicubic``: without antialias borders are repeated and the cubic has a = -0.75
      (OpenCV, PyTorch), with it weights end at the border and a = -0.5 (Pillow, and MATLAB inside);
    - ``lanczos``: likewise, with 8 taps (OpenCV's ``INTER_LANCZOS4``) and 6 (Pillow);
    - ``nearest``: pixel floor(i * before / after) (OpenCV, PyTorch): every n-th when shrunk by n.
    """
    old = torch.tensor(before, device=device).view(-1, 1, 1)
    new = torch.tensor(after, device=device).view(-1, 1, 1)
    i = torch.minimum(torch.arange(rows.start, rows.stop, device=device).view(1, -1, 1), new - 1)
    j = torch.arange(columns.start, columns.stop, device=device).view(1, 1, -1)
    if filter == "nearest":
        return (j == i * old // new).float()
    if filter == "pool":
        weights = ((j >= i * old // new) & (j < ((i + 1) * old + new - 1) // new)).float()
    elif filter == "area":
        # In units of 1 / new, which makes whole numbers of the edges of old and new pixels.
        overlap = torch.minimum((i + 1) * old, (j + 1) * new) - torch.maximum(i * old, j * new)
        weights = overlap.clamp(min=0).float()
    else:
        ratio = old / new
        centre = (i + 0.5) * ratio - 0.5
        if antialias:
            weights = _weight((j - centre) / ratio.clamp(min=1), filter, True) * (j < old)
        else:
            weights = _weight(j - centre, filter, False) * (j < old)
            taps = torch.arange(1, 5, device=device).view(1, 1, -1)
            left = _weight(-taps - centre, filter, False).sum(2, keepdim=True)
            right = _weight(old - 1 + taps - centre, filter, False).sum(2, keepdim=True)
            weights = weights + left * (j == 0) + right * (j == old - 1)
    return weights / weights.sum(2, keepdim=True)


def _weight(x: Tensor, filter: str, antialias: bool) -> Tensor:
    """Return the weight of a pixel ``x`` pixels (or filter widths) away from the centre."""
    x = x.abs()
    if filter == "bilinear":
        return (1 - x).clamp(min=0)
    if filter == "bicubic":
        # Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 4.
        a = -0.5 if antialias else -0.75
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = a * (((x - 5) * x + 8) * x - 4)
        return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
    lobes = 3 if antialias else 4
    return torch.sinc(x) * torch.sinc(x / lobes) * (x < lobes)


_REACH = {"area": 1, "pool": 1, "bilinear": 1, "bicubic": 2, "lanczos": 4, "nearest": 1}
"""How many pixels (or filter widths) from its centre a new pixel sees."""


def _resize_lines(
    pixels: Tensor, before: Sequence[int], after: Sequence[int], filter: Filter, antialias: bool
) -> Tensor:
    """Resize the columns (dimension 2) of (B, 3, H, W): image b from before[b] to after[b]."""
    length, out = pixels.shape[2], []
    ratios = [old / new for old, new in zip(before, after, strict=True)]
    block = _BLOCK if pixels.device.type == "cpu" else _BLOCK_GPU
    for start in range(0, max(after), block):
        rows = range(start, min(start + block, max(after)))
        low = min(start * ratio - _REACH[filter] * max(1, ratio) for ratio in ratios)
        high = max(rows.stop * ratio + _REACH[filter] * max(1, ratio) for ratio in ratios)
        # Rows of an image that has ended repeat its last, which lies below the block.
        ended = any(new < rows.stop for new in after)
        first = 0 if ended and start else max(0, math.floor(low) - 1)
        columns = range(first, min(length, math.ceil(high) + 2))
        matrix = resize_matrix(before, after, rows, columns, filter, antialias, pixels.device)
        part = pixels[:, :, columns.start : columns.stop]
        out.append(matrix.to(pixels.dtype)[:, None] @ part)
    return out[0] if len(out) == 1 else torch.cat(out, 2)


def resize_canvas(canvas: Canvas, sizes: Sequence[Size], filter: Filter, antialias: bool) -> Canvas:
    """Resize each image of a canvas to a size of its own; the result is clamped to [0, 1]."""
    if not canvas.ragged and len(set(sizes)) == 1:
        return canvas.with_pixels(resize(canvas.pixels, sizes[0], filter, antialias), sizes)
    heights, widths = zip(*canvas.sizes, strict=True)
    new_heights, new_widths = zip(*sizes, strict=True)
    x = _resize_lines(canvas.pixels, heights, new_heights, filter, antialias)
    x = _resize_lines(x.transpose(2, 3), widths, new_widths, filter, antialias).transpose(2, 3)
    return canvas.with_pixels(x.clamp(0, 1), sizes)


def resize(
    images: Tensor, size: tuple[int, int], filter: Filter = "bicubic", antialias: bool = True
) -> Tensor:
    """Resize images (B, C, H, W) to ``size`` (height, width); the result is clamped to [0, 1].

    For the filters see ``resize_matrix``. ``antialias`` widens the filter where the image shrinks.
    """
    height, width = images.shape[2:]
    if (height, width) == tuple(size):
        return images
    if filter == "nearest":
        # PyTorch's own rounds the ratio first, and then takes a neighbour now and then.
        rows, columns = (
            torch.arange(new, device=images.device) * old // new
            for old, new in zip((height, width), size, strict=True)
        )
        return images[:, :, rows[:, None], columns].clamp(0, 1)
    # On MPS it takes sizes that divide alone (PyTorch issue 96056); the matrices are the same.
    if filter == "pool" and images.device.type != "mps":
        return F.adaptive_avg_pool2d(images, size).clamp(0, 1)
    if filter in ("bilinear", "bicubic"):
        return F.interpolate(
            images, size=size, mode=filter, align_corners=False, antialias=antialias
        ).clamp(0, 1)
    x = _resize_lines(images, [height], [size[0]], filter, antialias)
    x = _resize_lines(x.transpose(2, 3), [width], [size[1]], filter, antialias)
    return x.transpose(2, 3).clamp(0, 1)


def aligned_pixels(canvas: Canvas) -> Tensor:
    """Return the images of a canvas on the HQ grid, (B, 3, H, W), bicubic."""
    to_hq = Resize(of="hq", filter="bicubic", antialias=True)
    return apply_resize(canvas, [to_hq] * len(canvas.sizes)).pixels


def to_aligned(native: Tensor, scale: int) -> Tensor:
    """Resize a native LQ (B, C, h, w) onto the HQ grid (B, C, h*scale, w*scale), bicubic."""
    return resize(native, (native.shape[2] * scale, native.shape[3] * scale))


def to_native(aligned: Tensor, scale: int) -> Tensor:
    """Bring an aligned LQ (B, C, H, W) back to its own grid (B, C, H/scale, W/scale).

    The aligned image holds nothing above the native grid's Nyquist frequency, so it is sampled
    (bicubic without antialias) rather than averaged: averaging would blur the grain once more.
    """
    size = (aligned.shape[2] // scale, aligned.shape[3] // scale)
    return resize(aligned, size, antialias=False)


def apply_resize(canvas: Canvas, steps: Sequence[Resize]) -> Canvas:
    """Resize each image of a canvas as its step says."""
    sizes = [step.target(size, canvas) for step, size in zip(steps, canvas.sizes, strict=True)]
    rows_of: dict[tuple[Filter, bool], list[int]] = {}
    for row, step in enumerate(steps):
        rows_of.setdefault((step.filter, step.antialias), []).append(row)
    out = canvas
    for (filter, antialias), rows in rows_of.items():
        some = [sizes[row] for row in rows]
        out = out.merge(rows, resize_canvas(canvas.select(rows), some, filter, antialias))
    return out
