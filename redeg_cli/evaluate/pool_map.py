"""A pool laid out in the plane with its groups: what the figure and the page draw."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from redeg_cli.io.listing import natural_key

LARGEST_LEGEND = 20
"""Groups with a look of their own; the smaller ones of more share one."""

# Okabe and Ito's colours, which the colour-blind tell apart, without the yellow that white paper
# swallows and the black that a dark screen does. 6 colours and 5 shapes: 30 different looks, and
# neighbours in the legend differ in both.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
SHAPES = ("circle", "square", "triangle", "diamond", "cross")
REST_COLOUR = "#8c8c8c"

NO_GROUP = "no group"


@dataclass(frozen=True)
class Group:
    """One entry of the legend."""

    label: str
    count: int
    colour: str
    shape: str


@dataclass(frozen=True)
class PoolMap:
    """N Ωs in the plane."""

    places: np.ndarray
    """float32 (N, 2)."""
    names: tuple[str, ...]
    """The pair each Ω is of."""
    notes: tuple[str, ...]
    """How each was taken."""
    members: np.ndarray
    """int (N,): index into ``groups``."""
    groups: tuple[Group, ...]
    title: str
    caption: str
    """How the places were worked out."""


def make_groups(labels: Sequence[str | None]) -> tuple[np.ndarray, tuple[Group, ...]]:
    """Return the index (N,) of each label's group and the groups, in natural order.

    Beyond ``LARGEST_LEGEND`` groups the smaller ones become one; None is a group of its own. Both
    are gray and come last.
    """
    counts = Counter(label for label in labels if label is not None)
    ranked = sorted(counts, key=lambda label: (-counts[label], natural_key(label)))
    kept = ranked if len(ranked) <= LARGEST_LEGEND else ranked[: LARGEST_LEGEND - 1]
    shown = sorted(kept, key=natural_key)
    index: dict[str | None, int] = {label: i for i, label in enumerate(shown)}
    groups = [
        Group(label, counts[label], COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)])
        for i, label in enumerate(shown)
    ]
    others = ranked[len(kept) :]
    if others:
        index.update(dict.fromkeys(others, len(groups)))
        total = sum(counts[label] for label in others)
        groups.append(Group(f"{len(others)} others", total, REST_COLOUR, "circle"))
    without = sum(label is None for label in labels)
    if without:
        index[None] = len(groups)
        groups.append(Group(NO_GROUP, without, REST_COLOUR, "square"))
    return np.array([index[label] for label in labels], np.int64), tuple(groups)
