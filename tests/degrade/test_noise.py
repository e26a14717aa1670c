"""Noise: its laws against closed forms and SciPy, and that the seed decides every value."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.noise import (
    GaussianNoise,
    PoissonNoise,
    apply_noise,
    apply_poisson,
    apply_speckle,
    gaussian_noise,
    poisson_noise,
)

SIDE = 128
MIXING = ((0.05, 0.01, -0.02), (0.02, 0.03, 0.0), (0.0, -0.04, 0.01))
COLOUR = torch.tensor([0.7, 0.3, 0.5])


def flat(colour: torch.Tensor, height: int = SIDE, width: int = SIDE) -> Canvas:
    return Canvas.of(colour.view(1, 3, 1, 1).expand(1, 3, height, width).clone(), 1)


def noise_of(op: Any, canvas: Canvas, step: Any) -> torch.Tensor:
    """What the op adds, (3, pixels) in float64."""
    return (op(canvas, [step]).pixels - canvas.pixels)[0].flatten(1).double()


def gaussian(**fields: Any) -> GaussianNoise:
    return GaussianNoise.model_validate({"seed": 7} | fields)


def poisson(**fields: Any) -> PoissonNoise:
    return PoissonNoise.model_validate({"seed": 7} | fields)


def counts(mean: float, side: int = 256, seed: int = 0) -> np.ndarray:
    """Poisson numbers of a flat image, drawn as 1,000 photons of white at that mean."""
    photons = torch.full((1, 1, 1, 1), 1000.0)
    image = torch.full((1, 3, side, side), mean / 1000)
    one, no = torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    noise = poisson_noise(image, photons, one, no, [seed])
    return ((noise.double() * 1000 + mean).flatten()).numpy()


def test_a_seed_always_gives_these_values() -> None:
    made = apply_noise(flat(COLOUR, 2, 2), [gaussian(sigma=0.1, seed=1234)]).pixels
    assert made[0, :, 0].flatten().tolist() == pytest.approx(GAUSSIAN_VALUES, abs=1e-6)
    made = apply_poisson(flat(COLOUR, 2, 2), [poisson(photons=200, seed=1234)]).pixels
    assert made[0, :, 0].flatten().tolist() == pytest.approx(POISSON_VALUES, abs=1e-6)


GAUSSIAN_VALUES = [0.6792864, 0.5855483, 0.2152967, 0.3192517, 0.4625171, 0.5524808]
POISSON_VALUES = [0.685, 0.635, 0.265, 0.305, 0.48, 0.525]


@pytest.mark.parametrize("sigma", [0.01, 0.08])
def test_gaussian_noise_has_its_deviation_and_no_bias(sigma: float) -> None:
    noise = noise_of(apply_noise, flat(COLOUR), gaussian(sigma=sigma)).numpy()
    error = 1 / SIDE
    assert np.abs(noise.std(1) / sigma - 1).max() < 3 * error
    assert np.abs(noise.mean(1)).max() < 4 * error * sigma
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 4 * error
    assert stats.kstest(noise.ravel() / sigma, "norm").pvalue > 1e-3


def test_gray_noise_is_the_same_in_all_channels() -> None:
    noise = noise_of(apply_noise, flat(COLOUR), gaussian(sigma=0.04, gray=True))
    torch.testing.assert_close(noise[0], noise[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(noise[0], noise[2], atol=1e-6, rtol=0)
    assert noise[0].std().item() == pytest.approx(0.04, rel=0.025)


def test_mixed_noise_has_the_covariance_of_its_matrix() -> None:
    matrix = np.array(MIXING)
    noise = noise_of(apply_noise, flat(COLOUR), gaussian(mixing=MIXING)).numpy()
    wanted = matrix @ matrix.T
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.abs((np.cov(noise) - wanted) / scale).max() < 4 * math.sqrt(2) / SIDE


@pytest.mark.parametrize("fields", [{"sigma": 0.1}, {"sigma": 0.1, "gray": True}])
def test_speckle_grows_with_the_light(fields: dict[str, Any]) -> None:
    """The very field that is added, times the image."""
    speckle = noise_of(apply_speckle, flat(COLOUR), gaussian(**fields))
    wanted = 0.1 * COLOUR.double()[:, None]
    assert (speckle.std(1, keepdim=True) / wanted - 1).abs().max() < 0.025
    added = noise_of(apply_noise, flat(torch.full((3,), 0.5)), gaussian(**fields))
    inside = (added.abs() < 0.29).all(0)  # what was not clamped in either
    difference = speckle - added * COLOUR.double()[:, None]
    assert difference[:, inside].abs().max() < 1e-6
    assert not noise_of(apply_speckle, flat(torch.zeros(3)), gaussian(**fields)).any()


@pytest.mark.parametrize("mean", [0.05, 0.3, 1.0, 1.99])
def test_rare_photons_follow_the_law_of_poisson(mean: float) -> None:
    drawn = counts(mean)
    whole = np.rint(drawn)
    np.testing.assert_allclose(drawn, whole, atol=2e-3)
    top = int(whole.max()) + 1
    seen = np.bincount(whole.astype(int), minlength=top + 1) / len(whole)
    law = stats.poisson.pmf(np.arange(top + 1), mean)
    # Statistics alone give such a distance: half the sum of the standard errors.
    error = 0.5 * np.sqrt(law * (1 - law) / len(whole)).sum()
    assert 0.5 * np.abs(seen - law).sum() < 2 * error
    assert drawn.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / len(drawn)))


@pytest.mark.parametrize("mean", [2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0])
def test_many_photons_follow_the_law_of_poisson_closely(mean: float) -> None:
    """The expansion's own distance from the law is 0.005 at a mean of 2 and falls from there."""
    drawn = counts(mean)
    whole = np.rint(drawn)
    np.testing.assert_allclose(drawn, whole, atol=2e-3)
    top = int(whole.max()) + 1
    seen = np.bincount(whole.astype(int), minlength=top + 1) / len(whole)
    law = stats.poisson.pmf(np.arange(top + 1), mean)
    error = 0.5 * np.sqrt(law * (1 - law) / len(whole)).sum()
    assert 0.5 * np.abs(seen - law).sum() < 0.01 / mean + 1.5 * error
    assert drawn.mean() == pytest.approx(mean, rel=1e-3, abs=4 * math.sqrt(mean / len(drawn)))
    assert drawn.var() / mean == pytest.approx(1, abs=0.03 / mean + 0.005)


def test_poisson_variance_is_the_value_over_the_photons_in_each_channel() -> None:
    noise = noise_of(apply_poisson, flat(COLOUR), poisson(photons=2000)).numpy()
    np.testing.assert_allclose(noise.var(1), COLOUR.numpy() / 2000, rtol=0.05)
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 4 / SIDE


def test_strength_multiplies_the_noise() -> None:
    once = noise_of(apply_poisson, flat(COLOUR), poisson(photons=500))
    twice = noise_of(apply_poisson, flat(COLOUR), poisson(photons=500, strength=2))
    inside = (once.abs() < 0.14).all(0)
    assert inside.double().mean() > 0.9
    torch.testing.assert_close(twice[:, inside], 2 * once[:, inside], atol=1e-6, rtol=0)
    assert not noise_of(apply_poisson, flat(COLOUR), poisson(photons=9, strength=0)).any()


def test_gray_poisson_noise_follows_the_luma() -> None:
    noise = noise_of(apply_poisson, flat(COLOUR), poisson(photons=1000, gray=True))
    luma = 0.299 * 0.7 + 0.587 * 0.3 + 0.114 * 0.5
    assert noise[0].var().item() == pytest.approx(luma / 1000, rel=0.05)
    torch.testing.assert_close(noise[0], noise[1], atol=1e-6, rtol=0)
    torch.testing.assert_close(noise[0], noise[2], atol=1e-6, rtol=0)
    # The luma's own photons are whole.
    photons = (noise[0] + luma) * 1000
    torch.testing.assert_close(photons, photons.round(), atol=1e-3, rtol=0)


def test_black_has_no_shot_noise() -> None:
    assert not noise_of(apply_poisson, flat(torch.zeros(3)), poisson(photons=0.5)).any()


MIXED = (
    gaussian(sigma=0.1, seed=3),
    gaussian(sigma=0.05, gray=True, seed=1 << 60),
    gaussian(mixing=MIXING, seed=3),
    gaussian(sigma=0.0, seed=9),
)
SHOTS = (
    poisson(photons=30, seed=3),
    poisson(photons=1e7, seed=4),
    poisson(photons=0.5, gray=True, seed=5),
    poisson(photons=256, strength=3, gray=True, seed=6),
)
SIZES = ((20, 31), (32, 9), (5, 5), (1, 40))


@pytest.mark.parametrize(
    ("op", "steps"), [(apply_noise, MIXED), (apply_speckle, MIXED), (apply_poisson, SHOTS)]
)
def test_images_of_a_ragged_canvas_get_the_noise_they_would_alone(op: Any, steps: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand((1, 3, *size), generator=generator) for size in SIZES]
    made = op(stack_images(images, Canvas.of(images[0], 1)), steps)
    assert made.sizes == SIZES
    for image, ours, step in zip(images, made.images(), steps, strict=True):
        alone = op(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(ours, alone, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("op", "step"),
    [
        (apply_noise, gaussian(sigma=1)),
        (apply_noise, gaussian(sigma=0.8, gray=True)),
        (apply_speckle, gaussian(sigma=1)),
        (apply_poisson, poisson(photons=0.01, strength=10)),
        (apply_poisson, poisson(photons=1e7, strength=10)),
    ],
)
def test_seeds_decide_and_values_stay_in_range(op: Any, step: Any) -> None:
    half = flat(torch.full((3,), 0.5), 64, 64)
    first = op(half, [step]).pixels
    assert torch.equal(first, op(half, [step]).pixels)
    assert not torch.equal(first, op(half, [step.model_copy(update={"seed": 8})]).pixels)
    for level in (0.0, 0.5, 1.0):
        made = op(flat(torch.full((3,), level), 64, 64), [step]).pixels
        assert made.isfinite().all()
        assert made.min() >= 0
        assert made.max() <= 1


def test_the_noise_of_an_image_does_not_hang_on_the_others_of_its_batch() -> None:
    """One coloured image makes the whole batch draw three channels."""
    images = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    matrices = torch.tensor([gaussian(sigma=0.1, gray=True).matrix(), MIXING])
    both = gaussian_noise(images, matrices, [5, 6])
    for row in range(2):
        one = slice(row, row + 1)
        alone = gaussian_noise(images[one], matrices[one], [[5, 6][row]])
        torch.testing.assert_close(both[one], alone, atol=1e-7, rtol=0)


@pytest.mark.parametrize(
    ("kind", "table", "words"),
    [
        (GaussianNoise, {}, "either sigma or mixing"),
        (GaussianNoise, {"sigma": 0.1, "mixing": MIXING}, "either sigma or mixing"),
        (GaussianNoise, {"sigma": -0.1}, "greater than or equal to 0"),
        (GaussianNoise, {"sigma": 1.1}, "less than or equal to 1"),
        (GaussianNoise, {"sigma": 0.1, "seed": -1}, "greater than or equal to 0"),
        (GaussianNoise, {"sigma": 0.1, "seed": 1 << 63}, "less than"),
        (GaussianNoise, {"mixing": [[0.1, 0, 0]]}, "Field required"),
        (PoissonNoise, {"photons": 0}, "greater than 0"),
        (PoissonNoise, {"photons": 1e8}, "less than or equal to"),
        (PoissonNoise, {"photons": math.inf}, "finite"),
        (PoissonNoise, {"photons": 5, "strength": -1}, "greater than or equal to 0"),
        (PoissonNoise, {}, "Field required"),
    ],
)
def test_values_out_of_range_are_refused(kind: Any, table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        kind.model_validate({"seed": 7} | table)
    with pytest.raises(ValidationError, match="seed"):
        kind.model_validate(table)
