"""Film grain: its moments and correlations in closed form, its filter against SciPy."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import ndimage

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.fields import normal_field
from redeg_cli.degrade.grain import Grain, apply_grain, correlated_field, grain_kernels

CPU = torch.device("cpu")


def grain_of(level: float | tuple[float, ...], size: int = 256, **values: float) -> torch.Tensor:
    """The grain (3, H, W) on a flat image."""
    image = torch.tensor(level).expand(3).reshape(1, 3, 1, 1).expand(1, 3, size, size)
    step = Grain.model_validate({"seed": 7} | values)
    return (apply_grain(Canvas.of(image, 1), [step]).pixels - image)[0]


@pytest.mark.parametrize("length", [0.0, 0.7, 1.5, 4.0])
def test_the_deviation_is_that_asked_for_at_any_length(length: float) -> None:
    assert grain_kernels([length]).square().sum() == pytest.approx(1, abs=1e-6)
    noise = grain_of(0.5, sigma=0.05, length=length)
    # The mean of n values that are alike over π length² pixels.
    doubt = 2 * math.sqrt(max(1, math.pi * length**2) / noise[0].numel())
    assert noise[0].std().item() == pytest.approx(0.05, rel=doubt)
    assert abs(noise[0].mean().item()) < 2 * doubt * 0.05


def test_the_border_has_as_much_as_the_middle() -> None:
    field = correlated_field(range(400), (1, 12, 12), grain_kernels([2.0] * 400), CPU)
    deviation = field[:, 0].square().mean(0).sqrt()
    for line in (deviation[0], deviation[-1], deviation[:, 0], deviation[:, -1], deviation[6]):
        assert line.mean().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("length", [1.2, 2.5, 5.0])
def test_the_correlation_falls_as_a_gaussian(length: float) -> None:
    noise = grain_of(0.5, size=384, sigma=0.05, length=length)[0]
    variance = noise.square().mean()
    for distance in range(1, 2 * math.ceil(length)):
        wanted = math.exp(-((distance / length) ** 2))
        for a, b in (
            (noise[:, distance:], noise[:, :-distance]),
            (noise[distance:], noise[:-distance]),
        ):
            assert ((a * b).mean() / variance).item() == pytest.approx(wanted, abs=0.06)


def test_it_is_white_noise_filtered() -> None:
    kernels = grain_kernels([1.7])
    taps = kernels[0].double().numpy()
    made = correlated_field([3], (2, 20, 24), kernels, CPU)[0]
    more = len(taps) - 1
    white = normal_field([3], (2, 20 + more, 24 + more), CPU)[0].double().numpy()
    for plane, source in zip(made, white, strict=True):
        wanted = ndimage.correlate(source, np.outer(taps, taps), mode="constant")
        half = more // 2
        np.testing.assert_allclose(plane, wanted[half:-half, half:-half], atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("midtones", [0.0, 0.5, 1.0])
def test_the_middle_tones_have_most(level: float, midtones: float) -> None:
    # Small enough for the clamp to take nothing away at 0.1 and 0.8.
    noise = grain_of(level, size=128, sigma=0.01, midtones=midtones)[0]
    wanted = 0.01 * (1 - midtones + midtones * 2 * math.sqrt(level * (1 - level)))
    if level in (0.0, 1.0):
        # The clamp leaves half of a normal distribution, of mean σ/√(2π).
        assert noise.abs().mean().item() == pytest.approx(
            wanted / math.sqrt(2 * math.pi), rel=0.03, abs=1e-7
        )
    else:
        assert noise.std().item() == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("alike", [0.0, 0.6, 1.0])
def test_channels_are_as_alike_as_asked_for(alike: float) -> None:
    noise = grain_of((0.3, 0.5, 0.7), sigma=0.03, length=1.0, alike=alike)
    between = torch.corrcoef(noise.flatten(1))
    wanted = alike + (1 - alike) * torch.eye(3)
    assert (between - wanted).abs().max() < 0.03
    gray = torch.allclose(noise[0], noise[2], atol=1e-6)
    assert gray == (alike == 1)


STEPS = [
    Grain(sigma=0.05, length=0, seed=1),
    Grain(sigma=0.1, length=2.3, alike=0.5, seed=2),
    Grain(sigma=0.2, length=5, midtones=0.2, seed=1 << 62),
]


def test_images_of_other_sizes_are_done_as_if_alone() -> None:
    images = [torch.rand(1, 3, 40, 33), torch.rand(1, 3, 24, 64), torch.rand(1, 3, 64, 48)]
    canvas = stack_images(images, Canvas.of(torch.zeros(3, 3, 64, 64), 1))
    together = apply_grain(canvas, STEPS)
    for image, step, made in zip(images, STEPS, together.images(), strict=True):
        alone = apply_grain(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)


def test_the_seed_decides_and_values_stay_in_range() -> None:
    canvas = Canvas.of(torch.rand(2, 3, 64, 64) * 3 - 1, 1)
    first, second = (Grain(sigma=1, length=1, midtones=0, seed=seed) for seed in (1, 2))
    made = apply_grain(canvas, [first, second]).pixels
    assert torch.equal(made, apply_grain(canvas, [first, second]).pixels)
    assert made.isfinite().all()
    assert made.min() == 0
    assert made.max() == 1
    gray = Canvas.of(torch.full((2, 3, 32, 32), 0.5), 1)
    made = apply_grain(gray, [first, second]).pixels
    assert not torch.equal(made[0], made[1])


@pytest.mark.parametrize(
    "values",
    [{"sigma": -0.1}, {"sigma": 0.1, "length": 33}, {"sigma": 0.1, "alike": 1.5}, {"seed": -1}],
)
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Grain.model_validate({"seed": 0, "sigma": 0} | values)
