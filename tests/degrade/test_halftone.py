"""Halftone screens: where their dots lie, and that tones stay what they were."""

import math

import numpy as np
import pytest
import torch

from redeg_cli.degrade.halftone import INK_ANGLES, halftone, screen


def flat(*rgb: float, size: int = 96) -> torch.Tensor:
    return torch.tensor(rgb).view(3, 1, 1).expand(3, size, size)


@pytest.mark.parametrize(("pitch", "angle"), [(4.0, 0.0), (6.0, 30.0), (7.3, 45.0), (5.0, 75.0)])
def test_dots_stand_at_the_pitch_and_the_angle(pitch: float, angle: float) -> None:
    size = 128
    plane = screen(size, size, pitch, angle, (0.1, 0.7)).numpy()
    spectrum = np.abs(np.fft.fft2((plane - plane.mean()) * np.outer(*[np.hanning(size)] * 2)))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    fy, fx = np.fft.fftfreq(size)[[row, column]]
    assert math.hypot(fx, fy) == pytest.approx(1 / pitch, abs=0.7 / size)
    direction = math.degrees(math.atan2(fy, fx)) % 90
    assert min(abs(direction - angle % 90), 90 - abs(direction - angle % 90)) < 90 * pitch / size


def test_the_screen_is_periodic_and_a_phase_of_one_changes_nothing() -> None:
    plane = screen(32, 40, 8.0, 0.0, (0.0, 0.0))
    torch.testing.assert_close(plane[:, 8:], plane[:, :-8], atol=1e-5, rtol=0)
    torch.testing.assert_close(plane[8:], plane[:-8], atol=1e-5, rtol=0)
    torch.testing.assert_close(screen(32, 40, 8.0, 0.0, (1.0, -2.0)), plane, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        screen(32, 40, 8.0, 0.0, (0.25, 0.0))[:, :-2], plane[:, 2:], atol=1e-5, rtol=0
    )
    assert plane.min() >= 0
    assert plane.max() <= 1


def printed_tone(level: float) -> float:
    printed = halftone(flat(level, level, level), 5.3, (30.0,), 0.1, ((0.2, 0.4),))
    assert torch.equal(printed[0], printed[2])
    # Printed in ink or paper, not in gray.
    assert ((printed < 0.02) | (printed > 0.98)).float().mean() > 0.7
    return printed.mean().item()


def test_tones_are_kept() -> None:
    tones = [printed_tone(level) for level in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)]
    assert tones == sorted(tones)
    assert tones[3] == pytest.approx(0.5, abs=0.01)
    # What is ink in a light tone is paper in the tone that is as dark.
    for light, dark in zip(tones, reversed(tones), strict=True):
        assert light == pytest.approx(1 - dark, abs=0.01)
    wanted = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95]
    assert tones == pytest.approx(wanted, abs=0.02)


PHASES = tuple((0.1 * i, 0.3 * i) for i in range(4))


@pytest.mark.parametrize(
    "colour", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 1.0)]
)
def test_pure_inks_stay_pure(colour: tuple[float, float, float]) -> None:
    printed = halftone(flat(*colour), 6.0, INK_ANGLES, 0.02, PHASES)
    assert (printed - flat(*colour)).abs().mean() < 0.01


def test_four_inks_keep_the_hue() -> None:
    printed = halftone(flat(0.7, 0.5, 0.3, size=160), 5.0, INK_ANGLES, 0.1, PHASES).mean((1, 2))
    assert printed[0] > printed[1] + 0.1
    assert printed[1] > printed[2] + 0.1


def test_softness_makes_the_edges_wider() -> None:
    shares = []
    for softness in (0.05, 0.5):
        printed = halftone(flat(0.5, 0.5, 0.5), 7.0, (20.0,), softness, ((0.0, 0.0),))
        shares.append(((printed > 0.02) & (printed < 0.98)).float().mean().item())
    assert shares[1] > 3 * shares[0]


@pytest.mark.parametrize(("angles", "phases"), [((0.0, 1.0), 2), ((0.0,), 2), (INK_ANGLES, 1)])
def test_other_numbers_of_screens_are_refused(angles: tuple[float, ...], phases: int) -> None:
    with pytest.raises(ValueError, match="1 or 4 angles"):
        halftone(flat(0.5, 0.5, 0.5), 5.0, angles, 0.1, ((0.0, 0.0),) * phases)
