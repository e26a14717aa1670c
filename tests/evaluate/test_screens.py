"""Screens of known frequency, angle and strength."""

import math

import pytest
import torch

from redeg_cli.degrade.chain import load_degrader
from redeg_cli.evaluate.screens import Screen, compare_screens, find_screen
from redeg_cli.omega.families import screen_chain
from redeg_cli.omega.transfer import degrade_aligned

SIDE = 256


def waves(frequency: float, degrees: float, amplitude: float) -> torch.Tensor:
    """Return two crossed waves (1, 3, SIDE, SIDE), as a dot screen has them."""
    rows, columns = torch.arange(SIDE)[:, None].double(), torch.arange(SIDE).double()
    out = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    for turn in (0, 90):
        angle = math.radians(degrees + turn)
        along = columns * math.cos(angle) + rows * math.sin(angle)
        out += amplitude * torch.cos(2 * math.pi * frequency * along + turn)
    return out.float().expand(1, 3, -1, -1)


@pytest.mark.parametrize("degrees", [0.0, 17.3, 45.0, 82.0])
@pytest.mark.parametrize("frequency", [0.1003, 0.3217])
def test_two_crossed_waves_are_found(frequency: float, degrees: float) -> None:
    hq = torch.full((1, 3, SIDE, SIDE), 0.5)
    found = find_screen(hq + waves(frequency, degrees, 0.1), hq)
    assert found.frequency == pytest.approx(frequency, rel=1e-3)
    assert abs((found.angle - degrees + 45) % 90 - 45) < 0.2
    assert found.energy == pytest.approx(2 * 0.1**2 / 2, rel=0.02)
    assert found.coherence > 0.99


def test_energy_is_compared_in_decibels_and_angles_modulo_90() -> None:
    true = Screen(0.2, 89.0, 1e-2, 1.0)
    errors = compare_screens(Screen(0.206, 1.0, 1e-3, 0.7), true)
    assert errors.frequency == pytest.approx(3)
    assert errors.angle == pytest.approx(2)
    assert errors.energy == pytest.approx(-10)
    assert errors.coherence == 0.7
    assert compare_screens(Screen(0.2, 44.0, 0.0, 0.0), true).angle == pytest.approx(45)


def test_noise_and_a_screen_of_many_phases_are_not_coherent() -> None:
    hq = torch.full((1, 3, SIDE, SIDE), 0.5)
    noise = 0.1 * torch.randn(hq.shape, generator=torch.Generator().manual_seed(0))
    assert find_screen(hq + noise, hq).energy < 1e-5
    screen = waves(0.2, 30, 0.1)
    assert find_screen(hq + screen, hq).coherence > 0.99
    # The same wave with a phase of its own in each patch of 64 pixels.
    phases = 6.28 * torch.rand((8, 8), generator=torch.Generator().manual_seed(1))
    patches = phases.repeat_interleave(64, 0).repeat_interleave(64, 1)
    loose = 0.1 * torch.cos(2 * math.pi * 0.2 * torch.arange(512.0) + patches).expand(1, 3, -1, -1)
    gray = torch.full((1, 3, 512, 512), 0.5)
    assert find_screen(gray + loose, gray).coherence < 0.7


def test_a_printed_picture_has_the_screen_of_its_record() -> None:
    down, across = torch.linspace(0, 1, SIDE)[:, None], torch.linspace(0, 1, SIDE)
    hq = (0.2 + 0.3 * (down + across)).expand(1, 3, -1, -1)
    degrader = load_degrader({"steps": screen_chain()}, 1)
    for seed in range(3):
        record = degrader.draw(seed)
        print_step = record["steps"][0]
        found = find_screen(degrade_aligned(hq, [record], 1), hq)
        assert found.frequency == pytest.approx(1 / print_step["pitch"], rel=5e-3)
        wanted = print_step["angles"][0] % 90
        assert abs((found.angle - wanted + 45) % 90 - 45) < 0.5
        assert found.coherence > 0.98


def test_small_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match=r"128x128 pixels, got 64x64"):
        find_screen(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
