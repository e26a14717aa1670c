"""How much the faces of a photo agree on how it was degraded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STANDS_OUT = 2.0
"""Disagreement beyond which a face is said to stand out.

Of 14 old photos with 57 faces the largest is 1.8, in a drawing; in 18 of which one face had been
spoiled (noise of 0.12, blur of 2 px, JPEG at quality 8), 14 have a face that stands out."""
AGAIN = 1.5
"""It must also be this many times that of the face in the middle: a photo whose faces all differ
has none that stands out."""


@dataclass(frozen=True)
class Agreement:
    """One face's Ωs against those of the other faces."""

    name: str
    disagreement: float
    """Root mean square distance of its Ωs to the mean of the other faces' Ωs, over the distance
    of Ωs to their own face's mean: about 1 when they are of one degradation."""
    stands_out: bool


def agreement(omegas: np.ndarray, names: Sequence[str]) -> list[Agreement]:
    """Return how far each face's Ωs lie from the other faces', in the order of first mention.

    ``omegas`` (N, 512) with the face each is from. Every face counts the same, however many Ωs it
    has. Empty when there are fewer than two faces, or no face has two Ωs to compare with. Of two
    faces that disagree both stand out: which is wrong cannot be told.
    """
    labels = np.array(names)
    order = list(dict.fromkeys(names))
    rows = {name: np.asarray(omegas, np.float64)[labels == name] for name in order}
    centres = {name: each.mean(0) for name, each in rows.items()}
    # n Ωs lie nearer to their own mean than to the true one, by n - 1 over n in the mean square.
    own = [
        _square(each - centres[name]).sum() / (len(each) - 1)
        for name, each in rows.items()
        if len(each) > 1
    ]
    if len(order) < 2 or not own:
        return []
    within = max(float(np.sqrt(np.mean(own))), 1e-12)
    far = {}
    for name in order:
        others = np.mean([centres[other] for other in order if other != name], axis=0)
        far[name] = float(np.sqrt(_square(rows[name] - others).mean())) / within
    usual = float(np.median(list(far.values())))
    return [
        Agreement(
            name,
            value,
            value > STANDS_OUT and (len(order) == 2 or value > AGAIN * usual),
        )
        for name, value in far.items()
    ]


def agreement_notes(found: Sequence[Agreement]) -> list[str]:
    """Return one line for each face that stands out."""
    if len(found) == 2 and all(face.stands_out for face in found):
        return [
            f"the two faces disagree: their Ωs lie {found[0].disagreement:.1f} times as far apart "
            "as those of one face; one of them may be no good"
        ]
    return [
        f"{face.name} disagrees with the others: its Ωs lie {face.disagreement:.1f} times as far "
        "from theirs as those of one face from each other"
        for face in found
        if face.stands_out
    ]


def _square(rows: np.ndarray) -> np.ndarray:
    return (rows * rows).sum(1)
