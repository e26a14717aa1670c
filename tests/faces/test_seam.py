"""The seam: the ellipse where nothing speaks against it, around what differs where it can."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from redeg_cli.faces.seam import REACHES, closed_path, reach_map, seam

CENTRE, AXES, INWARD = (0.5, 0.54), (0.34, 0.42), 0.15


def test_without_a_difference_it_is_the_ellipse() -> None:
    radii = seam(np.zeros((64, 64)), CENTRE, AXES, INWARD)
    np.testing.assert_allclose(radii, 1)


def test_it_goes_around_what_differs() -> None:
    """A bright stroke that crosses the ellipse at its right end is left outside or taken in."""
    difference = np.zeros((256, 256))
    difference[118:158, 208:216] = 0.5  # the middle of the fade is at x = 0.79 * 256 = 202
    difference[118:158, 196:208] = 0.5
    radii = seam(difference, CENTRE, AXES, INWARD)
    assert radii[0] < 0.95
    assert radii[48] == 1  # the other end stays where it is
    x = (CENTRE[0] + AXES[0] * (radii[0] - INWARD)) * 256
    assert x < 197


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (5, 3), elements=st.floats(0, 1)))
def test_the_path_is_the_cheapest_that_closes(cost: np.ndarray) -> None:
    path = closed_path(cost)
    assert np.abs(np.diff(np.append(path, path[0]))).max() <= 1
    rows = np.arange(5)
    every = (
        cost[rows, list(each)].sum()
        for each in itertools.product(range(3), repeat=5)
        if np.abs(np.diff([*each, each[0]])).max() <= 1
    )
    np.testing.assert_allclose(cost[rows, path].sum(), min(every))


def test_radii_are_read_by_direction() -> None:
    radii = np.linspace(REACHES[0], REACHES[-1], 8, endpoint=False)
    x, y = np.array([1.0, 0.0, -1.0, 0.0]), np.array([0.0, 1.0, 0.0, -1.0])
    np.testing.assert_allclose(reach_map(radii, x, y), radii[::2])
    # Between the last and the first it goes on around the circle.
    angle = 2 * np.pi * 7.5 / 8
    between = reach_map(radii, np.array([np.cos(angle)]), np.array([np.sin(angle)]))
    np.testing.assert_allclose(between, (radii[7] + radii[0]) / 2)
