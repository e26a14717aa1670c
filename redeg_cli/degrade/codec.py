"""Codecs of other libraries: each image through one on the CPU, in 8 bits, several at a time."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.device import map_single_threaded

T = TypeVar("T")


def through_codec(
    canvas: Canvas, codec: Callable[[np.ndarray, T], np.ndarray], steps: Sequence[T]
) -> Canvas:
    """Return the canvas with each image as ``codec`` gives it back.

    ``codec`` takes an image as uint8 (h, w, 3), RGB, with its step and returns the same shape. It
    lets go of the interpreter while it works and depends on nothing else.
    """
    pixels = (canvas.pixels.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    images = [
        image[0].permute(1, 2, 0).contiguous().numpy()
        for image in canvas.with_pixels(pixels).images()
    ]
    coded = map_single_threaded(
        lambda row: torch.from_numpy(codec(images[row], steps[row])).permute(2, 0, 1)[None],
        range(len(images)),
    )
    out = stack_images(coded, canvas)
    return out.with_pixels(out.pixels.to(canvas.device).float() / 255)
