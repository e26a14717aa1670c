"""Which faces are fit for a pair, and why the others are not."""

from collections.abc import Sequence

import numpy as np

from redeg_cli.faces.align import MEAN_BOX_512, invert, similarity, template, transform
from redeg_cli.faces.boxes import covered
from redeg_cli.faces.detectors import Face
from redeg_cli.faces.turns import CONFIRMED

MIN_SIZE = 24.0
"""Least mean side of a face's box, photo pixels."""
MIN_RESOLUTION = 9.0
"""Least number of pixels across a face that hold detail: with fewer a restorer invents the face."""


def select_faces(
    faces: Sequence[Face], image_hw: tuple[int, int], min_size: float = MIN_SIZE
) -> tuple[list[Face], list[tuple[Face, str]]]:
    """Split faces into those fit for a pair, the largest first, and the rest with the reason.

    ``image_hw`` is the photo's (H, W); ``min_size`` the least mean side of the box in pixels.
    Left out: too small, cut by the picture's edge, not seen again at a closer look, overlapping a
    larger face, landmarks that cannot be a face's, turned too far in the plane (of the photo set
    upright) or into profile, blurred until nothing of texture is left.
    """
    kept: list[Face] = []
    dropped: list[tuple[Face, str]] = []
    for face in sorted(faces, key=lambda face: -face.size):
        reason = _unfit(face, image_hw, min_size)
        if reason is None and any(covered(face.box, other.box) > 0.4 for other in kept):
            reason = "overlaps a larger face"
        if reason is None:
            kept.append(face)
        else:
            dropped.append((face, reason))
    return kept, dropped


def _unfit(face: Face, image_hw: tuple[int, int], min_size: float) -> str | None:
    if face.size < min_size:
        return f"too small: {face.size:.1f} px, at least {min_size:g} px wanted"
    height, width = image_hw
    if covered(face.box, (0, 0, width, height)) < 0.88:
        return "cut by the picture's edge"
    return _wrong_pose(face) or _wrong_look(face, image_hw)


def _wrong_pose(face: Face) -> str | None:
    left, right, nose, *mouth = face.landmarks
    axis = right - left
    distance = float(np.linalg.norm(axis))
    # Frontal faces have the eyes 0.38 of the box apart; half of that is a profile or no face.
    if distance < 0.15 * face.size:
        return f"in profile: the eyes are only {distance:.1f} px apart"
    if abs(face.tilt) > 50:
        return f"turned by {abs(face.tilt):.0f} degrees in the picture; at most 50"
    across, down = axis / distance, np.array([-axis[1], axis[0]]) / distance
    middle = (left + right) / 2
    mouth_down = float((np.mean(mouth, axis=0) - middle) @ down)
    nose_down = float((nose - middle) @ down)
    if not 0.1 * mouth_down < nose_down < 0.95 * mouth_down or (mouth[1] - mouth[0]) @ across <= 0:
        return "the landmarks cannot be those of a face"
    # The nose stands out: its sideways shift, in eye distances, grows with the turn of the head.
    aside = abs(float((nose - middle) @ across)) / distance
    if aside > 0.42 or mouth_down > 2.0 * distance:
        return "turned too far into profile"
    return None


def _wrong_look(face: Face, image_hw: tuple[int, int]) -> str | None:
    if _part_seen(face, image_hw) < 0.88:
        return "cut by the picture's edge"
    if face.confirmed is not None and face.confirmed < CONFIRMED:
        return (
            f"not sure to be a face: a closer look scores {face.confirmed:.2f}, at least "
            f"{CONFIRMED:g} wanted"
        )
    if face.resolution is not None and face.resolution < MIN_RESOLUTION:
        return (
            f"too blurred: it holds the detail of a face of {face.resolution:.0f} px, at least "
            f"{MIN_RESOLUTION:g} wanted"
        )
    return None


def _part_seen(face: Face, image_hw: tuple[int, int]) -> float:
    """The part of the mean face, laid on these landmarks, that lies within the photo.

    The detector fits its box to what is left of a face that the edge cuts; the landmarks do not.
    """
    x0, y0, x1, y1 = MEAN_BOX_512
    x, y = np.meshgrid(np.linspace(x0, x1, 25), np.linspace(y0, y1, 25))
    back = invert(similarity(face.landmarks, template()))
    u, v = transform(back, np.stack([x.ravel(), y.ravel()], 1)).T
    height, width = image_hw
    return float(np.mean((u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)))
