"""Error diffusion: frequency-modulated (FM) printing, dots of one size whose number makes the tone.

Each pixel takes the nearest printable tone and hands its error on to the right and to the rows
below. That is sequential, but pixel (x, y) needs only what lies above and to the left, and from
the row above at most ``reach`` pixels to the right: all pixels with the same x + (reach + 1) y can
be printed at once, in every image of a batch. So W + (reach + 1) H steps do what W x H would.

Whoever prints at a threshold amplifies rounding: one last bit changes every dot after it. Tones
and errors are therefore whole numbers (1/4096 of a level, in float32, where they are exact), so
that dots are the same on every device and in any batch.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Seed, Share, Step
from redeg_cli.degrade.canvas import Canvas, Size
from redeg_cli.degrade.fields import uniform_field
from redeg_cli.degrade.halftone import print_inks, separate_inks
from redeg_cli.degrade.tone import to_luma

Kernel = Literal["floyd-steinberg", "jarvis", "stucki"]


class Filter(NamedTuple):
    """How an error is shared out: parts of ``whole`` for the neighbours that come later."""

    whole: int
    rows: tuple[tuple[int, tuple[int, ...]], ...]
    """For each row from the pixel's own down: the first neighbour's column (0 is the pixel's) and
    the parts of the neighbours from there to the right."""


FILTERS: dict[Kernel, Filter] = {
    "floyd-steinberg": Filter(16, ((1, (7,)), (-1, (3, 5, 1)))),
    "jarvis": Filter(48, ((1, (7, 5)), (-2, (3, 5, 7, 5, 3)), (-2, (1, 3, 5, 3, 1)))),
    "stucki": Filter(42, ((1, (8, 4)), (-2, (2, 4, 8, 4, 2)), (-2, (1, 2, 4, 2, 1)))),
}
"""Floyd and Steinberg 1976; Jarvis, Judice and Ninke 1976; Stucki 1981. All run from left to right
in every row (no serpentine)."""

_UNIT = 4096
"""Whole numbers from one printable level to the next."""
_MOST = 2**24
"""Numbers, of several planes together: from here on the steps are long enough for one alone."""


class ErrorDiffusion(Step):
    """A print in dots of one size."""

    inks: Literal["black", "cmy", "cmyk"] = "black"
    """Black alone, three colours, or four with all gray in black."""
    kernel: Kernel = "floyd-steinberg"
    levels: Annotated[int, Field(ge=2, le=16)] = 2
    """Tones that a dot can have, paper and full ink included."""
    dot: Annotated[int, Field(ge=1, le=16)] = 1
    """Side of a dot in pixels."""
    jitter: Share = 0.0
    """How much the threshold varies from dot to dot, of a level: it breaks up the worms and
    checkerboards of plain error diffusion."""
    seed: Seed = 0
    """Decides the thresholds' variation."""


def diffuse_errors(
    tones: Tensor,
    sizes: Tensor,
    kernel: Kernel,
    levels: Tensor,
    thresholds: Tensor | None = None,
) -> Tensor:
    """Return planes (N, H, W) of tones in [0, 1], each in ``levels`` (N,) equidistant tones.

    ``sizes`` (N, 2) are the planes' own heights and widths: what lies beyond neither takes nor
    gives errors. ``thresholds`` (N, H, W) in (0, 1) are where a tone between two levels takes the
    upper one (0.5 without). Takes memory for three times N x H x (W + 3 H) numbers, or of large
    images, whose planes are printed one by one, three times H x (W + 3 H).
    """
    if tones.device.type != "cpu":
        # Tens of thousands of small steps: a GPU takes longer to begin each than a CPU to do it.
        rest = None if thresholds is None else thresholds.cpu()
        made = diffuse_errors(tones.cpu(), sizes.cpu(), kernel, levels.cpu(), rest)
        return made.to(tones.device)
    slant = _slant(kernel)
    count, height, width = tones.shape
    if count > 1 and count * height * (width + slant * height) > _MOST:
        rest = [None] * count if thresholds is None else thresholds.split(1)
        parts = zip(tones.split(1), sizes.split(1), levels.split(1), rest, strict=True)
        return torch.cat([diffuse_errors(a, b, kernel, c, d) for a, b, c, d in parts])
    whole, rows = FILTERS[kernel]

    def slanted(plane: Tensor, beyond: float) -> Tensor:
        # Some steps and rows more than pixels: errors of the last ones fall there.
        count, height, width = plane.shape
        steps, places = width + slant * (height + len(rows) - 1), height + len(rows) - 1
        out = plane.new_full((steps, places * count), beyond)
        _upright(out, plane.shape, slant).copy_(plane)
        return out

    top = levels.to(tones)[:, None, None] - 1
    # Adding half makes the floor that follows the division round.
    units = (tones * (top * _UNIT)).round_().mul_(whole).add_(whole // 2)
    sums = slanted(units, 0.0)
    # What flows to a place outside an image is divided by infinity: it ends there.
    down = torch.arange(tones.shape[1], device=tones.device)[:, None] < sizes[:, 0, None, None]
    along = torch.arange(tones.shape[2], device=tones.device) < sizes[:, 1, None, None]
    divisors = slanted(torch.where(down & along, float(whole), torch.inf), torch.inf)
    offsets = None if thresholds is None else slanted(1 - thresholds, 0.5)
    _run(sums, divisors, offsets, top.flatten().repeat(tones.shape[1]), kernel, tones.shape)
    return _upright(sums, tones.shape, slant) / top


def _slant(kernel: Kernel) -> int:
    """Return how many steps a row runs behind the row above it."""
    return 1 - min(first for first, _ in FILTERS[kernel].rows)


def _upright(slanted: Tensor, shape: torch.Size, slant: int) -> Tensor:
    """Return the planes (N, H, W) of which pixel (n, y, x) lies at (x + slant y, N y + n)."""
    span = slanted.shape[1]
    return slanted.as_strided(shape, (1, slant * span + shape[0], span))


def _run(
    sums: Any, divisors: Any, offsets: Any, top: Any, kernel: Kernel, shape: torch.Size
) -> None:
    """Replace the tones in ``sums`` by their levels, one slanting line of pixels at a time."""
    count, height, width = shape
    slant, rows = _slant(kernel), FILTERS[kernel].rows
    longest = max(len(parts) for _, parts in rows)
    shares = [sums.new_tensor(parts)[:, None] for _, parts in rows]
    value, level, given = (sums.new_empty(n, len(top)) for n in (1, 1, longest))
    # NumPy starts an operation on a few hundred numbers in a quarter of torch's time.
    shares = [share.numpy() for share in shares]
    sums, divisors, top, value, level, given = (
        array.numpy() for array in (sums, divisors, top, value, level, given)
    )
    offsets = None if offsets is None else offsets.numpy()
    for step in range(width + slant * (height - 1)):
        start = max(0, -(-(step - width + 1) // slant)) * count
        stop = (min(height - 1, step // slant) + 1) * count
        place = sums[step, start:stop]
        tone, near = value[0, : stop - start], level[0, : stop - start]
        np.divide(place, divisors[step, start:stop], out=tone)
        np.floor(tone, out=tone)
        np.multiply(tone, 1 / _UNIT, out=near)
        np.add(near, 0.5 if offsets is None else offsets[step, start:stop], out=near)
        np.floor(near, out=place)
        if offsets is not None:
            # Varied thresholds push sums of errors past the outermost levels.
            np.minimum(place, top[start:stop], out=place)
            np.clip(place, 0, None, out=place)
        np.multiply(place, _UNIT, out=near)
        np.subtract(tone, near, out=tone)
        for row, ((first, parts), share) in enumerate(zip(rows, shares, strict=True)):
            later = step + slant * row + first
            part = given[: len(parts), : stop - start]
            np.multiply(tone, share, out=part)
            window = sums[later : later + len(parts), start + row * count : stop + row * count]
            np.add(window, part, out=window)


def apply_error_diffusion(canvas: Canvas, steps: Sequence[ErrorDiffusion]) -> Canvas:
    """Print each image of a canvas in dots."""
    height, width = canvas.pixels.shape[2:]
    dots = [step.dot for step in steps]
    coarse, sizes = _coarse(canvas, dots)
    if all(step.inks == "black" for step in steps):
        inks = 1 - to_luma(coarse)
    else:
        black = canvas.column([float(step.inks == "cmyk") for step in steps])
        inks = separate_inks(coarse, black, canvas.column([step.inks == "black" for step in steps]))
    inks = inks.clamp(0, 1)
    thresholds = None
    jitter = [step.jitter for step in steps]
    if any(jitter):
        shape = (inks.shape[1], inks.shape[2], inks.shape[3])
        field = uniform_field([step.seed for step in steps], shape, canvas.device)
        if inks.shape[1] > 1:
            # Where others of the batch have four inks, black is the fourth: with its own numbers.
            black = [row for row, step in enumerate(steps) if step.inks == "black"]
            field[black, 3] = field[black, 0]
        # Never 0: paper stays paper.
        thresholds = ((field - 0.5) * canvas.column(jitter) + 0.5).clamp(min=1e-3)
    printed = torch.empty_like(inks)
    for kernel in FILTERS:
        rows = [row for row, step in enumerate(steps) if step.kernel == kernel]
        if not rows:
            continue
        planes, repeat = inks[rows], inks.shape[1]
        printed[rows] = diffuse_errors(
            planes.flatten(0, 1),
            sizes[rows].repeat_interleave(repeat, 0),
            kernel,
            torch.tensor([steps[row].levels for row in rows]).repeat_interleave(repeat),
            None if thresholds is None else thresholds[rows].flatten(0, 1),
        ).view_as(planes)
    return canvas.with_pixels(_enlarged(print_inks(printed), dots, (height, width)))


def _coarse(canvas: Canvas, dots: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the images' means over cells of ``dots`` pixels and the sizes (B, 2) of those."""
    cells = [(-(-h // dot), -(-w // dot)) for (h, w), dot in zip(canvas.sizes, dots, strict=True)]
    sizes = torch.tensor(cells, device=canvas.device)
    if max(dots) == 1:
        return canvas.pixels, sizes
    whole = canvas.bordered(0, max(dots) - 1, "replicate")
    height, width = (max(lengths) for lengths in zip(*cells, strict=True))
    coarse = whole.new_zeros(len(dots), 3, height, width)
    for dot in dict.fromkeys(dots):
        rows = [row for row, other in enumerate(dots) if other == dot]
        means = F.avg_pool2d(whole[rows], dot)[:, :, :height, :width]
        coarse[rows, :, : means.shape[2], : means.shape[3]] = means
    return coarse, sizes


def _enlarged(pixels: Tensor, dots: Sequence[int], size: Size) -> Tensor:
    """Return the pixels of each image repeated ``dots`` times, cut to ``size``."""
    if max(dots) == 1:
        return pixels
    cell = torch.tensor(dots, device=pixels.device)[:, None]
    for axis, length in ((2, size[0]), (3, size[1])):
        place = torch.arange(length, device=pixels.device) // cell
        index = place.clamp_(max=pixels.shape[axis] - 1)
        index = index.view((-1, 1, length, 1) if axis == 2 else (-1, 1, 1, length))
        shape = list(pixels.shape)
        shape[axis] = length
        pixels = pixels.gather(axis, index.expand(shape))
    return pixels
