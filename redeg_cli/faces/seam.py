"""Where a pasted face ends: the closed line around it on which it agrees best with the photo."""

import numpy as np

_ANGLES = 96
REACHES = np.linspace(0.88, 1.12, 13)
"""Radii the line may take at each angle, in units of the face's ellipse."""

_BENT = 0.02
"""Difference of luma, in [0, 1], that is worth bending the line to its innermost or outermost."""


def seam(
    difference: np.ndarray,
    centre: tuple[float, float],
    half_axes: tuple[float, float],
    inward: float,
) -> np.ndarray:
    """Return (96,) radii, one per angle, of the closed line with the least difference under it.

    ``difference`` (S, S) >= 0 is how much the restored face and the photo disagree. The line is
    the ellipse (``centre`` and ``half_axes`` as (x, y) parts of S) scaled at each angle by one of
    ``REACHES``; the cost is taken ``inward`` radii inside it, in the middle of where a mask fades.
    From one angle to the next the radius moves by one step at most. A line that would run through
    a spectacle's rim or a lock of hair goes around it (dynamic programming, as in seam carving and
    Efros and Freeman's image quilting, 2001, on polar coordinates).
    """
    size = difference.shape[0]
    angle = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    radius = REACHES - inward
    x = (centre[0] + half_axes[0] * np.cos(angle)[:, None] * radius) * size - 0.5
    y = (centre[1] + half_axes[1] * np.sin(angle)[:, None] * radius) * size - 0.5
    column = np.clip(np.round(x), 0, size - 1).astype(int)
    row = np.clip(np.round(y), 0, size - 1).astype(int)
    middle = (REACHES[0] + REACHES[-1]) / 2
    bent = ((REACHES - middle) / (REACHES[-1] - middle)) ** 2
    return REACHES[closed_path(difference[row, column] + _BENT * bent)]


def reach_map(radii: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the seam's radius at the directions (x, y), interpolated around the circle."""
    angle = np.arctan2(y, x) % (2 * np.pi)
    knots = np.arange(radii.size + 1) * (2 * np.pi / radii.size)
    return np.interp(angle, knots, np.append(radii, radii[0]))


def closed_path(cost: np.ndarray) -> np.ndarray:
    """Return for each row of ``cost`` (N, R) the column of the cheapest path that closes.

    Neighbouring rows, the last and the first included, differ by one column at most.
    """
    rows, columns = cost.shape
    best, best_path = np.inf, np.zeros(rows, int)
    for start in range(columns):
        total = np.full(columns, np.inf)
        total[start] = cost[0, start]
        came = np.zeros((rows, columns), int)
        for row in range(1, rows):
            padded = np.pad(total, 1, constant_values=np.inf)
            choices = np.stack([padded[:-2], padded[1:-1], padded[2:]])
            step = choices.argmin(0)
            came[row] = np.arange(columns) + step - 1
            total = choices.min(0) + cost[row]
        last = slice(max(start - 1, 0), start + 2)
        end = int(total[last].argmin()) + last.start
        if total[end] < best:
            best = float(total[end])
            best_path = np.zeros(rows, int)
            best_path[-1] = end
            for row in range(rows - 1, 0, -1):
                best_path[row - 1] = came[row, best_path[row]]
    return best_path
