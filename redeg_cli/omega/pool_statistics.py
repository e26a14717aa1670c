"""What a pool is like: how far its Ωs lie apart, which are double, which stand alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from redeg_cli.omega.pool import pool_spread
from redeg_cli.progress import OnProgress, no_progress

NEAR = 0.01
"""Ωs closer than this part of the pool's radius are near duplicates."""
NEIGHBOURS = 5
"""Nearest Ωs of other pairs that an outlier is far from."""
OUTLIER_SCORE = 3.5
"""Least modified z-score of an outlier (Iglewicz and Hoaglin, 1993, their recommendation)."""
LEAST_FOR_OUTLIERS = 10
"""Of fewer Ωs nobody can say what is usual."""

_BLOCK, _DISTANCES = 512, 1 << 22
"""Rows of the distance matrix that are held at a time, or less: so many distances take 32 MB."""


@dataclass(frozen=True)
class PoolStatistics:
    """Figures of N Ωs; distances are Euclidean, in the unit of Ω."""

    spread: float
    """RMS distance from the mean over RMS length, see ``pool_spread``."""
    radius: float
    """RMS distance from the mean."""
    nearest: float | None
    """Median distance to the nearest other Ω; None for a single Ω."""
    nearest_of_other_pair: float | None
    """The same among Ωs of other pairs; None when there is one pair."""
    nearest_is_same_pair: float | None
    """Part of the Ωs (0 to 1) whose nearest is of their own pair, among those that can have one:
    how well Ω tells one degradation from another. None when every pair has one Ω."""
    exact_duplicates: tuple[tuple[int, ...], ...]
    """Sets of equal Ωs, as row numbers."""
    near_duplicates: tuple[tuple[int, ...], ...]
    """Sets of Ωs linked by distances under ``NEAR`` times the radius, but not zero."""
    outliers: tuple[tuple[int, float], ...]
    """(row, score) of those far from all others, the farthest first.

    The score is the modified z-score of the logarithm of the mean distance to the 5 nearest Ωs of
    other pairs (the crops of one odd pair would vouch for each other), against the pool's median.
    """


def pool_statistics(
    omegas: np.ndarray, pairs: Sequence[str], on_progress: OnProgress = no_progress
) -> PoolStatistics:
    """Return the figures of Ωs (N, 512), N >= 1; ``pairs`` names the pair of each.

    Every distance is worked out: the time grows with the square of N (10,000 Ωs: a few seconds).
    """
    rows = np.asarray(omegas, np.float64)
    # The mean is taken off first, so that distances do not drown in the length of the Ωs.
    rows = rows - rows.mean(0)
    radius = float(np.sqrt((rows**2).sum(1).mean()))
    pair = np.unique(np.asarray(pairs, dtype=object), return_inverse=True)[1]
    same = _equal_rows(np.asarray(omegas))
    found = _neighbours(rows, pair, same, NEAR * radius, on_progress)
    companions = np.bincount(pair)[pair] > 1
    own = found.nearest_own <= found.nearest_other
    return PoolStatistics(
        spread=pool_spread(omegas),
        radius=radius,
        nearest=_median(np.minimum(found.nearest_own, found.nearest_other)),
        nearest_of_other_pair=_median(found.nearest_other),
        nearest_is_same_pair=float(own[companions].mean()) if companions.any() else None,
        exact_duplicates=_sets(same),
        near_duplicates=_sets(found.linked),
        outliers=_outliers(found.mean_other),
    )


@dataclass
class _Found:
    nearest_own: np.ndarray
    """(N,): distance to the nearest other Ω of the same pair, inf without one."""
    nearest_other: np.ndarray
    """(N,): distance to the nearest Ω of another pair, inf without one."""
    mean_other: np.ndarray
    """(N,): mean distance to the nearest few Ωs of other pairs, inf without any."""
    linked: np.ndarray
    """(N,): number of the set of near duplicates an Ω is in."""


def _neighbours(
    rows: np.ndarray, pair: np.ndarray, same: np.ndarray, near: float, on_progress: OnProgress
) -> _Found:
    count = len(rows)
    own, other, mean = (np.full(count, np.inf) for _ in range(3))
    linked = np.arange(count)
    usable = min(NEIGHBOURS, count - int(np.bincount(pair).max()))
    squares = (rows**2).sum(1)
    height = max(1, min(_BLOCK, _DISTANCES // count))
    for start in range(0, count, height):
        block = slice(start, min(start + height, count))
        distances = squares[block, None] + squares - 2 * rows[block] @ rows.T
        distances = np.sqrt(np.maximum(distances, 0))
        # A product of 512 numbers does not tell zero from the rounding of their sum.
        equal = same[block, None] == same
        distances[equal] = 0
        linked = _link(linked, start, (distances < near) & ~equal)
        alike = pair[block, None] == pair
        others = np.where(alike, np.inf, distances)
        distances[~alike] = np.inf
        distances[np.arange(len(distances)), np.arange(block.start, block.stop)] = np.inf
        own[block] = distances.min(1)
        other[block] = others.min(1)
        if usable > 0:
            mean[block] = np.partition(others, usable - 1, axis=1)[:, :usable].mean(1)
        on_progress(block.stop, count)
    return _Found(own, other, mean, linked)


def _link(labels: np.ndarray, start: int, close: np.ndarray) -> np.ndarray:
    """Return the labels of sets after the rows from ``start`` were joined with those close."""
    first, second = np.nonzero(close)
    if len(first) == 0:
        return labels
    count = len(labels)
    ends = (np.r_[first + start, np.arange(count)], np.r_[second, labels])
    graph = coo_array((np.ones(len(ends[0]), bool), ends), shape=(count, count))
    sets = connected_components(graph, directed=False)[1]
    # A set is called by its first row, which is a row number again.
    return np.unique(sets, return_index=True)[1][sets]


def _equal_rows(omegas: np.ndarray) -> np.ndarray:
    """Return for each row (N,) the number of the first row that equals it."""
    first: dict[bytes, int] = {}
    plain = np.ascontiguousarray(omegas) + 0.0  # -0.0 and 0.0 are equal
    return np.array([first.setdefault(row.tobytes(), i) for i, row in enumerate(plain)])


def _sets(labels: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Return the row numbers of every label that several rows carry."""
    members: dict[int, list[int]] = {}
    for row, label in enumerate(labels.tolist()):
        members.setdefault(label, []).append(row)
    return tuple(tuple(rows) for rows in members.values() if len(rows) > 1)


def _outliers(distances: np.ndarray) -> tuple[tuple[int, float], ...]:
    if len(distances) < LEAST_FOR_OUTLIERS or not np.isfinite(distances).all():
        return ()
    logs = np.log(np.maximum(distances, 1e-12))
    away = logs - np.median(logs)
    # 1.4826 and 1.2533 turn either deviation into the standard deviation of a normal variable.
    scale = 1.4826 * float(np.median(np.abs(away))) or 1.2533 * float(np.abs(away).mean())
    if scale <= 1e-12:
        return ()
    scores = away / scale
    order = np.argsort(-scores, kind="stable")
    return tuple((int(i), float(scores[i])) for i in order if scores[i] > OUTLIER_SCORE)


def _median(distances: np.ndarray) -> float | None:
    known = distances[np.isfinite(distances)]
    return float(np.median(known)) if len(known) else None


def group_separation(omegas: np.ndarray, groups: Sequence[str]) -> float | None:
    """Return the silhouette of groups of Ωs, -1 to 1 (Rousseeuw, 1987); None if it has no meaning.

    Near 1 the groups lie apart, at 0 they overlap. It needs two groups, and fewer than Ωs.
    """
    from sklearn.metrics import silhouette_score

    if not 1 < len(set(groups)) < len(groups):
        return None
    return float(silhouette_score(omegas, np.asarray(groups)))
