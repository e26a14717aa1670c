"""Marks: courses of lines against geometry, coverage against integration, painting."""

import math

import numpy as np
import pytest
import torch

from redeg_cli.degrade.marks import (
    MOST,
    between_knots,
    box_overlap,
    knots,
    mark_count,
    paint,
    stack_marks,
    trace_lines,
)


@pytest.mark.parametrize("width", [0.3, 1.0, 2.6])
def test_a_stripe_covers_of_a_pixel_what_lies_in_it(width: float) -> None:
    for distance in (0.0, 0.2, -0.45, 0.8, 1.3, -1.79, 2.5):
        inside = np.abs(np.linspace(-0.5, 0.5, 20001) + distance) < width / 2
        made = box_overlap(torch.tensor(distance), torch.tensor(width / 2))
        assert made.item() == pytest.approx(inside.mean(), abs=1e-3)
    across = box_overlap(torch.arange(-9, 10) + 0.37, torch.tensor(width / 2))
    assert across.sum().item() == pytest.approx(width, abs=1e-5)


@pytest.mark.parametrize("degrees", [-90, -60, -20, 0, 30, 44, 46, 85])
def test_lines_run_through_their_middle_at_their_angle(degrees: float) -> None:
    angle = math.radians(degrees)
    lines = trace_lines(
        torch.tensor([[[20.3, 31.8]]]),
        torch.tensor([[angle]]),
        torch.tensor([[50.0]]),
        torch.zeros(1, 1),
        None,
        64,
    )
    place, cross = lines.place[0, 0].double(), lines.cross[0, 0].double()
    rows, columns = (place, cross) if lines.upright[0, 0, 0] else (cross, place)
    down, right = math.cos(angle), math.sin(angle)
    aside = (rows - 20.3) * right - (columns - 31.8) * down
    torch.testing.assert_close(aside, torch.zeros_like(aside), atol=1e-4, rtol=0)
    along = (rows - 20.3) * down + (columns - 31.8) * right
    torch.testing.assert_close(lines.along[0, 0].double().abs(), along.abs(), atol=1e-4, rtol=0)
    # A pixel further along the row, or column, is so much further from the line.
    steepness = max(abs(down), abs(right))
    assert lines.slant[0, 0].tolist() == pytest.approx([steepness] * 64, abs=1e-5)
    # All of the line is among the places.
    assert along.min() <= -25 + 2 / steepness
    assert along.max() >= 25 - 2 / steepness


def test_a_bent_line_is_off_by_the_bend_at_its_ends() -> None:
    middle, length = torch.tensor([[[50.0, 30.0]]]), torch.tensor([[80.0]])
    start = torch.zeros(1, 1)
    lines = trace_lines(middle, start, length, torch.full((1, 1), 0.1), start, 101)
    assert lines.cross[0, 0, [10, 50, 90]].tolist() == pytest.approx([38, 30, 38])
    # The line at its ends has the slope of a parabola, 4 * 0.1.
    assert lines.slant[0, 0, 90].item() == pytest.approx(1 / math.hypot(1, 0.4))


def test_values_between_knots_hit_them_and_keep_their_mean() -> None:
    values = knots([5], 1, 2, torch.device("cpu"))[:, 0]
    along = torch.arange(-640, 640).float().expand(1, 2, -1)
    made = between_knots(values, along, torch.tensor([[10.0, 20.0]]))
    torch.testing.assert_close(made[0, 0, 640::10], values[0, 0])
    torch.testing.assert_close(made[0, 1, 640::20], values[0, 1, :32])
    halfway = (values[0, 0, :-1] + values[0, 0, 1:]) / 2
    torch.testing.assert_close(made[0, 0, 645:-5:10], halfway)
    assert made[0, 0, 640:].mean().item() == pytest.approx(values[0, 0].mean().item(), abs=0.02)
    assert made.min() >= values.min()
    assert made.max() <= values.max()


def test_the_strongest_mark_counts_and_those_outside_do_not() -> None:
    pixels = torch.full((2, 3, 4, 5), 0.5)
    rows = torch.tensor([[1, 1, -1, 2], [0, 4, 3, 3]])
    columns = torch.tensor([[2, 2, 0, 5], [0, 0, 4, 4]])
    cover = torch.tensor([[0.2, 0.6, 1.0, 1.0], [1.0, 1.0, 0.5, 0.5]])
    light = torch.tensor([[True, True, True, False], [False, True, True, False]])
    wanted = pixels.clone()
    wanted[0, :, 1, 2] = 0.5 + 0.6 * 0.5
    wanted[1, :, 0, 0] = 0.0
    wanted[1, :, 3, 4] = 0.25 + 0.5 * 0.75
    torch.testing.assert_close(paint(pixels, rows, columns, cover, light), wanted)


def test_as_many_marks_as_expected() -> None:
    uniform = (np.arange(1000) + 0.5) / 1000
    counts = [mark_count(90.0, (100, 150), u) for u in uniform]
    assert set(counts) == {1, 2}
    assert np.mean(counts) == pytest.approx(1.35, abs=0.002)
    assert mark_count(5000, (4000, 4000), 0.0) == MOST
    stacked = stack_marks([np.ones((2, 3)), np.ones((0, 3)), np.ones((1, 3))])
    assert stacked.sum((1, 2)).tolist() == [6, 0, 3]
