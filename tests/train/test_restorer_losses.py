"""What a restorer's image is compared in, in closed form."""

import math

import pytest
import torch
from torch import Tensor

from redeg_cli.train.losses import pixel_l1
from redeg_cli.train.restorer_losses import (
    gradient_l1,
    lattice,
    local_energy,
    psnr_loss,
    restorer_terms,
)


def ramp(slope_x: float, slope_y: float) -> Tensor:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(9.0), indexing="ij")
    return (slope_x * x + slope_y * y).expand(2, 3, 6, 9)


def phi(images: Tensor) -> dict[str, Tensor]:
    """Features whose losses can be worked out by hand."""
    return {"double": 2 * images, "gray": images.mean(1, keepdim=True)}


def flat(value: float) -> Tensor:
    return torch.full((2, 3, 4, 5), float(value))


WEIGHTS = {"double": 1.0, "gray": 3.0}


def test_gradients_know_no_tone() -> None:
    """A shift of the tone is no gradient; a ramp is its slope, in both directions."""
    assert gradient_l1(ramp(0.1, 0) + 0.3, ramp(0.1, 0)).item() == pytest.approx(0, abs=1e-6)
    assert gradient_l1(ramp(0.1, -0.2), ramp(0, 0)).item() == pytest.approx(0.3)


def test_what_a_restorer_is_compared_in() -> None:
    made, truth = flat(0.5), flat(0.25)
    terms = restorer_terms(made, truth, phi, WEIGHTS)
    assert list(terms) == ["pixel", "perceptual", "style"]
    assert terms["pixel"].item() == pytest.approx(0.25)
    assert terms["perceptual"].item() == pytest.approx(0.5 + 3 * 0.25)
    # Grams of flat features: v² / C in all entries.
    style = (1 - 0.25) / 3 + 3 * (0.25 - 0.0625)
    assert terms["style"].item() == pytest.approx(style)
    assert list(restorer_terms(made, truth, phi, WEIGHTS, style=False)) == ["pixel", "perceptual"]
    energy = restorer_terms(made, truth, phi, WEIGHTS, style=False, energy=True)["energy"]
    torch.testing.assert_close(energy, local_energy(phi(made), phi(truth), WEIGHTS))


def test_the_psnr_loss_counts_each_image_in_nepers() -> None:
    truth = torch.zeros((2, 3, 4, 4))
    made = truth + torch.tensor([0.1, 0.01])[:, None, None, None]
    assert psnr_loss(truth, truth) == 0
    # Above the floor ten times the error is 20 dB, ln 10 nepers; at the floor it is half a bit.
    by_hand = (math.log(1 + 100) + math.log(2)) / 2 / 2
    assert psnr_loss(made, truth).item() == pytest.approx(by_hand, rel=1e-5)
    far = psnr_loss(made, truth, floor=1e-12) - psnr_loss(made / 10, truth, floor=1e-12)
    assert far.item() == pytest.approx(math.log(10), rel=1e-4)


def test_the_local_energy_by_hand() -> None:
    """Twice the amplitude is four times the energy, everywhere: log 4, if the floor is nothing."""
    phi = {"a": torch.rand(2, 3, 16, 16) + 0.5, "b": torch.rand(2, 5, 8, 8) + 0.5}
    twice = {name: 2 * value for name, value in phi.items()}
    weights = {"a": 0.5, "b": 2.0}
    found = local_energy(twice, phi, weights, floor=1e-9)
    torch.testing.assert_close(found, torch.tensor(2.5 * math.log(4)))
    assert local_energy(phi, phi, weights) == 0


def test_energy_asks_for_texture_where_pixels_ask_for_none() -> None:
    """Against other noise of the same strength, flat is best by the pixels, noise by the energy."""
    truth, other = torch.randn(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    flat = torch.zeros_like(truth)
    assert pixel_l1(flat, truth) < pixel_l1(other, truth)
    energies = [local_energy({"x": made}, {"x": truth}, {"x": 1.0}) for made in (flat, other)]
    assert energies[1] < 0.1 * energies[0]


def test_the_local_energy_knows_the_place() -> None:
    truth = torch.zeros(1, 1, 32, 32)
    truth[:, :, :16] = torch.randn(1, 1, 16, 32, generator=torch.Generator().manual_seed(1))
    upside_down = truth.flip(2)
    one = {"x": 1.0}
    moved = local_energy({"x": truth.roll(1, 3)}, {"x": truth}, one)
    assert moved < 0.2 * local_energy({"x": upside_down}, {"x": truth}, one)


def test_features_smaller_than_a_window_have_one_energy() -> None:
    small = {"x": torch.ones(1, 2, 3, 5)}
    assert local_energy(small, {"x": torch.zeros(1, 2, 3, 5)}, {"x": 1.0}, floor=0.1) > 0


def strength(pattern: torch.Tensor) -> torch.Tensor:
    power = pattern.var(correction=0)
    return power / (power + 1 / 255**2).sqrt()


@pytest.mark.parametrize(("scale", "repeats"), [(1, 2), (2, 2), (2, 4), (4, 4), (4, 8)], ids=str)
def test_the_lattice_is_what_repeats_with_the_native_grid(scale: int, repeats: int) -> None:
    truth = torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(2))
    cell = torch.zeros(repeats, repeats)
    cell[0, 0] = 1
    pattern = 0.1 * cell.repeat(192 // repeats, 192 // repeats)
    found = lattice(truth + pattern, truth, scale)
    torch.testing.assert_close(found, strength(pattern), atol=1e-6, rtol=1e-4)
    noise = 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(3))
    assert lattice(truth + noise, truth, scale) < 0.002 * noise.std()
    assert lattice(truth + pattern + noise, truth, scale) < found / 2
    assert lattice(truth + 0.3, truth, scale) < 1e-6


@pytest.mark.parametrize(("period", "grids"), [(8, 3), (16, 2), (32, 1), (64, 0)], ids=str)
def test_the_lattice_is_that_of_coarser_grids_too(period: int, grids: int) -> None:
    wave = torch.cos(2 * torch.pi * (torch.arange(256) + 0.5) / period).expand(1, 3, 256, 256)
    # In the cells of finer grids a wave is up as often as it is down.
    found = lattice(wave, torch.zeros_like(wave), 4)
    torch.testing.assert_close(found, strength(wave) * grids / 3)


def test_what_repeats_otherwise_is_no_lattice() -> None:
    truth = torch.zeros(1, 3, 192, 192)
    rows = torch.arange(192)[:, None].expand(1, 3, 192, 192)
    other, own = (lattice(0.1 * (rows % period == 0), truth, 4) for period in (3, 4))
    assert other < 0.2 * own


def test_a_lattice_is_measured_where_there_are_whole_cells() -> None:
    made, truth = torch.rand(2, 1, 3, 19, 23)
    whole = lattice(made[..., :16, :20], truth[..., :16, :20], 2)
    torch.testing.assert_close(lattice(made, truth, 2), whole)
