"""WebP compression (lossy) with the encoder inside OpenCV, libwebp.

Pictures on the web are WebP more and more often. It predicts blocks from their neighbours and
smooths the edges between them, so its marks are not JPEG's: flat areas, smeared texture, colour
that is always halved.
"""

from collections.abc import Sequence
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from redeg_cli.degrade.base import Step
from redeg_cli.degrade.canvas import Canvas
from redeg_cli.degrade.codec import through_codec
from redeg_cli.errors import RedegError

_LARGEST = 16383
"""Side in pixels that the format holds."""


class Webp(Step):
    """Lossy WebP."""

    quality: Annotated[int, Field(ge=1, le=100)]
    """libwebp's own scale; 75 to 80 is usual."""


def webp(rgb: np.ndarray, quality: int) -> np.ndarray:
    """Return the uint8 image (h, w, 3) as WebP of ``quality`` in 1..100 shows it.

    Raises RedegError for sides of more than 16,383 pixels.
    """
    if max(rgb.shape[:2]) > _LARGEST:
        size = f"{rgb.shape[1]}x{rgb.shape[0]}"
        raise RedegError(f"WebP holds sides of at most {_LARGEST} px, got {size}: cut the image")
    options = [cv2.IMWRITE_WEBP_QUALITY, quality]
    _, file = cv2.imencode(".webp", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None  # OpenCV reads what it has written
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def apply_webp(canvas: Canvas, steps: Sequence[Webp]) -> Canvas:
    """Compress each image of the canvas."""
    return through_codec(canvas, lambda rgb, step: webp(rgb, step.quality), steps)
