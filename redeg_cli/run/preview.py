"""One image degraded several times, to look at."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from redeg_cli.degrade.base import Degrader, Record
from redeg_cli.degrade.resize import to_aligned
from redeg_cli.errors import InputError
from redeg_cli.io.images import read_photo, to_array, to_tensor
from redeg_cli.seeds import sample_seed


class Preview(NamedTuple):
    """What one seed made of the image."""

    aligned: np.ndarray
    """The aligned LQ, (H, W, 3) in [0, 1]."""
    record: Record


def read_crop(path: Path, side: int, scale: int) -> np.ndarray:
    """Return the middle of an image (h, w, 3) in [0, 1], its sides multiples of ``scale``.

    At most ``side`` pixels each way. Raises InputError for an image too small to be degraded.
    """
    rgb = read_photo(path).rgb
    height, width = (min(n, side) // scale * scale for n in rgb.shape[:2])
    if min(height, width) < 32:
        raise InputError(
            f"{path} is {rgb.shape[1]}x{rgb.shape[0]} pixels: a preview needs at least 32x32"
        )
    top, left = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return rgb[top : top + height, left : left + width]


@torch.no_grad()
def degrade_crop(
    hq: np.ndarray, degrader: Degrader, seed: int, count: int, device: torch.device
) -> list[Preview]:
    """Degrade ``hq`` (H, W, 3) by the records of ``count`` seeds."""
    image = to_tensor(hq).to(device)
    previews = []
    for index in range(count):
        record = degrader.draw(sample_seed(seed, "preview", index))
        native = degrader.apply(image, [record])
        previews.append(Preview(to_array(to_aligned(native, degrader.scale)), record))
    return previews
