"""Boxes (x0, y0, x1, y1) that count pixel edges, and what two of them share."""

from collections.abc import Sequence


def area(box: Sequence[float]) -> float:
    """Return the area of a box; 0 when it is turned inside out."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def covered(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the part of box ``a`` that lies in box ``b``, in [0, 1]."""
    return _shared(a, b) / max(area(a), 1e-9)


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the intersection over union of two boxes, in [0, 1]."""
    shared = _shared(a, b)
    return shared / max(area(a) + area(b) - shared, 1e-9)


def _shared(a: Sequence[float], b: Sequence[float]) -> float:
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))
