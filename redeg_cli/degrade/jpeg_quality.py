"""How pictures were JPEG-compressed: read from the file, or estimated from the pixels.

A file tells by its quantisation tables. A picture that was a JPEG once and was saved as something
else still has DCT coefficients that crowd at multiples of the table's steps.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, JpegImagePlugin
from torch import Tensor

from redeg_cli.degrade.jpeg import quality_tables
from redeg_cli.nets.dct import block_dct

_FREQUENCIES = 20
"""Frequencies of the luma that are looked at, lowest first: of higher ones little is left."""
_BLOCKS = 4096
"""Blocks that are looked at, evenly over the picture."""
_ROUNDING = 0.35
"""Deviation of a coefficient from its multiple: pixels were rounded, in three channels."""
_OUTLIERS = 0.1
"""Share of the coefficients that need not fit: what was drawn into the picture later."""
_CERTAIN = 0.08
"""Least mean gain, in nats per coefficient, from which a picture counts as compressed."""
_LEAST_COEFFICIENTS = 30
_COARSE = 400
"""Blocks that are looked at to find where the blocks begin."""
_MODE_420, _MODE_422 = 2, 1


@dataclass(frozen=True)
class JpegTraits:
    """How a picture was compressed."""

    quality: float | None = None
    """Of the Independent JPEG Group's scale, 1 to 100; None if there is no trace of JPEG."""
    subsample: bool = True
    """Whether chroma has a lower resolution."""
    how: Literal["tables", "blocking", "none"] = "none"
    """Read from the file's tables, or estimated from the pixels."""


def jpeg_traits(path: Path, rgb: np.ndarray) -> JpegTraits:
    """Return the traits of a picture file whose pixels are (H, W, 3) in [0, 1], as in the file."""
    return read_traits(path) or estimate_traits(rgb)


def read_traits(path: Path) -> JpegTraits | None:
    """Return what the tables of a JPEG file say; None for a file of another kind."""
    try:
        with Image.open(path) as image:
            tables = getattr(image, "quantization", None)
            if image.format not in ("JPEG", "MPO") or not tables:
                return None
            sampling = JpegImagePlugin.get_sampling(image)
            gray = image.mode == "L"
    except (OSError, ValueError):
        return None
    quality = tables_quality([np.array(tables[key], float) for key in sorted(tables)][:2])
    return JpegTraits(quality, gray or sampling in (_MODE_420, _MODE_422), "tables")


def tables_quality(tables: list[np.ndarray]) -> float:
    """Return the quality whose tables are nearest to those of a file, (64,) row by row each.

    Tables of other encoders than the IJG's are placed by the mean ratio of the steps.
    """
    known = _tables()[: len(tables)]  # (luma and chroma, 100, 64)
    off = sum(
        np.abs(np.log(theirs[None] / ours)).mean(1)
        for theirs, ours in zip(tables, known, strict=True)
    )
    return float(np.argmin(off)) + 1


def estimate_traits(rgb: np.ndarray) -> JpegTraits:
    """Return how a picture (H, W, 3) in [0, 1] was compressed once, from its pixels alone.

    The blocks may begin anywhere. For each quality the steps of its table are held against the
    coefficients c of the luma that are not zero: c is a multiple of the step but for rounding, or
    anything. The likeliest quality is taken if it explains them clearly better than none.
    """
    levels = torch.from_numpy(np.rint(rgb * 255).astype(np.float32)).permute(2, 0, 1)[None]
    if min(rgb.shape[:2]) < 24:
        return JpegTraits()
    luma = 0.299 * levels[:, :1] + 0.587 * levels[:, 1:2] + 0.114 * levels[:, 2:] - 128
    # Where a channel was clipped, a coefficient is no multiple any more.
    clipped = ((levels <= 0) | (levels >= 255)).any(1, keepdim=True).float()
    place = (0, 0)
    quality, gain = _likeliest(_blocks(luma, clipped, place), 0)
    if gain < _CERTAIN:
        corners = [(y, x) for y in range(8) for x in range(8)]
        gains = [_likeliest(_blocks(luma, clipped, each, _COARSE), 0)[1] for each in corners]
        place = corners[int(np.argmax(gains))]
        quality, gain = _likeliest(_blocks(luma, clipped, place), 0)
    if gain < _CERTAIN:
        return JpegTraits()
    # Chroma that was coded at its own resolution fits the steps of its table.
    blue = 0.5 * levels[:, 2:] - 0.168736 * levels[:, :1] - 0.331264 * levels[:, 1:2]
    _, fit = _likeliest(_blocks(blue, clipped, place), 1, quality)
    return JpegTraits(float(quality), fit < _CERTAIN, "blocking")


def _likeliest(blocks: Tensor, table: int, only: int | None = None) -> tuple[int, float]:
    """Return the quality that explains the coefficients (N, 64) best, and by how much.

    The gain is the mean over the coefficients of log(p / p of any value). ``table``: 0 is that of
    the luma, 1 that of the chroma; ``only`` looks at a single quality.
    """
    qualities = range(1, 101) if only is None else (only,)
    order = _lowest()[:_FREQUENCIES]
    gains, count = np.zeros(len(qualities)), 0
    for place in order:
        values = blocks[:, place].abs()
        values = values[values > 2 * _ROUNDING + 0.5]  # zeros fit every step
        if not len(values):
            continue
        count += len(values)
        steps = torch.from_numpy(_tables()[table][[q - 1 for q in qualities], place]).float()
        distinct, back = steps.unique(return_inverse=True)
        off = values[:, None] - distinct * (values[:, None] / distinct).round()
        # A multiple of the step, blurred by the rounding, against an even law over a step.
        # Of small steps the next multiple counts too.
        near = sum(
            torch.exp(-0.5 * (each / _ROUNDING).square()) for each in (off, distinct - off.abs())
        )
        law = near / (_ROUNDING * math.sqrt(2 * math.pi))
        ratio = _OUTLIERS + (1 - _OUTLIERS) * law * distinct
        gains += ratio.log().sum(0)[back].double().numpy()
    if count < _LEAST_COEFFICIENTS:
        return qualities[-1], 0.0
    best = int(np.argmax(gains))
    return qualities[best], float(gains[best] / count)


def _blocks(plane: Tensor, clipped: Tensor, place: tuple[int, int], most: int = _BLOCKS) -> Tensor:
    """Return the DCT coefficients (N, 64) of blocks of a plane (1, 1, H, W) from ``place`` on.

    Evenly over the plane; those with a pixel that is ``clipped`` are left out.
    """
    y, x = place
    height, width = (side // 8 * 8 for side in (plane.shape[2] - y, plane.shape[3] - x))
    part, ends = (each[:, :, y : y + height, x : x + width] for each in (plane, clipped))
    whole = F.max_pool2d(ends, 8).flatten() == 0
    blocks = block_dct(part).reshape(-1, 64)[whole]
    return blocks[:: max(1, -(-len(blocks) // most))]


@lru_cache(maxsize=1)
def _lowest() -> list[int]:
    """Return the places of a block's coefficients but the mean, lowest frequencies first."""
    places = [(i + j, max(i, j), 8 * i + j) for i in range(8) for j in range(8) if i + j]
    return [place for _, _, place in sorted(places)]


@lru_cache(maxsize=1)
def _tables() -> np.ndarray:
    """Return the steps of qualities 1 to 100, (luma and chroma, 100, 64)."""
    luma, chroma = quality_tables(torch.arange(1, 101).float())
    return np.stack([luma.flatten(1).numpy(), chroma.flatten(1).numpy()]).astype(np.float64)
