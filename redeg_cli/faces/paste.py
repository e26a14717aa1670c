"""A restored face blended into the restored photo."""

import cv2
import numpy as np

from redeg_cli.degrade.tone import is_gray
from redeg_cli.faces.align import compose, finer_grid, footprint, inside_square, invert, warp
from redeg_cli.faces.crop import Box
from redeg_cli.faces.grain import missing_grain
from redeg_cli.faces.restore import follow_colour
from redeg_cli.faces.seam import reach_map, seam
from redeg_cli.seeds import sample_seed

# The face's ellipse in the FFHQ square, as parts of its side: from the hairline to below the chin,
# ear to ear.
_CENTRE = (0.5, 0.54)
_HALF_AXES = (0.34, 0.42)


def face_mask(size: int, softness: float = 0.3, radii: np.ndarray | None = None) -> np.ndarray:
    """Return the soft ellipse (size, size) in [0, 1] that a face covers in the aligned square.

    1 inside, 0 outside and at the square's edge; ``softness`` in (0, 1] is the part of the radius
    over which it fades. ``radii`` (N,), from ``faces.seam``, scale the ellipse angle by angle.
    """
    if not 0 < softness <= 1:
        raise ValueError(f"softness must be in (0, 1], got {softness}")
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    across, down = (x - _CENTRE[0]) / _HALF_AXES[0], (y - _CENTRE[1]) / _HALF_AXES[1]
    reach = 1.0 if radii is None else reach_map(radii, across, down)
    fade = _smooth((reach - np.hypot(across, down)) / softness)
    to_edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) - 0.5 / size
    return (fade * _smooth(to_edge / 0.06)).astype(np.float32)


def pasted_face(
    canvas: np.ndarray,
    restored_aligned: np.ndarray,
    matrix: np.ndarray,
    scale: int,
    *,
    strength: float = 1.0,
    softness: float = 0.3,
    match_colour: bool = True,
    match_grain: bool = True,
) -> tuple[Box, np.ndarray]:
    """Return the box (x0, y0, x1, y1) of ``canvas`` that a face may change, and what comes there.

    ``canvas`` (H s, W s, 3) in [0, 1] is the photo restored to ``scale`` = s times its size,
    ``restored_aligned`` (S, S, 3) the face, ``matrix`` photo -> aligned. ``strength`` in [0, 1] is
    the face's share of the mix; at 0, and outside the face's mask, it is the canvas bit by bit.
    The mask's edge runs where face and canvas agree best. With ``match_colour`` the face takes
    the low-frequency colour the canvas has there, and in a gray canvas it is gray; with
    ``match_grain`` it gets the grain that the canvas has and it lacks. The box is empty where
    the face lies outside.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be in [0, 1], got {strength}")
    size = restored_aligned.shape[0]
    height, width = canvas.shape[0] // scale, canvas.shape[1] // scale
    if (height * scale, width * scale) != canvas.shape[:2]:
        raise ValueError(f"a canvas of {canvas.shape[:2]} is not {scale} times a photo")
    x0, y0, x1, y1 = footprint(matrix, size, (height, width), scale)
    if x1 <= x0 or y1 <= y0 or strength == 0:
        return (0, 0, 0, 0), np.empty((0, 0, 3), np.float32)
    to_aligned = compose(invert(finer_grid(scale)), matrix)
    seen = np.clip(warp(canvas, to_aligned, (size, size)), 0, 1)
    if match_colour:
        restored_aligned = follow_colour(restored_aligned, seen, face_mask(size, softness))
    mask = face_mask(size, softness, _seam_radii(restored_aligned, seen, softness))
    back = compose(invert(to_aligned), np.array([[1.0, 0.0, -x0], [0.0, 1.0, -y0]]))
    out_hw = (y1 - y0, x1 - x0)
    weight = np.clip(warp(mask, back, out_hw), 0, 1) * inside_square(back, size, out_hw)
    face = np.clip(warp(restored_aligned, back, out_hw), 0, 1)
    part = np.asarray(canvas[y0:y1, x0:x1], np.float32)
    if match_colour and is_gray(part):
        face = np.repeat(face.mean(-1, keepdims=True), 3, -1)
    share = (strength * weight)[..., None]
    mixed = part + share * (face - part)
    if match_grain:
        grain = missing_grain(face, part, weight, sample_seed(0, "grain", x0 * 65536 + y0))
        if grain is not None:
            # Where two grains are mixed half and half, half of their variance is lost.
            mixed = mixed + np.sqrt(1 - (1 - share) ** 2) * grain
    return (x0, y0, x1, y1), np.where(share > 0, np.clip(mixed, 0, 1), part)


def _seam_radii(face: np.ndarray, seen: np.ndarray, softness: float) -> np.ndarray:
    """Return where the mask of a face ends so that its fade lies on what face and photo share."""
    difference = np.abs(face - seen).mean(-1)
    smooth = cv2.GaussianBlur(difference, (0, 0), 0.2 * softness * _HALF_AXES[0] * len(face))
    return seam(smooth, _CENTRE, _HALF_AXES, softness / 2)


def _smooth(value: np.ndarray) -> np.ndarray:
    """The cubic step: 0 below 0, 1 above 1, without a kink at either end."""
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)
