"""Paper texture: variance and spectrum of its relief, shading in closed form."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.paper import Paper, apply_paper, fibre_relief, shade


def relief_of(size: int = 128, level: float = 0.5, **values: object) -> torch.Tensor:
    """The shading (H, W) of a flat image, in units of the strength and the value."""
    step = Paper.model_validate({"strength": 0.02, "gloss": 0, "seed": 5} | values)
    made = apply_paper(Canvas.of(torch.full((1, 3, size, size), level), 1), [step]).pixels
    assert torch.equal(made[0, 0], made[0, 2])
    return (made[0, 0] / level - 1) / 0.02


@pytest.mark.parametrize("length", [0.6, 1.5, 3.0])
@pytest.mark.parametrize("degrees", [0.0, 35.0, 90.0])
def test_fibres_have_unit_variance_from_any_side(length: float, degrees: float) -> None:
    angle = math.radians(degrees)
    light = torch.tensor([[math.sin(angle), math.cos(angle)]])
    relief = fibre_relief([4], (256, 256), [length], light)
    doubt = 2.5 * math.sqrt(math.pi * max(length, 0.6) ** 2 / 256**2)
    assert relief.std().item() == pytest.approx(1, rel=doubt)
    assert abs(relief.mean().item()) < doubt


def test_fibres_are_the_slope_of_a_surface() -> None:
    size = (64, 64)
    sides = ((0.0, 1.0), (1.0, 0.0), (0.6, 0.8))
    right, down, both = (fibre_relief([4], size, [2.0], torch.tensor([side])) for side in sides)
    torch.testing.assert_close(both, 0.6 * down + 0.8 * right)
    # Lit from the right, the sums along rows are differences of heights and stay small; the sums
    # along columns do not.
    assert right.sum(3).std() < 0.5 * right.sum(2).std()


def peaks(relief: torch.Tensor, count: int) -> list[tuple[float, float]]:
    """The strongest frequencies (down, right) of one half plane, in cycles per pixel."""
    plane = relief.numpy() * np.outer(*[np.hanning(len(relief))] * 2)
    spectrum = np.abs(np.fft.fft2(plane - plane.mean()))
    frequencies = np.fft.fftfreq(len(relief))
    found = []
    for _ in range(count):
        y, x = np.unravel_index(spectrum.argmax(), spectrum.shape)
        found.append((frequencies[y], frequencies[x]))
        for sign in (1, -1):
            for dy in range(-3, 4):
                for dx in range(-3, 4):
                    spectrum[(sign * y + dy) % len(relief), (sign * x + dx) % len(relief)] = 0
    return found


@pytest.mark.parametrize(("surface", "apart"), [("silk", 60.0), ("linen", 90.0)])
@pytest.mark.parametrize(("pitch", "angle"), [(6.0, 0.0), (4.5, 20.0)])
def test_embossed_waves_have_their_pitch_and_directions(
    surface: str, apart: float, pitch: float, angle: float
) -> None:
    relief = relief_of(surface=surface, pitch=pitch, angle=angle, roughness=0.1, light=25)
    found = peaks(relief, round(180 / apart))
    for down, right in found:
        assert math.hypot(down, right) == pytest.approx(1 / pitch, abs=0.8 / 128)
        away = (math.degrees(math.atan2(down, right)) - angle) % apart
        assert min(away, apart - away) < 3
    directions = sorted(math.degrees(math.atan2(*each)) % 180 for each in found)
    assert np.diff(directions).min() > apart - 6


@pytest.mark.parametrize("surface", ["matte", "silk", "linen"])
@pytest.mark.parametrize("light", [0.0, 70.0, -150.0])
def test_the_strength_is_the_deviation(surface: str, light: float) -> None:
    relief = relief_of(surface=surface, light=light, fibre=1.0, pitch=5.3, angle=7)
    assert relief.std().item() == pytest.approx(1, rel=0.05)
    assert abs(relief.mean().item()) < 0.05


def test_matte_paper_is_all_fibres() -> None:
    torch.testing.assert_close(relief_of(roughness=0.1), relief_of(roughness=0.9))
    silk = relief_of(surface="silk", roughness=1)
    torch.testing.assert_close(silk, relief_of(surface="matte"), atol=1e-3, rtol=0)
    assert (relief_of(surface="silk", roughness=0.1) - silk).std() > 0.5


def test_gloss_adds_light_of_its_own() -> None:
    images = torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    relief = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).expand(2, -1, -1, -1)
    made = shade(images, relief, torch.tensor([0.1, 0.1]), torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(made[0], images[0] * (1 + 0.1 * relief[0]))
    torch.testing.assert_close(made[1], images[1] + 0.1 * relief[1])
    assert relief_of(level=0.01, gloss=1.0).std() > 40 * relief_of(level=0.01).std()


STEPS = [
    Paper(strength=0.1, fibre=4, seed=1),
    Paper(surface="silk", strength=0.2, fibre=0.5, light=40, seed=2),
    Paper(surface="linen", strength=0.1, pitch=3, roughness=0, angle=10, seed=1 << 62),
]


def test_images_of_other_sizes_are_done_as_if_alone() -> None:
    images = [torch.rand(1, 3, 40, 33), torch.rand(1, 3, 24, 64), torch.rand(1, 3, 64, 48)]
    canvas = stack_images(images, Canvas.of(torch.zeros(3, 3, 64, 64), 1))
    together = apply_paper(canvas, STEPS)
    for image, step, made in zip(images, STEPS, together.images(), strict=True):
        alone = apply_paper(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("surface", ["matte", "silk", "linen"])
def test_the_seed_decides_and_values_stay_in_range(surface: str) -> None:
    canvas = Canvas.of(torch.rand(1, 3, 64, 64) * 3 - 1, 1)
    first, second = (
        Paper.model_validate({"surface": surface, "strength": 1, "gloss": 1, "seed": seed})
        for seed in (1, 2)
    )
    made = apply_paper(canvas, [first]).pixels
    assert torch.equal(made, apply_paper(canvas, [first]).pixels)
    assert not torch.equal(made, apply_paper(canvas, [second]).pixels)
    assert made.isfinite().all()
    assert made.min() == 0
    assert made.max() == 1


@pytest.mark.parametrize(
    "values", [{"strength": 2}, {"pitch": 0.5}, {"surface": "glass"}, {"roughness": -1}]
)
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Paper.model_validate({"strength": 0.1, "seed": 0} | values)
