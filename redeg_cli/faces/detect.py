"""Faces in a photo: found at several sizes, their landmarks refined, the useless ones named."""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from redeg_cli.errors import InputError
from redeg_cli.faces.align import invert, similarity, template, transform, warp, zoom_of
from redeg_cli.faces.detectors import Detector, Face, load_detector
from redeg_cli.models import user_folder

__all__ = ["Face", "detect_faces", "face_from_box", "select_faces"]

_LONG_SIDE = (640, 1280)
"""A photo is brought between these before it is searched ..."""
_MAX_ENLARGEMENT = 3.0
"""... but enlarged no more than this: below 10 px nothing is a face."""
_FEW = 2
"""With this many faces or fewer, the photo is also searched at half its size and blurred."""
_HALF_SIZE_BLURS = (0.0, 1.2, 2.2)
"""Gaussian sigmas, px. Halftone dots hide a face at full size: of 20 simulated prints (dots 3 to
10 px apart) 6 faces are found there, 20 with these; 59 unscreened old photos gain and lose none."""

# CenterFace's mean box around FFHQ-aligned faces, in the 512 square (60 faces, seven sizes).
_MEAN_BOX_512 = (117.0, 95.0, 403.0, 472.0)

_MIRRORED = [1, 0, 2, 4, 3]


def detect_faces(
    rgb: np.ndarray, detector: str = "centerface", threshold: float = 0.6
) -> list[Face]:
    """Return the faces in a photo (H, W, 3) in [0, 1], the largest first.

    ``threshold`` in (0, 1) is the least score. Landmarks are refined on the upright face, so they
    hold for faces turned by 30 degrees too. ``detector`` is "centerface", or "retinaface" once
    its weights lie in the user's model folder. Raises ModelError when they do not.
    """
    find = load_detector(detector, user_folder())
    picture = _working_copy(rgb)
    faces = find(picture, threshold)
    if len(faces) <= _FEW:
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        ratio = picture.shape[1] / half.shape[1]
        for sigma in _HALF_SIZE_BLURS:
            seen = find(_blurred(half, sigma), threshold)
            faces += [face.moved(ratio, 0, 0) for face in seen]
    height, width = rgb.shape[:2]
    faces = [face.moved(width / picture.shape[1], 0, 0) for face in _merged(faces)]
    faces = [_refined(face, rgb, find) for face in faces if _centre_inside(face, (height, width))]
    return sorted(faces, key=lambda face: -face.size)


def face_from_box(
    rgb: np.ndarray, box: tuple[float, float, float, float], detector: str = "centerface"
) -> Face:
    """Return the face in ``box`` (x0, y0, x1, y1) of a photo (H, W, 3) in [0, 1].

    For a face the detector misses: it looks again, closely, in and around the box; when it still
    finds none, the landmarks of the mean face filling the box are taken and the score is 0.
    Raises InputError when the box is empty or outside the photo.
    """
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = box
    if x1 - x0 < 8 or y1 - y0 < 8 or x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0:
        raise InputError(
            f"the face box {x0:g},{y0:g},{x1:g},{y1:g} does not fit a photo of {width} x {height} "
            "px; wanted left,top,right,bottom in pixels, at least 8 px wide and high"
        )
    grow = 0.5 * max(x1 - x0, y1 - y0)
    left, top = max(int(x0 - grow), 0), max(int(y0 - grow), 0)
    crop = rgb[top : int(y1 + grow) + 1, left : int(x1 + grow) + 1]
    near = [face.moved(1, left, top) for face in detect_faces(crop, detector, threshold=0.3)]
    best = max(near, key=lambda face: _overlap(face.box, box), default=None)
    if best is not None and _overlap(best.box, box) > 0.2:
        return best
    bx0, by0, bx1, by1 = _MEAN_BOX_512
    factor = np.sqrt((x1 - x0) * (y1 - y0) / ((bx1 - bx0) * (by1 - by0)))
    mean = np.array([(bx0 + bx1) / 2, (by0 + by1) / 2])
    landmarks = (template() + 0.5 - mean) * factor
    return Face(box, 0.0, landmarks + np.array([x0 + x1, y0 + y1]) / 2 - 0.5)


def select_faces(
    faces: Sequence[Face], image_hw: tuple[int, int], min_size: float = 24
) -> tuple[list[Face], list[tuple[Face, str]]]:
    """Split faces into those fit for a pair, the largest first, and the rest with the reason.

    ``image_hw`` is the photo's (H, W); ``min_size`` the least mean side of the box in pixels.
    Left out: too small, cut by the picture's edge, overlapping a larger face, landmarks that
    cannot be a face's, turned too far in the plane or into profile.
    """
    kept: list[Face] = []
    dropped: list[tuple[Face, str]] = []
    for face in sorted(faces, key=lambda face: -face.size):
        reason = _unfit(face, image_hw, min_size)
        if reason is None and any(_covered(face.box, other.box) > 0.4 for other in kept):
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
    if _covered(face.box, (0, 0, width, height)) < 0.88:
        return "cut by the picture's edge"
    left, right, nose, *mouth = face.landmarks
    axis = right - left
    distance = float(np.linalg.norm(axis))
    # Frontal faces have the eyes 0.38 of the box apart; half of that is a profile or no face.
    if distance < 0.15 * face.size:
        return f"in profile: the eyes are only {distance:.1f} px apart"
    angle = float(np.degrees(np.arctan2(axis[1], axis[0])))
    if abs(angle) > 50:
        return f"turned by {abs(angle):.0f} degrees in the picture; at most 50"
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
    if _part_seen(face, image_hw) < 0.88:
        return "cut by the picture's edge"
    return None


def _part_seen(face: Face, image_hw: tuple[int, int]) -> float:
    """The part of the mean face, laid on these landmarks, that lies within the photo.

    The detector fits its box to what is left of a face that the edge cuts; the landmarks do not.
    """
    x0, y0, x1, y1 = _MEAN_BOX_512
    x, y = np.meshgrid(np.linspace(x0, x1, 25), np.linspace(y0, y1, 25))
    back = invert(similarity(face.landmarks, template()))
    u, v = transform(back, np.stack([x.ravel(), y.ravel()], 1)).T
    height, width = image_hw
    return float(np.mean((u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)))


def _working_copy(rgb: np.ndarray) -> np.ndarray:
    """Return the photo as uint8 at a size that suits the detector."""
    height, width = rgb.shape[:2]
    low, high = _LONG_SIDE
    long = max(height, width)
    factor = min(high / long, max(1.0, min(low / long, _MAX_ENLARGEMENT)))
    picture = np.clip(rgb * 255 + 0.5, 0, 255).astype(np.uint8)
    if factor != 1:
        size = (max(round(width * factor), 1), max(round(height * factor), 1))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=how)
    return np.ascontiguousarray(picture)


def _refined(face: Face, rgb: np.ndarray, find: Detector) -> Face:
    """Detect once more on the upright face, plain and mirrored, and average the landmarks.

    A turned face pulls CenterFace's landmarks towards an upright one (10 px of 512 at 30 degrees,
    3 px after this); plain and mirrored together cancel its left-right habit.
    """
    side, face_side = 288, 192
    target = template(face_side) + (side - face_side) / 2
    matrix = similarity(face.landmarks, target)
    # About 105 for a face; landmarks in one point or mirrored would give nothing to look at.
    if not 30 < zoom_of(matrix) * face.size < 400:
        return face
    crop = np.clip(warp(rgb, matrix, (side, side)) * 255 + 0.5, 0, 255).astype(np.uint8)
    found = _landmarks_in(crop, target, find)
    # Blurred is worse on a clean face and better on a halftone print: the score knows.
    if found is None or found[0] < 0.8:
        blurred = _landmarks_in(_blurred(crop, 3.0), target, find)
        if found is None or (blurred is not None and blurred[0] > found[0]):
            found = blurred
    if found is None:
        return face
    return replace(face, landmarks=transform(invert(matrix), found[1]))


def _landmarks_in(
    crop: np.ndarray, target: np.ndarray, find: Detector
) -> tuple[float, np.ndarray] | None:
    """Return the score and the mean landmarks of the plain and the mirrored crop, if found."""
    side = crop.shape[1]
    scores: list[float] = []
    landmarks: list[np.ndarray] = []
    for mirrored in (False, True):
        view = np.ascontiguousarray(crop[:, ::-1] if mirrored else crop)
        for face in find(view, 0.3):
            points = face.landmarks
            if mirrored:
                points = (np.array([side - 1.0, 0.0]) + points * [-1.0, 1.0])[_MIRRORED]
            # Another face close by may be found as well: only small corrections are taken.
            if np.abs(points - target).max() < 0.13 * side:
                scores.append(face.score)
                landmarks.append(points)
                break
    if not scores:
        return None
    return float(np.mean(scores)), np.mean(landmarks, axis=0)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0 else picture


def _merged(faces: Sequence[Face]) -> list[Face]:
    """Keep the best-scored of the boxes that show the same face."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(
            _overlap(face.box, other.box) < 0.3 and _covered(face.box, other.box) < 0.7
            for other in kept
        ):
            kept.append(face)
    return kept


def _centre_inside(face: Face, image_hw: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = face.box
    return 0 < x0 + x1 < 2 * image_hw[1] and 0 < y0 + y1 < 2 * image_hw[0]


def _shared(a: Sequence[float], b: Sequence[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    return max(width, 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def _covered(a: Sequence[float], b: Sequence[float]) -> float:
    """The part of box ``a`` that lies in box ``b``."""
    return _shared(a, b) / max((a[2] - a[0]) * (a[3] - a[1]), 1e-9)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    shared = _shared(a, b)
    both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / max(both, 1e-9)
