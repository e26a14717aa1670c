"""Look through real face pairs before a run: do LQ and HQ show the same face at the same place?"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from redeg_cli.errors import InputError, PairError
from redeg_cli.faces.detect import Face, detect_faces
from redeg_cli.io.images import to_array
from redeg_cli.io.pairs import ImagePair, find_pairs
from redeg_cli.omega.extract import AlignedPair, read_pair
from redeg_cli.omega.likeness import LEAST_ALIKE, likeness

FARTHEST = 0.1
"""Mean distance of the five landmarks, as a part of the face's size, from which on the two faces do
not lie on each other. The ten example pairs of the release have at most 0.025."""


def check_pairs(inputs: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yield the file and one line for each real pair that does not match.

    Files without a partner, sizes that cannot be a pair's, and faces that do not lie on each other.
    A pair in which no face is found on one side is passed over. Raises InputError for an input that
    is no set of pairs, PairError when there is no pair.
    """
    pairs, problems = find_pairs(inputs)
    for problem in problems:
        yield inputs[0], problem
    for pair in pairs:
        if reason := _why_not(pair):
            yield pair.lq, reason


def _why_not(pair: ImagePair) -> str | None:
    try:
        aligned = read_pair(pair, None)
    except PairError as error:
        return str(error)
    except InputError:
        return None  # told as unreadable
    alike = likeness(aligned.hq, aligned.lq)
    if alike < LEAST_ALIKE:
        return (
            f"{pair.lq} and {pair.hq} do not show the same: shrunk to a few pixels they "
            f"correlate by {alike:.2f}, pairs do by at least {LEAST_ALIKE}"
        )
    distance = landmark_distance(aligned)
    if distance is None or distance <= FARTHEST:
        return None
    return (
        f"{pair.lq} and {pair.hq}: their landmarks are {distance:.0%} of a face apart: "
        "they are not aligned"
    )


def landmark_distance(pair: AlignedPair) -> float | None:
    """Return how far the landmarks of a pair are apart, as a part of the HQ face's size.

    The largest face of the HQ, and the nearest one of the LQ. None when one side has no face.
    """
    of_hq, of_lq = (detect_faces(to_array(image)) for image in (pair.hq, pair.lq))
    if not of_hq or not of_lq:
        return None
    largest = max(of_hq, key=lambda face: face.size)
    return min(_apart(largest, face) for face in of_lq)


def _apart(one: Face, other: Face) -> float:
    steps = np.asarray(one.landmarks) - np.asarray(other.landmarks)
    return float(np.linalg.norm(steps, axis=1).mean() / one.size)
