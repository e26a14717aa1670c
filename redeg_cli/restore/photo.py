"""A whole photo through a restorer; opacity, grayness, bit depth and metadata are kept."""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from redeg_cli.degrade import tone
from redeg_cli.device import autocast
from redeg_cli.io.images import Photo, to_tensor
from redeg_cli.io.metadata import prepare_metadata
from redeg_cli.progress import OnProgress
from redeg_cli.restore import opacity
from redeg_cli.restore.tiles import OVERLAP, default_tile, tiled

_CELL = 16
"""Photo pixels a side of the cells in which the photo's colour is taken: coarser than a cell it is
the photo's, detail finer than one is the restorer's."""
_ROWS = 1024
"""Rows that are made gray at once: the memory of a huge photo."""


class RestorerLike(Protocol):
    """What is needed of a restorer: (B,3,h,w) -> (B,3,h*scale,w*scale), [0,1] in and out."""

    @property
    def scale(self) -> int: ...

    def __call__(self, image: Tensor, /) -> Tensor: ...


def mean_of_turns(restorer: RestorerLike, image: Tensor) -> Tensor:
    """Return the mean of what a restorer makes of an image in its four turns, turned back.

    The geometric self-ensemble of EDSR (arXiv 1707.02921, section 3.4) without its mirror images:
    a screen of four inks, mirrored, is another screen, which a fine-tuned restorer has never seen.
    """
    made = [restorer(image.rot90(turn, (2, 3))).rot90(-turn, (2, 3)) for turn in range(4)]
    return torch.stack(made).mean(0)


def restore_photo(
    photo: Photo,
    restorer: RestorerLike,
    *,
    tile: int | None = None,
    device: torch.device | str = "cpu",
    match_colour: bool = False,
    precision: str = "auto",
    turns: bool = False,
    on_progress: OnProgress | None = None,
) -> Photo:
    """Return ``photo`` restored and ``restorer.scale`` times as large.

    ``tile`` is the side of the tiles in photo pixels (None: chosen by ``device``, on which the
    restorer must be). A gray photo stays gray, 16 bits stay 16 bits, opacity is resized on its
    own, and metadata is kept with the sizes in it updated. ``match_colour`` takes the
    low-frequency colour from the photo; ``turns`` restores in all four turns (``mean_of_turns``).
    Raises RedegError when the memory is too small for the smallest tile.
    """
    rgb = to_tensor(photo.rgb)
    alpha = None if photo.alpha is None else torch.from_numpy(photo.alpha.copy())[None, None]
    source = rgb if alpha is None else opacity.fill_hidden(rgb, alpha)
    if precision == "auto" and photo.bit_depth > 8:
        precision = "fp32"  # bfloat16 has 8 bits of mantissa: its steps would show in 16 bits

    def run(part: Tensor) -> Tensor:
        with autocast(device, precision):
            return mean_of_turns(restorer, part) if turns else restorer(part)

    tile = default_tile(device) if tile is None else tile
    height, width = (side * restorer.scale for side in photo.rgb.shape[:2])
    result = np.empty((height, width, 3), np.float32)
    # The same memory: a copy in another order, or clamped, would be as large as the result again.
    restored = torch.from_numpy(result).permute(2, 0, 1)[None]
    tiled(run, source, restorer.scale, tile, OVERLAP, device, on_progress, into=restored)
    if match_colour:
        rows, columns = (max(1, round(side / _CELL)) for side in photo.rgb.shape[:2])
        restored.copy_(tone.match_colour(restored, source, (rows, columns)))
    if photo.gray or tone.is_gray(photo.rgb):  # most gray scans are files of three equal channels
        for top in range(0, height, _ROWS):
            part = restored[:, :, top : top + _ROWS]
            part.copy_(tone.to_luma(part).expand_as(part))
    return replace(
        photo,
        rgb=np.clip(result, 0, 1, out=result),
        alpha=None if alpha is None else opacity.resize_alpha(alpha, restorer.scale)[0, 0].numpy(),
        metadata=prepare_metadata(photo.metadata, height, width),
    )
