"""Scratches: their width, direction, gaps and number, measured on the image."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.scratches import Scratches, apply_scratches, draw_scratches, scratch


def scratched(image: torch.Tensor, **values: float) -> torch.Tensor:
    step = Scratches.model_validate({"seed": 7, "density": 500, "strength": 1} | values)
    return apply_scratches(Canvas.of(image, 1), [step]).pixels


def one(angle: float, width: float = 1.0, size: int = 96) -> torch.Tensor:
    """A white scratch over all of a black image: (H, W) coverage."""
    middle, length = size / 2 - 0.3, 20.0 * size
    line = [middle, middle, np.radians(angle), length, 0, width / 2, 1, 1, 10]
    black = torch.zeros(1, 3, size, size)
    return scratch(black, torch.tensor([[line]]).float(), torch.zeros(1), [3])[0, 0]


@pytest.mark.parametrize("angle", [-70.0, -30.0, 0.0, 20.0, 90.0])
def test_it_runs_in_its_direction(angle: float) -> None:
    cover = one(angle).double()
    rows, columns = torch.meshgrid(*[torch.arange(96).double()] * 2, indexing="ij")
    y, x = rows - 47.7, columns - 47.7
    # The long axis of the marks' moments, and how far their middle lies from that of the line.
    moments = torch.tensor([[(cover * a * b).sum() for a in (y, x)] for b in (y, x)])
    down, right = torch.linalg.eigh(moments).eigenvectors[:, 1].tolist()
    measured = np.degrees(np.arctan2(right, down))
    assert (measured - angle + 90) % 180 - 90 == pytest.approx(0, abs=1)
    aside = (cover * (y * right - x * down)).sum() / cover.sum()
    assert abs(aside.item()) < 0.3


@pytest.mark.parametrize("width", [0.4, 1.0, 3.0, 7.0])
def test_it_is_as_wide_as_asked_for(width: float) -> None:
    upright = one(0.0, width).sum(1)
    # Pressed by 0.6 to 1 along the way.
    assert upright.min() >= 0.6 * width - 1e-4
    assert upright.max() <= width + 1e-4
    assert upright.mean().item() == pytest.approx(0.8 * width, rel=0.1)
    # Across a slanted line a row is cut longer.
    slanted = one(40.0, width)[20:-20].sum(1).mean() * np.cos(np.radians(40))
    assert slanted.item() == pytest.approx(0.8 * width, rel=0.12)


def test_gaps_take_their_share() -> None:
    black = torch.zeros(1, 3, 400, 400)
    # So sparse that they hardly cross.
    values = {"density": 60, "length": 150, "width": 1, "light": 1}
    whole, broken = (
        torch.stack([scratched(black, gaps=gaps, seed=i, **values).sum() for i in range(12)]).sum()
        for gaps in (0.0, 0.4)
    )
    assert (broken / whole).item() == pytest.approx(0.6, abs=0.05)
    assert torch.equal(scratched(black, gaps=1.0), black)


def test_their_number_and_measures_are_those_asked_for() -> None:
    step = Scratches(density=60, length=100, width=2, angle=10, spread=5, light=0.3, seed=0)
    drawn = [draw_scratches(step.model_copy(update={"seed": i}), (100, 300)) for i in range(400)]
    assert np.mean([len(rows) for rows in drawn]) == pytest.approx(1.8, abs=0.1)
    row, column, angle, length, bend, half_width, opacity, light, _ = np.concatenate(drawn).T
    for values, low, high in (
        (row, 0, 100),
        (column, 0, 300),
        (np.degrees(angle), 5, 15),
        (length, 25, 100),
        (bend, -0.01, 0.01),
        (2 * half_width, 1, 2),
        (opacity, 0.125, 0.5),
    ):
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
    assert light.mean() == pytest.approx(0.3, abs=0.06)
    # On a larger image the first ones are of the same kind: only their number and places change.
    small, large = draw_scratches(step, (100, 300)), draw_scratches(step, (200, 600))
    count = min(len(small), len(large))
    assert count > 0
    np.testing.assert_allclose(large[:count, 2:], small[:count, 2:])
    np.testing.assert_allclose(large[:count, :2], 2 * small[:count, :2])


def test_white_and_black_ones() -> None:
    gray = torch.full((1, 3, 64, 64), 0.5)
    white, black = (scratched(gray, light=light, length=60) for light in (1.0, 0.0))
    assert white.min() == 0.5
    assert white.max() > 0.75
    torch.testing.assert_close(white + black, torch.ones_like(gray))


def test_two_images_are_scratched_alike() -> None:
    image = torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0)) * 0.9
    black = scratched(torch.zeros(1, 3, 64, 64), light=1)
    torch.testing.assert_close(scratched(image, light=1), image + black * (1 - image))


STEPS = [
    Scratches(density=500, seed=1),
    Scratches(density=500, width=5, length=5000, angle=90, bend=0.1, seed=2),
    Scratches(density=400, spread=90, length=30, seed=(1 << 63) - 1),
    Scratches(density=0, seed=3),
]


def test_images_of_other_sizes_are_done_as_if_alone() -> None:
    images = [torch.rand(1, 3, *size) for size in ((80, 65), (64, 96), (96, 70), (40, 40))]
    canvas = stack_images(images, Canvas.of(torch.zeros(4, 3, 96, 96), 1))
    together = apply_scratches(canvas, STEPS)
    for image, step, made in zip(images, STEPS, together.images(), strict=True):
        alone = apply_scratches(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)
        assert torch.equal(alone, image) == (step.density == 0)


def test_the_seed_decides_and_values_stay_in_range() -> None:
    image = torch.rand(1, 3, 64, 64)
    first = scratched(image, width=20, spread=90)
    assert torch.equal(first, scratched(image, width=20, spread=90))
    assert not torch.equal(first, scratched(image, width=20, spread=90, seed=8))
    assert first.isfinite().all()
    assert first.min() >= 0
    assert first.max() <= 1


@pytest.mark.parametrize(
    "values", [{"density": 501}, {"width": 0}, {"angle": 91}, {"gaps": 1.1}, {"bend": 0.2}]
)
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Scratches.model_validate({"density": 1, "seed": 0} | values)
