"""A photo -> the pairs in it: faces found, aligned, restored, and seen again where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redeg_cli.degrade.resize import to_aligned
from redeg_cli.errors import NoFaceError
from redeg_cli.faces.align import ALIGNED_SIZE, align_face, similarity, template, zoom_of
from redeg_cli.faces.crop import (
    SIDE_STEP,
    Box,
    face_region,
    middle_of_box,
    restored_region,
    sharpness_of_scale,
)
from redeg_cli.faces.detect import detect_faces, face_from_box
from redeg_cli.faces.detectors import Detector, Face, load_detector
from redeg_cli.faces.identity import Identity, identity
from redeg_cli.faces.paste import face_mask
from redeg_cli.faces.restore import restore_faces, size_to_restore_at
from redeg_cli.faces.select import MIN_SIZE, select_faces
from redeg_cli.io.images import to_tensor
from redeg_cli.models import user_folder
from redeg_cli.nets.wrap import FaceRestorer
from redeg_cli.omega.extract import MINIMUM, AlignedPair

LEAST_KNOWN = 0.7
"""Least part of a region that the restored face must cover."""


@dataclass(frozen=True, eq=False)
class FacePair:
    """A face of a photo, restored, as an LQ/HQ pair in the photo's own geometry."""

    face: Face
    matrix: np.ndarray
    """2x3, photo -> aligned, for the size of ``aligned``."""
    aligned: np.ndarray
    """(S, S, 3) in [0, 1]: S as ``size_to_restore_at`` has it."""
    restored: np.ndarray
    """The restored aligned face, (S, S, 3) in [0, 1], in the low-frequency colour of the photo."""
    box: Box
    """(x0, y0, x1, y1) in whole photo pixels; x0 and y0 are multiples of 16."""
    pair: AlignedPair
    """The region ``box``: HQ from the restored face, LQ from the photo, both h*s x w*s pixels."""
    valid: np.ndarray
    """(h*s, w*s), 1 where the HQ is known and 0 beyond the aligned square."""
    sharpness: float
    """Aligned pixels behind one pixel of the HQ (linear); well below 1 the HQ is an enlargement."""
    identity: Identity | None = None
    """How much of the person the restorer has left."""


def photo_pairs(
    rgb: np.ndarray,
    scale: int,
    face_restorer: FaceRestorer,
    *,
    detector: str = "centerface",
    boxes: Sequence[tuple[float, float, float, float]] = (),
    min_size: float = MIN_SIZE,
    max_faces: int | None = None,
    largest: int | None = None,
) -> tuple[list[FacePair], list[str]]:
    """Return the pairs of the faces in a photo, the largest first, and why others were left out.

    ``rgb`` is (H, W, 3) in [0, 1]; ``scale`` is how much larger the HQ is than the photo. With
    ``boxes`` (left, top, right, bottom in pixels) only these faces are used and the checks of
    ``select_faces`` are not made. With ``largest``, in pixels of the HQ, no more is made of a
    pair than the middle of its face, so many a side. A pair whose restored face is no longer the
    same person (``faces.identity``) is left out. A photo without usable faces gives no pairs, and
    at least one reason. Raises BoxError for a box outside the photo, ModelError when the
    detector's weights are missing or the restorer's output is unusable.
    """
    find = load_detector(detector, user_folder())
    faces, reasons = _find(rgb, detector, boxes, min_size)
    pairs: list[FacePair] = []
    for index, face in enumerate(faces):
        if max_faces is not None and len(pairs) >= max_faces:
            reasons += [f"{_where(f)}: {max_faces} larger faces were taken" for f in faces[index:]]
            break
        try:
            pairs.append(_pair(rgb, face, scale, face_restorer, find, largest))
        except NoFaceError as error:
            reasons.append(f"{_where(face)}: {error}")
    return pairs, reasons


def _find(
    rgb: np.ndarray,
    detector: str,
    boxes: Sequence[tuple[float, float, float, float]],
    min_size: float,
) -> tuple[list[Face], list[str]]:
    if boxes:
        found = [face_from_box(rgb, box, detector) for box in boxes]
        return sorted(found, key=lambda face: -face.size), []
    found = detect_faces(rgb, detector)
    if not found:
        return [], ["no face was found"]
    height, width = rgb.shape[:2]
    kept, dropped = select_faces(found, (height, width), min_size)
    return kept, [f"{_where(face)}: {reason}" for face, reason in dropped]


def _pair(
    rgb: np.ndarray,
    face: Face,
    scale: int,
    face_restorer: FaceRestorer,
    find: Detector,
    largest: int | None,
) -> FacePair:
    """Return the pair of one face. Raises NoFaceError when it cannot serve."""
    height, width = rgb.shape[:2]
    # Before the restorer, which takes the time.
    box = face_region(face, (height, width), scale, min_hq_side=2 * MINIMUM)
    if largest is not None:
        box = middle_of_box(box, largest // scale // SIDE_STEP * SIDE_STEP)
    square = ALIGNED_SIZE / zoom_of(similarity(face.landmarks, template()))
    aligned, matrix = align_face(rgb, face, size_to_restore_at(square, face_restorer.size))
    restored = restore_faces([aligned], face_restorer)[0]
    same = identity(aligned, restored, face_mask(len(aligned)), find)
    if complaint := same.complaint():
        raise NoFaceError(complaint)
    hq, valid = restored_region(restored, matrix, box, scale)
    known = float(valid.mean())
    if known < LEAST_KNOWN:
        raise NoFaceError(
            f"the restored face covers only {known:.0%} of its region, "
            f"at least {LEAST_KNOWN:.0%} is wanted: choose a larger face"
        )
    x0, y0, x1, y1 = box
    lq = to_aligned(to_tensor(rgb[y0:y1, x0:x1]), scale)
    return FacePair(
        face=face,
        matrix=matrix,
        aligned=aligned,
        restored=restored,
        box=box,
        pair=AlignedPair(to_tensor(hq), lq, scale),
        valid=valid,
        sharpness=sharpness_of_scale(matrix, scale),
        identity=same,
    )


def _where(face: Face) -> str:
    return f"the face of {face.size:.0f} px at {face.box[0]:.0f},{face.box[1]:.0f}"
