"""An aligned face put back where it was in the photo, for tests of what works on its place."""

import numpy as np

from redeg_cli.faces.align import compose, finer_grid, footprint, inside_square, invert, warp


def unalign(
    aligned: np.ndarray, matrix: np.ndarray, out_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the aligned face in a photo of ``out_hw`` (H, W, 3), black elsewhere, and its mask
    (H, W), 0 or 1."""
    image = np.zeros((*out_hw, aligned.shape[2]), np.float32)
    mask = np.zeros(out_hw, np.float32)
    x0, y0, x1, y1 = footprint(matrix, aligned.shape[0], out_hw, 1)
    shift = np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0]])
    back = compose(compose(invert(matrix), finer_grid(1)), shift)
    part = inside_square(back, aligned.shape[0], (y1 - y0, x1 - x0))
    seen = np.clip(warp(aligned, back, (y1 - y0, x1 - x0)), 0, 1)
    image[y0:y1, x0:x1] = seen * part[..., None]
    mask[y0:y1, x0:x1] = part
    return image, mask
