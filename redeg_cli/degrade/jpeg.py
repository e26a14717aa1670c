"""JPEG compression in torch: batched, per-image quality, differentiable by straight-through.

The steps are those of the baseline standard (ITU-T T.81) as libjpeg does them: BT.601 YCbCr, 2x2
averaged chroma for 4:2:0, 8x8 DCT, the standard tables scaled by quality, triangle-filtered
chroma upsampling. All but the transform is in whole numbers that float32 holds exactly, and halves
are rounded as libjpeg rounds them: no device sees them otherwise.
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


_TO_YCBCR = ((19595, 38470, 7471), (-11059, -21709, 32768), (32768, -27439, -5329))
_BEYOND_LUMA = ((0, 91881), (-22554, -46802), (116130, 0))
"""libjpeg's coefficients of R, G and B for Y, Cb and Cr, and of Cb and Cr for what R, G and B have
beyond Y, in units of 2^-16. Sums of their products with levels have no more than 24 bits."""
_UNIT = 2**-16
_TIE = 1e-6
"""Share of a number by which halves are told which way to go: more than float32 loses."""


@lru_cache(maxsize=1)
def _constants() -> tuple[Tensor, Tensor, Tensor]:
    tables = torch.tensor([LUMA_TABLE, CHROMA_TABLE], dtype=torch.float32)
    return torch.tensor(_TO_YCBCR) * _UNIT, torch.tensor(_BEYOND_LUMA) * _UNIT, tables


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
    Within 0.35 of 255 of OpenCV's libjpeg in the mean, at qualities from 10 to 95.
    """
    return jpeg_canvas(Canvas.of(images, 1), quality, subsample)


def jpeg_canvas(canvas: Canvas, quality: Tensor, subsample: Tensor) -> Tensor:
    """Return the pixels of a canvas, each image compressed at its own size; see ``jpeg``."""
    height, width = canvas.pixels.shape[2:]
    x = canvas.with_pixels(canvas.pixels.float())
    pixels = _to_whole_blocks(x, -height % 16, -width % 16)
    to_ycbcr, beyond_luma, _ = (each.to(x.device) for each in _constants())
    levels = _round(pixels.clamp(0, 1) * 255)
    # Half a level of luma goes up, of chroma down: pure blue, 127.5, would pass 8 bits.
    up = torch.tensor([0.5, 0.5 - _UNIT, 0.5 - _UNIT], device=x.device)[:, None]
    ycc = _floor(to_ycbcr @ levels.flatten(2), up).view_as(levels)
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
    rgb = y + _floor(beyond_luma @ cbcr.flatten(2), 0.5).view_as(levels)
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
    odd = torch.arange(rows.shape[3] // 2, device=rows.device) % 2
    # Halves go down in one column and up in the next, so that chroma keeps its mean.
    small = _floor((rows[..., 0::2] + rows[..., 1::2]).mul_(0.25), (1 + odd) / 4)
    halves = tuple(((height + 1) // 2, (width + 1) // 2) for height, width in sizes)
    if any(height < small.shape[2] for height, _ in halves):
        # Blocks are filled up with the last row of chroma, not with that of the pixels.
        last = torch.tensor([height - 1 for height, _ in halves], device=small.device)
        index = torch.arange(small.shape[2], device=small.device).minimum(last[:, None])
        small = small.gather(2, index[:, None, :, None].expand_as(small))
    small = _quantise(small, table)
    own = Canvas(small, halves, (0, 0), 1)
    if own.ragged:
        small = own.bordered(0, 0, "replicate")
    large = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    odd = torch.arange(large.shape[3], device=large.device) % 2
    return _floor(large, (8 - odd) / 16)


def _quantise(plane: Tensor, table: Tensor) -> Tensor:
    """Return levels (B, C, H, W) from -128 to 127 as a decoder sees them again."""
    step = table[:, None, None, None]
    # libjpeg's transform gives whole eighths; half a step is rounded away from 0.
    eighths = _round(block_dct(plane).mul_(8))
    steps = _round(eighths.mul_((1 + _TIE) / (8 * step)))
    return _floor(inverse_block_dct(steps.mul_(step)), 0.5 + 1000 * _TIE).clamp_(-128, 127)


def _round(x: Tensor) -> Tensor:
    """Return a fresh tensor rounded, in place where no gradient needs it."""
    return x + (x.detach().round() - x.detach()) if x.requires_grad else x.round_()


def _floor(x: Tensor, more: float | Tensor) -> Tensor:
    """Return the floor of a fresh tensor and ``more``, in place where no gradient needs it."""
    if x.requires_grad:
        return x + ((x.detach() + more).floor() - x.detach())
    return x.add_(more).floor_()


def apply_jpeg(canvas: Canvas, steps: Sequence[Jpeg]) -> Canvas:
    """Compress each image of a canvas."""
    quality = torch.tensor([step.quality for step in steps])
    subsample = torch.tensor([step.subsample for step in steps])
    return canvas.with_pixels(jpeg_canvas(canvas, quality, subsample))
