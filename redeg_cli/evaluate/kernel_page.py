"""Basis kernels and their weights as a page: click a pixel of the picture, see its kernel."""

import base64
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from redeg_cli.errors import InputError
from redeg_cli.evaluate.kernels import KernelSet
from redeg_cli.io.files import write_text
from redeg_cli.io.page import build_page

_GRID = 400
"""Places that a page holds weights for along a picture's longer side, at most."""
_PICTURE = 1000
"""Pixels of the picture's longer side on the page, at most."""


def write_kernel_page(
    path: Path, kernels: KernelSet, picture: np.ndarray, title: str, at: tuple[int, int] | None
) -> None:
    """Write the page, one file that needs nothing else.

    ``picture`` (H, W, 3) in [0, 1] is what the weights belong to; ``at`` (x, y) is the pixel that
    is shown first, the middle one without. Of large pictures every n-th pixel can be clicked.
    Weights are rounded to 256 levels. Raises InputError when there are no weights or the picture
    has another size, OutputError when the page cannot be written.
    """
    if kernels.weights is None:
        raise InputError("a page needs the weights of a picture, and there are none")
    height, width = kernels.weights.shape[1:]
    if picture.shape[:2] != (height, width):
        raise InputError(
            f"the picture is {picture.shape[1]}x{picture.shape[0]}, the weights are for "
            f"{width}x{height} pixels"
        )
    step = max(1, -(-max(height, width) // _GRID))
    weights = kernels.weights[:, ::step, ::step]
    low, high = float(weights.min()), float(weights.max())
    levels = ((weights - low) / max(high - low, 1e-12) * 255).round().to(torch.uint8).numpy()
    x, y = (width // 2, height // 2) if at is None else at
    image = Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))
    image.thumbnail((_PICTURE, _PICTURE))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=90)
    every = f"; every {step} pixels" if step > 1 else ""
    data = {
        "title": title,
        "caption": f"{len(weights)} kernels; click a pixel, or move with the arrow keys{every}",
        "kernels": [[[round(v, 6) for v in row] for row in k] for k in kernels.kernels.tolist()],
        "weights": [base64.b64encode(plane.tobytes()).decode() for plane in levels],
        "low": low,
        "high": high,
        "grid": [weights.shape[2], weights.shape[1]],
        "step": step,
        "at": [x // step, y // step],
        "size": list(image.size),
        "picture": "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode(),
    }
    write_text(path, build_page("kernels", title, data))
