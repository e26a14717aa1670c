"""JPEG compression in torch: batched, per-image quality, differentiable by straight-through.

The steps are those of the baseline standard (ITU-T T.81) as libjpeg does them: BT.601 YCbCr, 2x2
averaged chroma for 4:2:0, 8x8 DCT, the standard tables scaled by quality, triangle-filtered
chroma upsampling.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas, Size
from redeg_cli.nets.dct import block_dct, inverse_block_dct


class Jpeg(Step):
    """A JPEG compression."""

    quality: float = Field(ge=1, le=100)
    """Of the Independent JPEG Group's scale; need not be whole."""
    subsample: bool = True
    """4:2:0, else 4:4:4."""


# ITU-T T.81, Annex K, tables K.1 and K.2, row by row.
LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA_TABLE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8 for _ in range(4)),
)


@lru_cache(maxsize=1)
def _constants() -> tuple[Tensor, Tensor, Tensor]:
    to_ycbcr = torch.tensor(
        [
            [0.299, 0.587, 0.114],
            [-0.168735892, -0.331264108, 0.5],
            [0.5, -0.418687589, -0.081312411],
        ],
        dtype=torch.float64,
    )
    tables = torch.tensor([LUMA_TABLE, CHROMA_TABLE], dtype=torch.float32)
    return to_ycbcr.float(), torch.linalg.inv(to_ycbcr).float(), tables


def quality_tables(quality: Tensor) -> tuple[Tensor, Tensor]:
    """Return luma and chroma quantisation tables (B, 8, 8) for qualities (B,) in 1..100 (IJG)."""
    quality = quality.clamp(1, 100)
    # Real-valued qualities are allowed; the divisions are whole-numbered as in libjpeg.
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)[:, None, None]
    base = _constants()[2].to(quality.device)
    luma, chroma = (((table * percent + 50) / 100).floor().clamp(1, 255) for table in base)
    return luma, chroma


def jpeg(images: Tensor, quality: Tensor, subsample: Tensor) -> Tensor:
    """Compress and decompress images (B, 3, H, W) in [0, 1] as JPEG files would.

    ``quality`` (B,) in 1..100; ``subsample`` (B,) bool: 4:2:0 where true, 4:4:4 elsewhere. Any H
    and W. Gradients pass through every rounding unchanged (straight-through), to the image only.
    Within 0.9 of 255 of OpenCV's libjpeg in the mean, at qualities from 10 to 95.
    """
    return jpeg_canvas(Canvas.of(images, 1), quality, subsample)


def jpeg_canvas(canvas: Canvas, quality: Tensor, subsample: Tensor) -> Tensor:
    """Return the pixels of a canvas, each image compressed at its own size; see ``jpeg``."""
    height, width = canvas.pixels.shape[2:]
    x = canvas.with_pixels(canvas.pixels.float())
    pixels = _to_whole_blocks(x, -height % 16, -width % 16)
    to_ycbcr, to_rgb, _ = _constants()
    levels = _round(pixels.clamp(0, 1) * 255)
    ycc = _round(to_ycbcr.to(x.device) @ levels.flatten(2)).view_as(levels)
    luma_table, chroma_table = quality_tables(quality.float().to(x.device))
    y = _quantise(ycc[:, :1] - 128, luma_table) + 128
    cbcr = ycc[:, 1:]
    if bool(subsample.all()):
        cbcr = _subsampled(cbcr, chroma_table, canvas.sizes)
    elif not bool(subsample.any()):
        cbcr = _quantise(cbcr, chroma_table)
    else:
        half = _subsampled(cbcr, chroma_table, canvas.sizes)
        whole = _quantise(cbcr, chroma_table)
        cbcr = torch.where(subsample.to(x.device)[:, None, None, None], half, whole)
    ycc = torch.cat([y, cbcr], 1)
    rgb = _round(to_rgb.to(x.device) @ ycc.flatten(2)).view_as(ycc)
    return (rgb[:, :, :height, :width].clamp(0, 255) / 255).to(canvas.pixels.dtype)


def _to_whole_blocks(canvas: Canvas, down: int, right: int) -> Tensor:
    if canvas.ragged:
        after = max(down, right)
        height, width = canvas.pixels.shape[2:]
        return canvas.bordered(0, after, "replicate")[:, :, : height + down, : width + right]
    return F.pad(canvas.pixels, (0, right, 0, down), mode="replicate")


def _subsampled(cbcr: Tensor, table: Tensor, sizes: Sequence[Size]) -> Tensor:
    """Return chroma (B, 2, H, W), coded at half its size and enlarged by a triangle filter.

    The filter repeats the last sample that belongs to the image, not those that fill the block.
    """
    rows = cbcr[:, :, 0::2] + cbcr[:, :, 1::2]
    small = _quantise(_round((rows[..., 0::2] + rows[..., 1::2]) / 4), table)
    halves = tuple(((height + 1) // 2, (width + 1) // 2) for height, width in sizes)
    own = Canvas(small, halves, (0, 0), 1)
    if own.ragged:
        small = own.bordered(0, 0, "replicate")
    return F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)


def _quantise(plane: Tensor, table: Tensor) -> Tensor:
    step = table[:, None, None, None]
    return _round(inverse_block_dct(_round(block_dct(plane) / step) * step))


def _round(x: Tensor) -> Tensor:
    """Return a fresh tensor rounded, in place where no gradient needs it."""
    return x + (x.detach().round() - x.detach()) if x.requires_grad else x.round_()


def apply_jpeg(canvas: Canvas, steps: Sequence[Jpeg]) -> Canvas:
    """Compress each image of a canvas."""
    quality = torch.tensor([step.quality for step in steps])
    subsample = torch.tensor([step.subsample for step in steps])
    return canvas.with_pixels(jpeg_canvas(canvas, quality, subsample))
