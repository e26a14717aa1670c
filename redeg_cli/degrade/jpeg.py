"""JPEG compression in torch: batched, per-image quality, differentiable by straight-through.

The steps are those of the baseline standard (ITU-T T.81) as libjpeg does them: BT.601 YCbCr, 2x2
averaged chroma for 4:2:0, 8x8 DCT, the standard tables scaled by quality, triangle-filtered
chroma upsampling.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F

from redeg_cli.nets.dct import block_dct, inverse_block_dct

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
def _constants() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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


def quality_tables(quality: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return luma and chroma quantisation tables (B, 8, 8) for qualities (B,) in 1..100 (IJG)."""
    quality = quality.clamp(1, 100)
    # Real-valued qualities are allowed; the divisions are whole-numbered as in libjpeg.
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)[:, None, None]
    base = _constants()[2].to(quality.device)
    luma, chroma = (((table * percent + 50) / 100).floor().clamp(1, 255) for table in base)
    return luma, chroma


def jpeg(images: torch.Tensor, quality: torch.Tensor, subsample: torch.Tensor) -> torch.Tensor:
    """Compress and decompress images (B, 3, H, W) in [0, 1] as JPEG files would.

    ``quality`` (B,) in 1..100; ``subsample`` (B,) bool: 4:2:0 where true, 4:4:4 elsewhere. Any H
    and W: the border is replicated up to whole blocks and cut again. Gradients pass through every
    rounding unchanged (straight-through), to the image only.
    """
    height, width = images.shape[2:]
    pad = (0, -width % 16, 0, -height % 16)
    x = F.pad(images.float(), pad, mode="replicate")
    to_ycbcr, to_rgb, _ = _constants()
    x = _round(x.clamp(0, 1) * 255)
    ycc = _round(torch.einsum("dc,bchw->bdhw", to_ycbcr.to(x.device), x))
    luma_table, chroma_table = quality_tables(quality.float().to(x.device))
    y = _quantise(ycc[:, :1] - 128, luma_table) + 128
    cbcr = ycc[:, 1:]
    half = F.interpolate(
        _quantise(_round(F.avg_pool2d(cbcr, 2)), chroma_table),
        scale_factor=2,
        mode="bilinear",
        align_corners=False,
    )
    full = _quantise(cbcr, chroma_table)
    cbcr = torch.where(subsample.to(x.device)[:, None, None, None], half, full)
    rgb = torch.einsum("dc,bchw->bdhw", to_rgb.to(x.device), torch.cat([y, cbcr], 1))
    out = _round(rgb).clamp(0, 255) / 255
    return out[:, :, :height, :width].to(images.dtype)


def _quantise(plane: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    step = table[:, None, None, None]
    return _round(inverse_block_dct(_round(block_dct(plane) / step) * step))


def _round(x: torch.Tensor) -> torch.Tensor:
    return x + (x.detach().round() - x.detach())
