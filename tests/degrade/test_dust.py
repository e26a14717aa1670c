"""Dust: areas, lengths and numbers, measured on the image."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.dust import (
    Dust,
    apply_dust,
    draw_fibres,
    draw_specks,
    paint_fibres,
    paint_specks,
)

BLACK = torch.zeros(1, 3, 64, 64)


def dusty(image: torch.Tensor, **values: float) -> torch.Tensor:
    step = Dust.model_validate({"seed": 7, "density": 2000, "strength": 1} | values)
    return apply_dust(Canvas.of(image, 1), [step]).pixels


@pytest.mark.parametrize("radius", [0.3, 0.5, 2.0, 7.5])
@pytest.mark.parametrize("softness", [1.0, 3.0])
def test_a_round_speck_covers_its_area(radius: float, softness: float) -> None:
    speck = torch.tensor([[[30.3, 33.6, radius, 1.0, 1.0, 0, 0, 0, 0, 0, 0]]])
    cover = paint_specks(BLACK, speck, torch.tensor([softness]))[0, 0]
    area = math.pi * radius**2
    if radius > softness:
        # A straight edge of this width adds its second moment.
        assert cover.sum().item() == pytest.approx(area + math.pi * softness**2 / 12, rel=0.01)
    else:
        assert cover.sum().item() <= (2 * radius) ** 2 * 4 * max(1, softness**2)
        assert cover.max() <= min(1, (2 * radius) ** 2)
    rows = (cover.sum(1) * torch.arange(64)).sum() / cover.sum()
    columns = (cover.sum(0) * torch.arange(64)).sum() / cover.sum()
    assert [rows.item(), columns.item()] == pytest.approx([30.3, 33.6], abs=0.35)


def test_the_outline_follows_its_waves() -> None:
    speck = torch.tensor([[[32.0, 32.0, 10.0, 1.0, 1.0, 0.3, 0, 0, 0, 0, 0]]])
    cover = paint_specks(BLACK, speck, torch.ones(1))[0, 0]
    # r = 10 (1 + 0.3 cos 2φ): 13 along the row, 7 along the column.
    assert cover[32].sum().item() == pytest.approx(26, abs=0.1)
    assert cover[:, 32].sum().item() == pytest.approx(14, abs=0.1)


@pytest.mark.parametrize("direction", [0.0, 0.6, 2.5])
@pytest.mark.parametrize("width", [0.6, 1.5])
def test_a_fibre_has_its_length_and_width(direction: float, width: float) -> None:
    fibre = [[[25.0, 28.0, width / 2, 1.0, 1.0, 20.0, direction, 0, 0, 20.0, 0]]]
    cover = paint_fibres(BLACK, torch.tensor(fibre))[0, 0]
    assert cover.sum().item() == pytest.approx(20 * width, rel=0.1)
    y, x = torch.meshgrid(*[torch.arange(64.0)] * 2, indexing="ij")
    down, right = (cover * (y - 25)).sum() / cover.sum(), (cover * (x - 28)).sum() / cover.sum()
    assert math.atan2(down, right) == pytest.approx(direction, abs=0.06)
    assert math.hypot(down, right) == pytest.approx(10, abs=0.7)


def test_a_fibre_may_be_curled_into_a_ring() -> None:
    length = 60.0
    ring = [[[32.0, 22.0, 0.5, 1.0, 1.0, length, -math.pi / 2, 2 * math.pi, 0, 60.0, 0]]]
    cover = paint_fibres(BLACK, torch.tensor(ring))[0, 0]
    y, x = torch.meshgrid(*[torch.arange(64.0)] * 2, indexing="ij")
    distance = ((y - 32).square() + (x - 22 - length / 2 / math.pi).square()).sqrt()
    assert (distance[cover > 0.3] - length / 2 / math.pi).abs().max() < 1.3
    assert cover.sum().item() == pytest.approx(length, rel=0.1)


def test_there_are_fewer_the_larger_they_are() -> None:
    step = Dust(density=1000, size=8, light=0.25, seed=3)
    specks = draw_specks(step, (1000, 1000))
    assert len(specks) == 1000
    diameters = 2 * specks[:, 2]
    assert 1 <= diameters.min() < 1.01
    assert 5 < diameters.max() <= 8
    # The share above d is (1/d² - 1/64) / (1 - 1/64).
    for d in (1.3, 2.0, 4.0):
        wanted = (1 / d**2 - 1 / 64) / (1 - 1 / 64)
        assert (diameters > d).mean() == pytest.approx(wanted, abs=0.03)
    assert specks[:, 4].mean() == pytest.approx(0.25, abs=0.04)


def test_their_numbers_are_those_asked_for() -> None:
    steps = [Dust(density=110, fibres=60, fibre_length=40, seed=i) for i in range(300)]
    specks = [len(draw_specks(step, (100, 300))) for step in steps]
    assert np.mean(specks) == pytest.approx(3.3, abs=0.1)
    fibres = [draw_fibres(step, (100, 300)) for step in steps]
    assert np.mean([len(rows) for rows in fibres]) == pytest.approx(1.8, abs=0.1)
    lengths = np.concatenate(fibres)[:, 5]
    assert 10 <= lengths.min() < 11
    assert 39 < lengths.max() <= 40


def test_white_and_black_dust() -> None:
    gray = torch.full((1, 3, 64, 64), 0.5)
    white, black = (dusty(gray, light=light, fibres=500, size=8) for light in (1.0, 0.0))
    assert white.min() == 0.5
    assert white.max() > 0.75
    torch.testing.assert_close(white + black, torch.ones_like(gray))


STEPS = [
    Dust(density=2000, size=12, softness=4, seed=1),
    Dust(density=500, fibres=500, fibre_length=200, fibre_width=5, seed=2),
    Dust(density=0, fibres=500, seed=(1 << 63) - 1),
    Dust(density=0, seed=3),
]


def test_images_of_other_sizes_are_done_as_if_alone() -> None:
    images = [torch.rand(1, 3, *size) for size in ((80, 65), (64, 96), (96, 70), (40, 40))]
    canvas = stack_images(images, Canvas.of(torch.zeros(4, 3, 96, 96), 1))
    together = apply_dust(canvas, STEPS)
    for image, step, made in zip(images, STEPS, together.images(), strict=True):
        alone = apply_dust(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)
        assert torch.equal(alone, image) == (step.density == step.fibres == 0)


def test_the_seed_decides_and_values_stay_in_range() -> None:
    image = torch.rand(1, 3, 64, 64)
    first = dusty(image, size=64, fibres=500, softness=16)
    assert torch.equal(first, dusty(image, size=64, fibres=500, softness=16))
    assert not torch.equal(first, dusty(image, size=64, fibres=500, softness=16, seed=8))
    assert first.isfinite().all()
    assert first.min() >= 0
    assert first.max() <= 1


@pytest.mark.parametrize(
    "values", [{"density": -1}, {"size": 65}, {"softness": 0.5}, {"fibres": 501}, {"light": 2}]
)
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Dust.model_validate({"density": 1, "seed": 0} | values)
