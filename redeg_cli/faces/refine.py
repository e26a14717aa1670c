"""A closer look at a face: set upright and enlarged, is it seen again, and where exactly?"""

from dataclasses import replace

import cv2
import numpy as np

from redeg_cli.faces.align import invert, similarity, template, transform, warp, zoom_of
from redeg_cli.faces.detectors import Detector, Face
from redeg_cli.faces.sharpness import face_resolution

SIDE = 288
"""Pixels of the closer look: the FFHQ square of 192 px with a margin around it."""
FACE_SIDE = 192
MARGIN = (SIDE - FACE_SIDE) // 2

_MIRRORED = [1, 0, 2, 4, 3]


def refined(face: Face, rgb: np.ndarray, find: Detector) -> Face:
    """Return the face with the landmarks, score and resolution that a closer look gives.

    ``rgb`` is the photo (H, W, 3) in [0, 1]. A turned face pulls CenterFace's landmarks towards an
    upright one (10 px of 512 at 30 degrees, 3 px after this); plain and mirrored together cancel
    its left-right habit. A second look, at the face set upright by the new landmarks, tells
    whether it is one: an upside-down face passes the first now and then, but not both. A face
    that either look misses has ``confirmed`` 0.
    """
    first = _look(face.landmarks, rgb, face.size, find)
    if first is None:
        return replace(face, confirmed=0.0)
    _, landmarks, crop = first
    second = _look(landmarks, rgb, face.size, find)
    return replace(
        face,
        landmarks=landmarks,
        confirmed=0.0 if second is None else second[0],
        resolution=face_resolution(crop, MARGIN),
    )


def _look(
    landmarks: np.ndarray, rgb: np.ndarray, size: float, find: Detector
) -> tuple[float, np.ndarray, np.ndarray] | None:
    """Return the score, the landmarks in ``rgb`` and the crop of a closer look."""
    matrix = similarity(landmarks, template(FACE_SIDE) + MARGIN)
    # About 105 for a face; landmarks in one point or mirrored would give nothing to look at.
    if not 30 < zoom_of(matrix) * size < 400:
        return None
    crop = np.clip(warp(rgb, matrix, (SIDE, SIDE)) * 255 + 0.5, 0, 255).astype(np.uint8)
    found = closer_look(crop, find)
    if found is None:
        return None
    return found[0], transform(invert(matrix), found[1]), crop


def closer_look(crop: np.ndarray, find: Detector) -> tuple[float, np.ndarray] | None:
    """Return the score and the landmarks (5, 2) of an upright face, None when it is not seen.

    ``crop`` is uint8 (288, 288, 3): the FFHQ square at 192 px in its middle.
    """
    found = _landmarks_in(crop, find)
    # Blurred is worse on a clean face and better on a halftone print: the score knows.
    if found is None or found[0] < 0.8:
        blurred = _landmarks_in(cv2.GaussianBlur(crop, (0, 0), 3.0), find)
        if found is None or (blurred is not None and blurred[0] > found[0]):
            found = blurred
    return found


def _landmarks_in(crop: np.ndarray, find: Detector) -> tuple[float, np.ndarray] | None:
    """Return the score and the mean landmarks of the plain and the mirrored crop, if found."""
    target = template(FACE_SIDE) + MARGIN
    scores: list[float] = []
    landmarks: list[np.ndarray] = []
    for mirrored in (False, True):
        view = np.ascontiguousarray(crop[:, ::-1] if mirrored else crop)
        for face in find(view, 0.3):
            points = face.landmarks
            if mirrored:
                points = (np.array([SIDE - 1.0, 0.0]) + points * [-1.0, 1.0])[_MIRRORED]
            # Another face close by may be found as well: only small corrections are taken.
            if np.abs(points - target).max() < 0.13 * SIDE:
                scores.append(face.score)
                landmarks.append(points)
                break
    if not scores:
        return None
    return float(np.mean(scores)), np.mean(landmarks, axis=0)
