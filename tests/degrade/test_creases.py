"""Creases: course, width and shading, measured on the image."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.creases import Creases, apply_creases, crease, draw_creases


def creased(image: torch.Tensor, **values: float) -> torch.Tensor:
    step = Creases.model_validate({"seed": 7} | values)
    return apply_creases(Canvas.of(image, 1), [step]).pixels


def fold(image: torch.Tensor, degrees: float, **values: float) -> torch.Tensor:
    """A straight fold through the middle of an image, its left flank light."""
    height, width = image.shape[2:]
    line = [height / 2, width / 2, math.radians(degrees), height + width, 0.0, -1.0]
    shape = {"width": 2, "jag": 0, "wear": 1, "strength": 1, "shade": 0, "flank": 4} | values
    return crease(
        image, torch.tensor([[line]]), torch.tensor([list(map(float, shape.values()))]), [3]
    )


@pytest.mark.parametrize("degrees", [-60.0, -20.0, 0.0, 40.0, 50.0, 90.0])
def test_it_crosses_the_image_in_its_direction(degrees: float) -> None:
    cover = fold(torch.zeros(1, 3, 96, 96), degrees)[0, 0].double()
    y, x = torch.meshgrid(*[torch.arange(96).double() - 48] * 2, indexing="ij")
    angle = math.radians(degrees)
    aside, along = (
        y * math.sin(angle) - x * math.cos(angle),
        y * math.cos(angle) + x * math.sin(angle),
    )
    assert aside[cover > 0].abs().max() < 2.5
    assert along[cover > 0].min() < -44
    assert along[cover > 0].max() > 44
    # Pressed by 0.3 to 1 along the way, 0.65 in the mean.
    middle = along.abs() < 30
    assert cover[middle].sum().item() / 60 == pytest.approx(2 * 0.65, rel=0.15)


def test_wear_is_the_share_that_is_cracked() -> None:
    black = torch.zeros(1, 3, 256, 48)
    none, some, all_of_it = (
        torch.stack([creased(black, seed=seed, wear=wear, spread=0).sum() for seed in range(20)])
        for wear in (0.0, 0.4, 1.0)
    )
    assert none.max() == 0
    assert (some.sum() / all_of_it.sum()).item() == pytest.approx(0.4, abs=0.07)


@pytest.mark.parametrize("degrees", [0.0, 35.0, -40.0, 90.0])
def test_the_flanks_are_a_light_and_a_dark_one(degrees: float) -> None:
    gray = torch.full((1, 3, 64, 64), 0.5)
    made = fold(gray, degrees, strength=0, shade=0.2, flank=5)[0, 0]
    y, x = torch.meshgrid(*[torch.arange(64) - 32.0] * 2, indexing="ij")
    angle = math.radians(degrees)
    # To the right of the fold, or below a level one.
    away = x * math.cos(angle) - y * math.sin(angle) if degrees < 90 else y
    wanted = 0.5 * (1 - 0.2 * away / 5 * torch.exp(0.5 - 0.5 * (away / 5) ** 2))
    torch.testing.assert_close(made, wanted, atol=1e-4, rtol=0)
    assert made.max().item() == pytest.approx(0.6, abs=1e-3)
    assert made.min().item() == pytest.approx(0.4, abs=1e-3)


def test_the_crack_strays_from_the_fold() -> None:
    black = torch.zeros(1, 3, 64, 64)
    columns = torch.arange(64.0)
    strays = []
    for jag in (0.0, 3.0):
        cover = fold(black, 0, jag=jag)[0, 0]
        strays.append(((cover * columns).sum(1) / cover.sum(1) - 32).abs())
    assert strays[0].max() < 1e-3
    assert 0.5 < strays[1].max() <= 3 + 1e-3


def test_directions_are_within_the_spread() -> None:
    drawn = [
        draw_creases(Creases(count=8, angle=20, spread=10, seed=seed), (40, 80))
        for seed in range(50)
    ]
    angles = np.degrees(np.concatenate(drawn)[:, 2])
    assert 10 <= angles.min() < 10.5
    assert 29.5 < angles.max() <= 30
    assert {len(rows) for rows in drawn} == {8}


STEPS = [
    Creases(count=3, shade=0.5, seed=1),
    Creases(count=1, angle=90, spread=5, width=8, jag=4, seed=2),
    Creases(count=0, seed=3),
    Creases(count=8, flank=30, shade=1, seed=(1 << 63) - 1),
]


def test_images_of_other_sizes_are_done_as_if_alone() -> None:
    images = [torch.rand(1, 3, *size) for size in ((80, 65), (64, 96), (40, 40), (96, 70))]
    canvas = stack_images(images, Canvas.of(torch.zeros(4, 3, 96, 96), 1))
    together = apply_creases(canvas, STEPS)
    for image, step, made in zip(images, STEPS, together.images(), strict=True):
        alone = apply_creases(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)
        assert torch.equal(alone, image) == (step.count == 0)


def test_the_seed_decides_and_values_stay_in_range() -> None:
    image = torch.rand(1, 3, 64, 64)
    values = {"count": 8, "shade": 1, "width": 20, "jag": 20, "flank": 100}
    first = creased(image, **values)
    assert torch.equal(first, creased(image, **values))
    assert not torch.equal(first, creased(image, **values, seed=8))
    assert first.isfinite().all()
    assert first.min() >= 0
    assert first.max() <= 1


@pytest.mark.parametrize("values", [{"count": 9}, {"width": 0}, {"flank": 0}, {"wear": 1.1}])
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Creases.model_validate({"seed": 0} | values)
