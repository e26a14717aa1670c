"""Restored faces blended into the restored photo."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from redeg_cli.faces.paste import pasted_face
from redeg_cli.finetune.effort import FaceRule
from redeg_cli.io.images import Photo, to_tensor
from redeg_cli.omega.lattice import Lattice, lattice_energy
from redeg_cli.omega.photo_pairs import FacePair

LEAST_DETAIL = 0.8
"""Part of the photo's detail in a face that a restored face must hold to be an improvement."""


def paste_faces(
    photo: Photo,
    faces: Sequence[FacePair],
    scale: int,
    lattice: Lattice | None,
    rule: FaceRule = "blend",
    strength: float = 1.0,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Photo, list[str]]:
    """Return the restored photo with its faces replaced, and which were.

    ``photo`` is restored to ``scale`` times its size. ``strength`` in [0, 1] is the restored
    face's share of the mix: 0 gives the photo back bit by bit, as "keep" does. With "blend" only
    faces are taken that hold at least 0.8 of the detail the photo has there, and no more of the
    lattice; with "restore" all are. ``say`` is told which are left out, and why.
    """
    names: list[str] = []
    if rule == "keep" or strength == 0:
        return photo, names
    canvas = photo.rgb.copy()
    for face in faces:
        name = f"face of {face.face.size:.0f} px at {face.box[0]},{face.box[1]}"
        worse = _worse(canvas, face, scale, lattice) if rule == "blend" else None
        if worse is not None:
            say(f"the {name} is not blended in: {worse}")
            continue
        (x0, y0, x1, y1), part = pasted_face(
            canvas, face.restored, face.matrix, scale, strength=strength
        )
        canvas[y0:y1, x0:x1] = part
        names.append(name)
    return replace(photo, rgb=canvas), names


def _worse(canvas: np.ndarray, face: FacePair, scale: int, lattice: Lattice | None) -> str | None:
    """Return why the restored face is no improvement; None when it is one.

    Judged at full strength and before grain is added, which would pass for detail.
    """
    (left, top, right, bottom), pasted = pasted_face(
        canvas, face.restored, face.matrix, scale, match_grain=False
    )
    x0, y0, x1, y1 = (scale * v for v in face.box)
    # A region may reach beyond the square where the restored face is known.
    x0, y0, x1, y1 = max(x0, left), max(y0, top), min(x1, right), min(y1, bottom)
    before, after = canvas[y0:y1, x0:x1], pasted[y0 - top : y1 - top, x0 - left : x1 - left]
    if lattice is not None:
        had, has = (lattice_energy(to_tensor(part), lattice) for part in (before, after))
        if has > max(1.2 * had, 1 / 255):
            return "the photo's dots or lines are still in it"
    kept = _detail(after) / max(_detail(before), 1e-6)
    if kept < LEAST_DETAIL:
        return f"it holds {kept:.0%} of the detail that the restored photo has there"
    return None


def _detail(image: np.ndarray) -> float:
    """Return the standard deviation of the Laplacian of the luma."""
    luma = image.mean(2)
    inner = luma[1:-1, 1:-1]
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((4 * inner - around).std())
