"""The sheet of a transfer evaluation: a family a row, the true LQ beside the synthetic ones."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from redeg_cli.evaluate.sheet import Panel, Strip, draw_sheet
from redeg_cli.evaluate.transfer import Example
from redeg_cli.omega.transfer import psnr

_CELL = 256
_SHOWN = 128
"""Pixels of the middle that are shown, twice as large."""


def transfer_sheet(examples: Sequence[Example]) -> np.ndarray:
    """Return the sheet (H, W, 3) in [0, 1]."""
    strips = []
    for each in examples:
        # No Ω in labels: Pillow's own font has no Greek.
        labelled = (
            ("HQ", each.hq),
            ("true LQ", each.true),
            ("synthetic, by a face degraded alike", each.made),
            ("synthetic, by another face", each.wrong),
        )
        panels = tuple(
            Panel(_middle(image), label, "" if image is each.true else _psnr(image, each.true))
            for label, image in labelled
        )
        strips.append(Strip(each.family, panels))
    return draw_sheet(strips)


def _middle(image: Tensor) -> np.ndarray:
    """Return the middle of uint8 (3, H, W), enlarged by a whole number to fill a cell."""
    height, width = image.shape[1:]
    tall, wide = min(height, _SHOWN), min(width, _SHOWN)
    top, left = (height - tall) // 2, (width - wide) // 2
    pixels = image[:, top : top + tall, left : left + wide].permute(1, 2, 0).numpy()
    zoom = max(1, _CELL // max(tall, wide))
    return pixels.repeat(zoom, 0).repeat(zoom, 1).astype(np.float32) / 255


def _psnr(image: Tensor, true: Tensor) -> str:
    value = psnr(image[None].float() / 255, true[None].float() / 255)
    return f"{float(value):.1f} dB to the true LQ"
