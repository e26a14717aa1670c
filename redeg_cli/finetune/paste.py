"""Restored faces blended into the restored photo, where that is an improvement."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from redeg_cli.degrade.tone import to_gray
from redeg_cli.faces.paste import paste_face
from redeg_cli.faces.restore import is_gray
from redeg_cli.io.images import Photo, to_array, to_tensor
from redeg_cli.omega.lattice import Lattice, lattice_energy
from redeg_cli.omega.photo_pairs import FacePair


def paste_faces(
    photo: Photo, faces: Sequence[FacePair], scale: int, lattice: Lattice | None
) -> tuple[Photo, list[str]]:
    """Blend in the restored faces that are an improvement.

    They hold at least 0.8 of the detail that the restored photo has there, and no more of the
    lattice.
    """
    canvas, names = photo.rgb, []
    for face in faces:
        x0, y0, x1, y1 = (scale * v for v in face.box)
        pasted = paste_face(canvas, face.restored, face.matrix, scale)
        before, after = canvas[y0:y1, x0:x1], pasted[y0:y1, x0:x1]
        dotted = lattice is not None and lattice_energy(to_tensor(after), lattice) > max(
            1.2 * lattice_energy(to_tensor(before), lattice), 1 / 255
        )
        if not dotted and _detail(after) >= 0.8 * _detail(before):
            canvas = pasted
            names.append(f"face of {face.face.size:.0f} px at {face.box[0]},{face.box[1]}")
    if photo.gray or is_gray(photo.rgb):
        canvas = to_array(to_gray(to_tensor(canvas)))
    return replace(photo, rgb=canvas), names


def _detail(image: np.ndarray) -> float:
    """Return the standard deviation of the Laplacian of the luma."""
    luma = image.mean(2)
    inner = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((4 * inner - around).std())
