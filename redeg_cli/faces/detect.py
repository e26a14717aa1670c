"""Faces in a photo: found at several sizes and in four turns, each looked at closely."""

from collections.abc import Sequence

import cv2
import numpy as np

from redeg_cli.errors import BoxError
from redeg_cli.faces.align import MEAN_BOX_512, template
from redeg_cli.faces.boxes import covered, overlap
from redeg_cli.faces.detectors import Detector, Face, load_detector
from redeg_cli.faces.refine import refined
from redeg_cli.faces.select import MIN_SIZE, select_faces
from redeg_cli.faces.turns import CONFIRMED, find_upright, turned, turned_back
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

_FINE = 1.25
"""Enlargement of the search for small faces: of 24 faces at 16, 20, 24, 28 px in the searched
picture 6, 15, 21, 23 are found, so that 24 px of the photo want a little more than 24 there."""
_FINE_LONG_SIDE = 5120
_TILE, _TILE_SHARED = 1280, 128
_LARGE = 4 * MIN_SIZE
"""A reduced photo whose largest face is smaller than this in the working copy is likely to have
others that the reduction hides; one with a larger face does not need them."""


def detect_faces(
    rgb: np.ndarray, detector: str = "centerface", threshold: float = 0.6
) -> list[Face]:
    """Return the faces in a photo (H, W, 3) in [0, 1], the largest first.

    ``threshold`` in (0, 1) is the least score. A photo that lies on its side or upside down is
    searched as it stands upright (``Face.turn``); all coordinates are the photo's own. Landmarks
    are refined on the upright face, so they hold for faces turned by 30 degrees too. ``detector``
    is "centerface", or "retinaface" once its weights lie in the user's model folder. Raises
    ModelError when they do not.
    """
    find = load_detector(detector, user_folder())
    height, width = rgb.shape[:2]
    faces, turn = find_upright(rgb, lambda picture: _search(picture, find, threshold))
    if _small_are_hidden(faces, (height, width)):
        small = _search_finely(turned(rgb, turn), find, threshold)
        faces = _merged([*faces, *(turned_back(face, turn, (height, width)) for face in small)])
    return sorted(faces, key=lambda face: -face.size)


def face_from_box(
    rgb: np.ndarray, box: tuple[float, float, float, float], detector: str = "centerface"
) -> Face:
    """Return the face in ``box`` (x0, y0, x1, y1) of a photo (H, W, 3) in [0, 1].

    For a face the detector misses: it looks again, closely, in and around the box; when it still
    finds none, the landmarks of the mean face filling the box are taken, turned as the photo's
    other faces are, and the score is 0. Raises BoxError when the box is empty or ends more than
    a few pixels outside the photo.
    """
    height, width = rgb.shape[:2]
    x0, y0, x1, y1 = box
    outside = max(-x0, -y0, x1 - width, y1 - height) > 8
    if x1 - x0 < 8 or y1 - y0 < 8 or outside:
        raise BoxError(
            f"the face box {x0:g},{y0:g},{x1:g},{y1:g} does not fit a photo of {width} x {height} "
            "px; wanted left,top,right,bottom in pixels, at least 8 px wide and high"
        )
    grow = 0.5 * max(x1 - x0, y1 - y0)
    left, top = max(int(x0 - grow), 0), max(int(y0 - grow), 0)
    crop = rgb[top : int(y1 + grow) + 1, left : int(x1 + grow) + 1]
    near = [face.moved(1, left, top) for face in detect_faces(crop, detector, threshold=0.3)]
    best = max(near, key=lambda face: overlap(face.box, box), default=None)
    if best is not None and overlap(best.box, box) > 0.2:
        return best
    others = detect_faces(rgb, detector)
    return _mean_face(box, others[0].turn if others else 0)


def _mean_face(box: tuple[float, float, float, float], turn: int) -> Face:
    """Return the mean face that fills a box of a photo which is upright after ``turn``."""
    x0, y0, x1, y1 = box
    width, height = (x1 - x0, y1 - y0) if turn in (0, 180) else (y1 - y0, x1 - x0)
    bx0, by0, bx1, by1 = MEAN_BOX_512
    factor = np.sqrt(width * height / ((bx1 - bx0) * (by1 - by0)))
    mean = np.array([(bx0 + bx1) / 2, (by0 + by1) / 2])
    landmarks = (template() + 0.5 - mean) * factor + np.array([width, height]) / 2 - 0.5
    upright = Face((0.0, 0.0, width, height), 0.0, landmarks)
    return turned_back(upright, turn, (y1 - y0, x1 - x0)).moved(1, x0, y0)


def _search(rgb: np.ndarray, find: Detector, threshold: float) -> list[Face]:
    """Find the faces of a picture as it stands."""
    picture = _resized(rgb, _working_factor(rgb.shape[:2]))
    faces = find(picture, threshold)
    if len(faces) <= _FEW:
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        ratio = picture.shape[1] / half.shape[1]
        for sigma in _HALF_SIZE_BLURS:
            seen = find(_blurred(half, sigma), threshold)
            faces += [face.moved(ratio, 0, 0) for face in seen]
    return _looked_at(_merged(faces), rgb, picture, find)


def _search_finely(rgb: np.ndarray, find: Detector, threshold: float) -> list[Face]:
    """Find the small faces of a picture as it stands, tile by tile."""
    picture = _resized(rgb, min(_FINE, _FINE_LONG_SIDE / max(rgb.shape[:2])))
    faces: list[Face] = []
    for top in _starts(picture.shape[0]):
        for left in _starts(picture.shape[1]):
            tile = np.ascontiguousarray(picture[top : top + _TILE, left : left + _TILE])
            faces += [face.moved(1, left, top) for face in find(tile, threshold)]
    return _looked_at(_merged(faces), rgb, picture, find)


def _looked_at(
    faces: Sequence[Face], rgb: np.ndarray, picture: np.ndarray, find: Detector
) -> list[Face]:
    """Bring faces from the searched picture to ``rgb`` and look at each closely."""
    height, width = rgb.shape[:2]
    ratio = width / picture.shape[1]
    moved = [face.moved(ratio, 0, 0) for face in faces]
    return [refined(face, rgb, find) for face in moved if _centre_inside(face, (height, width))]


def _starts(side: int) -> range:
    """Where tiles begin along a side: each shares a strip with the next."""
    step = _TILE - _TILE_SHARED
    return range(0, max(side - _TILE_SHARED, 1), step)


def _small_are_hidden(faces: Sequence[Face], image_hw: tuple[int, int]) -> bool:
    sure = [face.size for face in faces if (face.confirmed or 0.0) >= CONFIRMED]
    factor = _working_factor(image_hw)
    if not sure:
        return factor < _FINE
    return factor < 1 and max(sure) * factor < _LARGE


def _working_factor(image_hw: tuple[int, int]) -> float:
    """Return by how much a picture is enlarged for the search."""
    low, high = _LONG_SIDE
    long = max(image_hw)
    return min(high / long, max(1.0, min(low / long, _MAX_ENLARGEMENT)))


def _resized(rgb: np.ndarray, factor: float) -> np.ndarray:
    """Return the picture as uint8, enlarged by ``factor``."""
    height, width = rgb.shape[:2]
    picture = np.clip(rgb * 255 + 0.5, 0, 255).astype(np.uint8)
    if factor != 1:
        size = (max(round(width * factor), 1), max(round(height * factor), 1))
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        picture = cv2.resize(picture, size, interpolation=how)
    return np.ascontiguousarray(picture)


def _blurred(picture: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma > 0 else picture


def _merged(faces: Sequence[Face]) -> list[Face]:
    """Keep the best-scored of the boxes that show the same face."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if all(
            overlap(face.box, other.box) < 0.3 and covered(face.box, other.box) < 0.7
            for other in kept
        ):
            kept.append(face)
    return kept


def _centre_inside(face: Face, image_hw: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = face.box
    return 0 < x0 + x1 < 2 * image_hw[1] and 0 < y0 + y1 < 2 * image_hw[0]
