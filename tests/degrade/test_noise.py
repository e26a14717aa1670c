"""Noise: its moments in closed form, and that the seed decides every value."""

from collections.abc import Callable

import pytest
import torch

from redeg_cli.degrade.noise import gaussian_noise, poisson_noise, standard_normal

GRAY = torch.full((3, 128, 128), 0.5)


def test_a_seed_always_gives_these_values() -> None:
    made = standard_normal((3, 4, 4), 1234, torch.device("cpu"))
    assert made.flatten()[:4].tolist() == pytest.approx(
        [-0.1117, -0.4966, 0.1631, -0.8817], abs=1e-4
    )


@pytest.mark.parametrize("sigma", [0.01, 0.08])
def test_gaussian_noise_has_its_deviation_and_no_bias(sigma: float) -> None:
    noise = gaussian_noise(GRAY, sigma, False, 7) - GRAY
    assert noise.std().item() == pytest.approx(sigma, rel=0.02)
    assert abs(noise.mean().item()) < 0.02 * sigma
    between = torch.corrcoef(noise.flatten(1))
    assert (between - torch.eye(3)).abs().max() < 0.03


@pytest.mark.parametrize("level", [0.1, 0.6])
def test_poisson_variance_is_the_value_over_the_photons(level: float) -> None:
    noise = poisson_noise(torch.full((3, 128, 128), level), 2000.0, False, 7) - level
    assert noise.var().item() == pytest.approx(level / 2000, rel=0.04)
    assert poisson_noise(torch.zeros(3, 8, 8), 100.0, False, 1).max() == 0


def test_gray_poisson_noise_follows_the_luma() -> None:
    colour = torch.tensor([0.9, 0.2, 0.4]).view(3, 1, 1).expand(3, 128, 128)
    noise = poisson_noise(colour, 1000.0, True, 3) - colour
    luma = 0.299 * 0.9 + 0.587 * 0.2 + 0.114 * 0.4
    assert noise[0].var().item() == pytest.approx(luma / 1000, rel=0.05)
    torch.testing.assert_close(noise[0], noise[2], atol=1e-6, rtol=0)


@pytest.mark.parametrize("noise", [gaussian_noise, poisson_noise])
def test_seeds_decide_and_values_stay_in_range(noise: Callable[..., torch.Tensor]) -> None:
    strength = 0.4 if noise is gaussian_noise else 3.0
    first = noise(GRAY, strength, False, 5)
    assert torch.equal(first, noise(GRAY, strength, False, 5))
    assert not torch.equal(first, noise(GRAY, strength, False, 6))
    assert first.min() == 0
    assert first.max() == 1
    gray = noise(GRAY, strength, True, 5)
    assert torch.equal(gray[0], gray[1])
    assert not torch.equal(first[0], first[1])
