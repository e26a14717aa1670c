"""Waves as whole multiples and sums of a few of them: what keeps a screen's dots in shape.

A dot is the sum of its screen's two waves and their harmonics. Were each frequency left as it was
measured, 1e-4 cycles per pixel off, the harmonics would be out of step after some thousand pixels.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redeg_cli.omega.peaks import Frequency, Peak

HIGHEST = 3
"""The largest sum of |counts|: beyond it nearly any frequency is some sum."""
_LEAST_ERROR = 0.02
"""In Fourier bins: the waves of a picture disturb each other by as much."""


@dataclass(frozen=True)
class Sum:
    """A wave as a sum of basis vectors, seen through a grid."""

    counts: tuple[tuple[int, int], ...]
    """(number of the basis vector, how often it counts)."""
    alias: Frequency = (0.0, 0.0)
    """What a coarser grid (native pixels, chroma at half their resolution) took off."""

    def frequency(self, basis: Sequence[Frequency]) -> Frequency:
        """Return the wave's frequency."""
        x = sum(times * basis[number][0] for number, times in self.counts)
        y = sum(times * basis[number][1] for number, times in self.counts)
        return float(x) - self.alias[0], float(y) - self.alias[1]


def find_sums(
    peaks: Sequence[Peak], bins: Frequency, scale: int, within: float = 0.15
) -> tuple[list[Sum], int]:
    """Return each wave as a sum of basis vectors, and how many of these there are.

    Each wave in its turn is a sum of those before it, if one lies ``within`` Fourier bins, and
    else the next basis vector; give the strongest first. ``bins`` is (1 / width, 1 / height),
    ``scale`` that of the photo, whose pixels and chroma pixels (2 x 2 of them) make aliases.
    """
    sums: list[Sum] = []
    basis: list[Frequency] = []
    for peak in peaks:
        found = nearest_sum(peak.frequency, basis, bins, scale, within)
        if found is None:
            found = Sum(((len(basis), 1),))
            basis.append(peak.frequency)
        sums.append(found)
    return sums, len(basis)


def nearest_sum(
    frequency: Frequency,
    basis: Sequence[Frequency],
    bins: Frequency,
    scale: int,
    within: float,
) -> Sum | None:
    """Return the simplest sum of basis vectors within so many bins of a frequency, if any is."""
    x, y = frequency
    for each in _small_sums(len(basis)):
        fx, fy = each.frequency(basis)
        if np.hypot((fx - x) / bins[0], (fy - y) / bins[1]) <= within:
            return each
    grid = 1 / (2 * scale)
    for each in _small_sums(len(basis)):
        fx, fy = each.frequency(basis)
        folds = round((fx - x) / grid), round((fy - y) / grid)
        off = fx - x - folds[0] * grid, fy - y - folds[1] * grid
        if np.hypot(off[0] / bins[0], off[1] / bins[1]) <= within:
            return Sum(each.counts, (folds[0] * grid, folds[1] * grid))
    return None


def fit_basis(
    peaks: Sequence[Peak], sums: Sequence[Sum], count: int, bins: Frequency
) -> list[Frequency]:
    """Return the basis vectors that suit all waves best: least squares by their errors.

    A wave of which only some blocks agree may stand beside its place: its error counts for more.
    """
    matrix = np.zeros((len(peaks), count))
    for row, each in enumerate(sums):
        for number, times in each.counts:
            matrix[row, number] = times
    columns = []
    for axis in (0, 1):
        errors = [
            np.hypot(peak.error[axis], _LEAST_ERROR * bins[axis]) / peak.coherence**2
            for peak in peaks
        ]
        weights = 1 / np.array(errors)
        measured = [
            peak.frequency[axis] + each.alias[axis] for peak, each in zip(peaks, sums, strict=True)
        ]
        solved = np.linalg.lstsq(
            matrix * weights[:, None], np.array(measured) * weights, rcond=None
        )[0]
        columns.append(solved)
    return [(float(x), float(y)) for x, y in zip(*columns, strict=True)]


def _small_sums(count: int) -> list[Sum]:
    """Return the sums of one or two of ``count`` basis vectors, the simplest first."""
    times = [n for n in range(-HIGHEST, HIGHEST + 1) if n]
    sums = [Sum(((i, n),)) for i in range(count) for n in times]
    for i, j in itertools.combinations(range(count), 2):
        sums += [Sum(((i, n), (j, m))) for n in times for m in times if abs(n) + abs(m) <= HIGHEST]
    return sorted(sums, key=lambda each: sum(abs(n) for _, n in each.counts))
