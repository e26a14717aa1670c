"""A restored face blended into the restored photo."""

import numpy as np

from redeg_cli.faces.align import compose, finer_grid, footprint, inside_square, invert, warp
from redeg_cli.faces.restore import colour_match

# The face's ellipse in the FFHQ square, as parts of its side: from the hairline to below the chin,
# ear to ear.
_CENTRE = (0.5, 0.54)
_HALF_AXES = (0.34, 0.42)


def face_mask(size: int, softness: float = 0.3) -> np.ndarray:
    """Return the soft ellipse (size, size) in [0, 1] that a face covers in the aligned square.

    1 inside, 0 outside and at the square's edge; ``softness`` in (0, 1] is the part of the radius
    over which it fades.
    """
    if not 0 < softness <= 1:
        raise ValueError(f"softness must be in (0, 1], got {softness}")
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    radius = np.hypot((x - _CENTRE[0]) / _HALF_AXES[0], (y - _CENTRE[1]) / _HALF_AXES[1])
    fade = _smooth((1 - radius) / softness)
    to_edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) - 0.5 / size
    return (fade * _smooth(to_edge / 0.06)).astype(np.float32)


def paste_face(
    canvas: np.ndarray,
    restored_aligned: np.ndarray,
    matrix: np.ndarray,
    scale: int,
    *,
    softness: float = 0.3,
    match_colour: bool = True,
) -> np.ndarray:
    """Return ``canvas`` (H s, W s, 3) in [0, 1] with the restored face blended in.

    ``canvas`` is the photo restored to ``scale`` = s times its size, ``restored_aligned``
    (S, S, 3) the face, ``matrix`` photo -> aligned. With ``match_colour`` the face takes the
    low-frequency colour the canvas has there. The canvas itself is not changed.
    """
    size = restored_aligned.shape[0]
    height, width = canvas.shape[0] // scale, canvas.shape[1] // scale
    if (height * scale, width * scale) != canvas.shape[:2]:
        raise ValueError(f"a canvas of {canvas.shape[:2]} is not {scale} times a photo")
    x0, y0, x1, y1 = footprint(matrix, size, (height, width), scale)
    out = np.array(canvas, np.float32)
    if x1 <= x0 or y1 <= y0:
        return out
    mask = face_mask(size, softness)
    to_aligned = compose(invert(finer_grid(scale)), matrix)
    if match_colour:
        seen = np.clip(warp(canvas, to_aligned, (size, size)), 0, 1)
        restored_aligned = colour_match(restored_aligned, seen, mask)
    back = compose(invert(to_aligned), np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0]]))
    out_hw = (y1 - y0, x1 - x0)
    weight = np.clip(warp(mask, back, out_hw), 0, 1) * inside_square(back, size, out_hw)
    face = np.clip(warp(restored_aligned, back, out_hw), 0, 1)
    part = out[y0:y1, x0:x1]
    out[y0:y1, x0:x1] = part + weight[..., None] * (face - part)
    return out


def _smooth(value: np.ndarray) -> np.ndarray:
    """The cubic step: 0 below 0, 1 above 1, without a kink at either end."""
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)
