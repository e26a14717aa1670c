"""Is a restored face still the same person? What can be told without a recognition network.

Restorers are trained to make any face plausible and may trade the person for one they know. Two
things they must leave alone can be measured: where the landmarks lie, and what the photo shows at
the resolution it has. Neither is a recognition network; weights of one (ArcFace, SFace) are not
part of the package.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from redeg_cli.degrade.tone import LUMA
from redeg_cli.faces.align import template, warp
from redeg_cli.faces.detectors import Detector
from redeg_cli.faces.refine import FACE_SIDE, MARGIN, SIDE, closer_look

MOST_MOVED = 0.13
"""Eye distances that the landmarks of the same face may lie apart in the mean.

Of 24 portraits degraded to faces of 24, 32, 48, 80 px (blur, noise, JPEG at quality 50) the 95th
percentiles are 0.10, 0.07, 0.08, 0.05 against the original face and 0.06, 0.06, 0.04, 0.02 against
the embedded restorer's. Another person's face, aligned in the same way, has 0.05 in the median and
0.10 to 0.11 at the 95th percentile: landmarks tell a face that was moved or bent, not a person."""

LEAST_LIKE = 0.85
"""Least likeness of the whole face: at least 0.94 (5th percentile) against the original and 0.99
against the embedded restorer's face in portraits degraded to 24 and 48 px and, at 80 px, to
halftone or with noise of 0.12; at most 0.79 (95th percentile) against another person's."""

LEAST_LIKE_PLACE = 0.75
"""Least likeness at any one place: at least 0.87 (5th percentile) against the original, 0.98
against the restored face. Glasses drawn in have 0.45 to 0.54 in the median and at most 0.68 (95th
percentile), a beard 0.2 to 0.4 and at most 0.66, another person at most 0.4. Behind halftone both
are harder to tell: 0.70 in the median, 0.88 at most."""

_COARSE, _FINE, _PLACE = 1 / 16, 1 / 48, 1 / 12
"""Gaussian sigmas in sides of the aligned face. Above the first, colours are matched to the photo
in any case; between the two, in details of 6 to 18 px of 512, lies what a face of 24 px still
shows; a place is as large as an eye."""

_NOISE = 3 / 255
"""Standard deviation below which two places are flat, and alike."""


@dataclass(frozen=True)
class Identity:
    """How much of the person a restorer has left."""

    moved: float | None
    """Mean distance of the five landmarks of both faces, in eye distances; None: not found."""
    likeness: float
    """Correlation in [-1, 1] of both faces at the resolution a small face has."""
    least_likeness: float
    """The same at the place in the face where it is least."""

    def complaint(self) -> str | None:
        """Return why the restored face does not pass for the same person; None when it does."""
        if self.moved is not None and self.moved > MOST_MOVED:
            return (
                f"the restorer moved the landmarks by {self.moved:.2f} eye distances, at most "
                f"{MOST_MOVED:g} wanted"
            )
        if self.likeness < LEAST_LIKE:
            return (
                f"the restored face is another one: likeness {self.likeness:.2f}, at least "
                f"{LEAST_LIKE:g} wanted"
            )
        if self.least_likeness < LEAST_LIKE_PLACE:
            return (
                "the restorer invented something the photo does not show: likeness "
                f"{self.least_likeness:.2f} at one place, at least {LEAST_LIKE_PLACE:g} wanted"
            )
        return None


def identity(
    aligned: np.ndarray, restored: np.ndarray, mask: np.ndarray, find: Detector | None
) -> Identity:
    """Compare an aligned face with its restored version, both (S, S, 3) in [0, 1].

    ``mask`` (S, S) in [0, 1] is where the face is. Without ``find`` landmarks are not sought.
    """
    moved = None if find is None else landmarks_moved(aligned, restored, find)
    whole, least = likeness(aligned, restored, mask)
    return Identity(moved, whole, least)


def landmarks_moved(first: np.ndarray, second: np.ndarray, find: Detector) -> float | None:
    """Return the mean distance of the landmarks of two aligned faces, in eye distances.

    None when they are not found in both.
    """
    points = [_landmarks(face, find) for face in (first, second)]
    if points[0] is None or points[1] is None:
        return None
    eyes = template(FACE_SIDE)[:2]
    distance = float(np.linalg.norm(eyes[1] - eyes[0]))
    return float(np.linalg.norm(points[0] - points[1], axis=1).mean()) / distance


def likeness(first: np.ndarray, second: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """Return the correlation of two aligned faces in the band of a small face's details.

    First over the whole ``mask``, then at the place within it where it is least.
    """
    a, b = _details(first), _details(second)
    whole = float(
        (a * b * mask).sum() / np.sqrt((a * a * mask).sum() * (b * b * mask).sum() + 1e-9)
    )
    around = _gathering(mask)
    floor = _NOISE**2 * around(np.ones_like(a))
    # Two flat places are alike; a flat one and one with details are not.
    energy = np.sqrt((around(a * a) + floor) * (around(b * b) + floor))
    places = (around(a * b) + floor) / np.maximum(energy, 1e-12)
    return whole, float(places[mask > 0.5].min())


def _landmarks(face: np.ndarray, find: Detector) -> np.ndarray | None:
    factor = FACE_SIDE / face.shape[0]
    shift = MARGIN + (factor - 1) / 2
    matrix = np.array([[factor, 0.0, shift], [0.0, factor, shift]])
    crop = np.clip(warp(face, matrix, (SIDE, SIDE)) * 255 + 0.5, 0, 255).astype(np.uint8)
    found = closer_look(crop, find)
    return None if found is None else found[1]


def _details(face: np.ndarray) -> np.ndarray:
    side = face.shape[0]
    luma = np.asarray(face, np.float32) @ np.array(LUMA, np.float32)
    fine = cv2.GaussianBlur(luma, (0, 0), _FINE * side)
    return fine - cv2.GaussianBlur(luma, (0, 0), _COARSE * side)


def _gathering(mask: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    sigma = _PLACE * mask.shape[0]
    return lambda values: cv2.GaussianBlur(values * mask, (0, 0), sigma)
