"""Film grain on a restored photo, for those to whom it looks too smooth.

A restorer leaves no grain, and where it is unsure it is smooth: on a print that looks like plastic.
Grain tells nothing of what was there; it is put on last.
"""

from dataclasses import replace

import numpy as np
import torch

from redeg_cli.degrade.grain import film_grain
from redeg_cli.io.images import Photo, to_array, to_tensor
from redeg_cli.seeds import sample_seed

LENGTH = 1.5
"""Pixels of the result at which the correlation of the grain has fallen to 1/e.

Neighbours have 0.64, those in scans of old photos 0.4 to 0.8."""

_ROWS = 1024
"""Rows that get their grain at once, by a seed of their own: the memory of a huge photo."""


def add_grain(photo: Photo, levels: float, seed: int) -> Photo:
    """Return ``photo`` with gray film grain, the same in all channels, none in black and white.

    ``levels`` is its standard deviation in a middle gray, of 255; 0 changes nothing. ``seed``
    decides the grain. See ``degrade.grain`` for the law.
    """
    if levels == 0:
        return photo
    one = torch.ones(1, 1, 1, 1)
    rgb = np.empty_like(photo.rgb)
    for top in range(0, photo.rgb.shape[0], _ROWS):
        rows = slice(top, top + _ROWS)
        image = to_tensor(photo.rgb[rows])
        noise = film_grain(
            image, levels / 255 * one, [LENGTH], one, one, [sample_seed(seed, "grain", top)]
        )
        rgb[rows] = to_array(image + noise)
    return replace(photo, rgb=rgb)
