"""Ringing against SciPy's second-order systems and the textbook's overshoot."""

import math

import numpy as np
import pytest
import skimage.data
import torch
from pydantic import ValidationError
from scipy.signal import TransferFunction
from scipy.signal import step as step_response

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.ringing import Ringing, apply_ringing
from redeg_cli.degrade.tone import to_luma

WHERE = 48


def ring(image: torch.Tensor, period: float, damping: float) -> torch.Tensor:
    return apply_ringing(Canvas.of(image, 1), [Ringing(period=period, damping=damping)]).pixels


def edge() -> torch.Tensor:
    return (0.3 + 0.4 * (torch.arange(128) >= WHERE)).expand(1, 3, 8, 128)


@pytest.mark.parametrize("damping", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("period", [4.5, 11.0])
def test_an_edge_rings_as_the_oscillator_does(period: float, damping: float) -> None:
    out = (ring(edge(), period, damping)[0, 0, 3] - 0.3).numpy() / 0.4
    omega = 2 * math.pi / period
    system = TransferFunction([omega**2], [1, 2 * damping * omega, omega**2])
    time, expected = step_response(system, T=np.linspace(0, 150, 30001))
    # Pixel centres, seen from the edge; the filter's mean delay has been taken away.
    behind = np.arange(128) - (WHERE - 0.5) + 2 * damping / omega
    expected = np.interp(behind, time, expected, left=0)
    assert np.abs(out - expected).max() < 0.005  # the kernel ends at 0.25 %


@pytest.mark.parametrize("damping", [0.3, 0.5, 0.7])
def test_the_overshoot(damping: float) -> None:
    out = (ring(edge(), 24.0, damping)[0, 0, 3].max().item() - 0.3) / 0.4
    expected = 1 + math.exp(-math.pi * damping / math.sqrt(1 - damping**2))
    assert out == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("damping", [0.2, 0.5, 0.9])
def test_the_picture_stays_where_it_is(damping: float) -> None:
    """The centre of mass of a thin line."""
    line = torch.full((1, 3, 4, 129), 0.4)
    line[..., 64] = 0.9
    mass = ring(line, 6.0, damping)[0, 0, 0] - 0.4
    centre = (mass * torch.arange(129)).sum() / mass.sum()
    assert centre.item() == pytest.approx(64, abs=0.1)


def test_only_the_luma_rings() -> None:
    rgb = skimage.data.astronaut()[60:124, 180:244].copy()
    image = 0.3 + 0.4 * torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255
    out = ring(image, 5.0, 0.4)
    assert (to_luma(out) - to_luma(image)).abs().max() > 0.05
    torch.testing.assert_close(out - to_luma(out), image - to_luma(image), atol=1e-5, rtol=0)


def test_each_image_as_if_alone() -> None:
    whole = torch.rand(1, 3, 20, 60, generator=torch.Generator().manual_seed(1))
    images = [whole, whole[:, :, :11, :30], whole[:, :, :1, :1]]
    steps = [
        Ringing(period=4.5, damping=0.5),
        Ringing(period=20, damping=0.15),
        Ringing(period=3, damping=0.9),
    ]
    together = apply_ringing(stack_images(images, Canvas.of(whole, 1)), steps)
    for image, step, out in zip(images, steps, together.images(), strict=True):
        alone = apply_ringing(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(out, alone, atol=1e-6, rtol=0)


def test_extremes_stay_in_range() -> None:
    image = (torch.rand(3, 3, 9, 33, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    steps = [
        Ringing(period=24, damping=0.15),
        Ringing(period=0.01, damping=0.95),
        Ringing(period=5, damping=0.5),
    ]
    out = apply_ringing(Canvas.of(image, 1), steps).pixels
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize(("period", "damping"), [(0, 0.5), (25, 0.5), (5, 1.0), (5, 0.1)])
def test_other_values_are_refused(period: float, damping: float) -> None:
    with pytest.raises(ValidationError):
        Ringing(period=period, damping=damping)
