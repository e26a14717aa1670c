"""A face onto the FFHQ square and back.

Coordinates count pixel centres: the first pixel's centre is (0, 0), as in OpenCV. On the grid that
is s times finer, the photo's point p stands at s (p + 1/2) - 1/2.
"""

import cv2
import numpy as np

from redeg_cli.faces.detectors import Face

ALIGNED_SIZE = 512

# Mean landmarks of the FFHQ-aligned faces at 512 x 512, as facexlib and GFPGAN use them.
_TEMPLATE_512 = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)

MEAN_BOX_512 = (117.0, 95.0, 403.0, 472.0)
"""CenterFace's mean box around FFHQ-aligned faces, in the 512 square (60 faces, seven sizes)."""

_BORDERS = {"reflect": cv2.BORDER_REFLECT_101, "replicate": cv2.BORDER_REPLICATE}


def template(size: int = ALIGNED_SIZE) -> np.ndarray:
    """Return the five landmarks (5, 2) of an aligned face of ``size`` x ``size`` pixels."""
    return (np.array(_TEMPLATE_512) + 0.5) * (size / ALIGNED_SIZE) - 0.5


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the 2x3 rotation, uniform scale and shift that takes source points to target best.

    Least squares over (N, 2) points, without mirroring (Umeyama 1991, in closed form).
    """
    source = np.asarray(source, np.float64)
    target = np.asarray(target, np.float64)
    a = source - source.mean(0)
    b = target - target.mean(0)
    spread = max(float((a * a).sum()), 1e-12)
    cos = float((a * b).sum()) / spread
    sin = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    turn = np.array([[cos, -sin], [sin, cos]])
    return np.hstack([turn, (target.mean(0) - turn @ source.mean(0))[:, None]])


def transform(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply a 2x3 ``matrix`` to (N, 2) points."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a 2x3 affine matrix."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.hstack([turn, (-turn @ matrix[:, 2])[:, None]])


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the 2x3 matrix that applies ``first`` and then ``second``."""
    return np.hstack(
        [second[:, :2] @ first[:, :2], (second[:, :2] @ first[:, 2] + second[:, 2])[:, None]]
    )


def finer_grid(scale: int, x0: int = 0, y0: int = 0) -> np.ndarray:
    """Return the 2x3 matrix photo -> grid ``scale`` times finer whose first pixel cuts (x0, y0)."""
    shift = (scale - 1) / 2
    return np.array([[scale, 0.0, shift - scale * x0], [0.0, scale, shift - scale * y0]])


def zoom_of(matrix: np.ndarray) -> float:
    """Return how many target pixels one source pixel becomes (linear) under a 2x3 similarity."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def warp(
    image: np.ndarray, matrix: np.ndarray, out_hw: tuple[int, int], border: str = "replicate"
) -> np.ndarray:
    """Return ``image`` seen through ``matrix`` (2x3, image -> output) on ``out_hw`` pixels.

    Bicubic; where the image shrinks every output pixel averages the area it covers, so that
    halftone dots and grain do not alias. Float32 in, float32 out; bicubic overshoot is kept.
    Outside the image: ``border`` "reflect" or "replicate".
    """
    height, width = out_hw
    fine = min(max(int(np.ceil(1 / zoom_of(matrix) - 0.05)), 1), 16)
    matrix = compose(matrix, finer_grid(fine))
    height, width = height * fine, width * fine
    image, matrix = _needed_part(image, matrix, height, width)
    out = cv2.warpAffine(
        np.ascontiguousarray(image, np.float32),
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=_BORDERS[border],
    )
    if fine > 1:
        out = cv2.resize(out, (out_hw[1], out_hw[0]), interpolation=cv2.INTER_AREA)
    return out


def _needed_part(
    image: np.ndarray, matrix: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the part of a large photo that the output looks at.

    OpenCV refuses pictures of 32768 pixels or more a side, and copying all of one is slow. A
    reflected border needs as much of the picture inside as lies outside, hence the wide margin.
    """
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    seen = transform(invert(matrix), corners)
    margin = float(np.ptp(seen, axis=0).max()) + 8
    x0, y0 = np.maximum(np.floor(seen.min(0) - margin), 0).astype(int).tolist()
    x1, y1 = np.ceil(seen.max(0) + margin).astype(int).tolist()
    part = image[y0:y1, x0:x1]
    if part.size == 0:  # nothing of the picture is seen: let the border rule decide
        return image, matrix
    return part, compose(np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]]), matrix)


def align_face(
    rgb: np.ndarray, face: Face, size: int = ALIGNED_SIZE
) -> tuple[np.ndarray, np.ndarray]:
    """Return the aligned face (size, size, 3) in [0, 1] and the 2x3 matrix photo -> aligned.

    ``rgb`` is the photo (H, W, 3) in [0, 1]. The photo is mirrored where the square reaches
    outside it.
    """
    matrix = similarity(face.landmarks, template(size))
    return np.clip(warp(rgb, matrix, (size, size), "reflect"), 0, 1), matrix


def footprint(
    matrix: np.ndarray, aligned_size: int, out_hw: tuple[int, int], scale: int
) -> tuple[int, int, int, int]:
    """Return the box (x0, y0, x1, y1) of the aligned square on the s times finer photo grid.

    ``out_hw`` is the photo's (H, W). The box is clipped to the grid and may be empty (x1 <= x0).
    """
    side = aligned_size - 0.5
    corners = np.array([[-0.5, -0.5], [side, -0.5], [-0.5, side], [side, side]])
    seen = transform(compose(invert(matrix), finer_grid(scale)), corners)
    x0, y0 = np.maximum(np.floor(seen.min(0)), 0).astype(int).tolist()
    x1, y1 = np.ceil(seen.max(0)).astype(int).tolist()
    return x0, y0, min(x1 + 1, out_hw[1] * scale), min(y1 + 1, out_hw[0] * scale)


def inside_square(matrix: np.ndarray, aligned_size: int, out_hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) float32: 1 where the output pixel's centre lies within the aligned square.

    ``matrix`` is aligned -> output; within means between the square's outermost pixel centres.
    """
    back = invert(matrix)
    y, x = np.mgrid[: out_hw[0], : out_hw[1]].astype(np.float64)
    u = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    v = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    last = aligned_size - 1 + 1e-6
    return ((u >= -1e-6) & (u <= last) & (v >= -1e-6) & (v <= last)).astype(np.float32)
