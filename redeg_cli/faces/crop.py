"""The part of a photo around a face, and the restored face seen in the photo's own geometry."""

import itertools
from collections.abc import Callable

import numpy as np

from redeg_cli.errors import NoFaceError
from redeg_cli.faces.align import (
    ALIGNED_SIZE,
    compose,
    finer_grid,
    inside_square,
    invert,
    similarity,
    template,
    transform,
    warp,
    zoom_of,
)
from redeg_cli.faces.detectors import Face

ORIGIN_STEP = 16
"""A JPEG with halved chroma repeats every 16 pixels: the crop starts on that grid."""

SIDE_STEP = 8

Box = tuple[int, int, int, int]


def face_region(
    face: Face,
    image_hw: tuple[int, int],
    scale: int,
    *,
    around: float = 1.6,
    min_hq_side: int = 32,
) -> Box:
    """Return the box (x0, y0, x1, y1) around a face in whole photo pixels, to be cut as a slice.

    About ``around`` times the face's box, inside the photo and, as far as its size allows, inside
    the aligned square (where the restored face is known). x0 and y0 are multiples of 16, so that
    JPEG blocks keep their phase in the crop; the sides are multiples of 8. ``image_hw`` is the
    photo's (H, W). Raises NoFaceError when the region, ``scale`` times enlarged, is smaller than
    ``min_hq_side``.
    """
    height, width = image_hw
    matrix = similarity(face.landmarks, template())
    x0, y0, x1, y1 = face.box
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    half = np.array([x1 - x0, y1 - y0]) / 2

    def in_photo(box: Box) -> bool:
        return box[2] <= width and box[3] <= height

    def in_both(box: Box) -> bool:
        return in_photo(box) and _in_aligned_square(matrix, box)

    def nearest(factor: float, allowed: Callable[[Box], bool]) -> Box | None:
        low = np.maximum(centre - half * factor, 0)
        high = np.minimum(centre + half * factor, (width, height))
        return _largest_on_grid(low, high, allowed)

    factors = np.arange(around, 0.55, -0.1).tolist()
    found = (nearest(factor, in_both) for factor in factors)
    best = next((box for box in found if box is not None), None)
    if best is None:  # too small for the grid: the mask of valid pixels tells the rest
        best = nearest(around, in_photo)
    side = 0 if best is None else min(best[2] - best[0], best[3] - best[1]) * scale
    if best is None or side < min_hq_side:
        raise NoFaceError(
            f"the face of {face.size:.0f} px gives a region of only {side} px at scale {scale}; "
            f"at least {min_hq_side} px are wanted: choose a larger face or a larger scale"
        )
    return best


def middle_of_box(box: Box, most: int) -> Box:
    """Return the middle of a box, ``most`` pixels a side at most; it keeps its place on the grid.

    ``most`` is a multiple of 8.
    """
    (x0, x1), (y0, y1) = (_middle(start, stop, most) for start, stop in (box[::2], box[1::2]))
    return x0, y0, x1, y1


def _middle(start: int, stop: int, most: int) -> tuple[int, int]:
    spare = stop - start - most
    if spare <= 0:
        return start, stop
    start += spare // 2 // ORIGIN_STEP * ORIGIN_STEP
    return start, start + most


def restored_region(
    aligned_restored: np.ndarray, matrix: np.ndarray, box: Box, scale: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the restored face over ``box``: (h s, w s, 3) in [0, 1], and the mask (h s, w s).

    ``box`` is in photo pixels (h = y1 - y0, w = x1 - x0), ``matrix`` is photo -> aligned as
    ``align_face`` gave it, for the same aligned size. Pixel (i, j) of the photo's crop covers the
    s x s block at (s i, s j) here. The mask is 1 where the restored face is known, else 0 (there
    the face's edge is repeated).
    """
    x0, y0, x1, y1 = box
    out_hw = ((y1 - y0) * scale, (x1 - x0) * scale)
    back = compose(invert(matrix), finer_grid(scale, x0, y0))
    region = np.clip(warp(aligned_restored, back, out_hw), 0, 1)
    return region, inside_square(back, aligned_restored.shape[0], out_hw)


def sharpness_of_scale(matrix: np.ndarray, scale: int) -> float:
    """Return how many aligned pixels stand behind one pixel of the ``scale`` times finer grid.

    Linear. At 1 or more the restored region is as sharp as the restorer made it; well below 1
    (a large face) it is an enlargement and a poor HQ: a smaller scale serves better.
    """
    return zoom_of(matrix) / scale


def _in_aligned_square(matrix: np.ndarray, box: Box) -> bool:
    """Whether all corners of ``box`` (pixel edges) lie within the square's pixel centres."""
    x0, y0, x1, y1 = (value - 0.5 for value in box)
    corners = transform(matrix, np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]))
    return bool((corners >= 0).all() and (corners <= ALIGNED_SIZE - 1).all())


def _largest_on_grid(
    low: np.ndarray, high: np.ndarray, allowed: Callable[[Box], bool]
) -> Box | None:
    """Return the largest allowed box whose origin and sides are the grid's nearest to low, high."""
    choices: list[list[tuple[int, int]]] = []
    for start, stop in zip(low.tolist(), high.tolist(), strict=True):
        before = int(start // ORIGIN_STEP) * ORIGIN_STEP
        spans: list[tuple[int, int]] = []
        for origin in (before, before + ORIGIN_STEP):
            side = int((stop - origin) // SIDE_STEP) * SIDE_STEP
            spans += [(origin, origin + side), (origin, origin + side + SIDE_STEP)]
        choices.append(spans)
    boxes = [(x[0], y[0], x[1], y[1]) for x, y in itertools.product(*choices)]
    boxes = [box for box in boxes if box[0] < box[2] and box[1] < box[3] and allowed(box)]
    return max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), default=None)
