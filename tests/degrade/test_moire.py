"""Moiré: against a screen that is averaged over fine steps, and where its frequency folds to."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.moire import Moire, apply_moire, sampled_screen, screen_frequencies


@pytest.mark.parametrize("pitch", [1.1, 1.7, 4.0])
@pytest.mark.parametrize("aperture", [0.0, 0.6, 1.0])
def test_a_pixel_averages_the_screen_over_its_aperture(pitch: float, aperture: float) -> None:
    angles, phase = (0.0, 0.4, -1.1), np.array([[0.1, 0.7], [0.0, 0.2], [0.5, 0.9]])
    fine = 40
    inside = ((np.arange(fine) + 0.5) / fine - 0.5) * aperture
    y, x = (
        (np.arange(12)[:, None] + inside).reshape(-1),
        (np.arange(16)[:, None] + inside).reshape(-1),
    )
    wanted = []
    for angle, (first, second) in zip(angles, phase, strict=True):
        u = (np.cos(angle) * x + np.sin(angle) * y[:, None]) / pitch + first
        v = (np.cos(angle) * y[:, None] - np.sin(angle) * x) / pitch + second
        wave = (np.cos(2 * np.pi * u) + np.cos(2 * np.pi * v)) / 2
        wanted.append(wave.reshape(12, fine, 16, fine).mean((1, 3)))
    made = sampled_screen(
        torch.arange(12.0)[None, :, None].expand(1, 12, 16),
        torch.arange(16.0)[None, None].expand(1, 12, 16),
        screen_frequencies(torch.tensor([pitch]), torch.tensor([angles])),
        torch.tensor(phase).float()[None],
        torch.tensor([aperture]),
    )
    np.testing.assert_allclose(made[0].numpy(), np.stack(wanted), atol=1e-3)


def pattern(level: float = 0.5, **values: Any) -> torch.Tensor:
    """What moiré adds to a flat image, (3, H, W)."""
    size = values.pop("size", 96)
    step = Moire.model_validate({"pitch": 1.3, "strength": 1, "seed": 4} | values)
    image = torch.full((1, 3, size, size), level)
    return (apply_moire(Canvas.of(image, 1), [step]).pixels - image)[0]


@pytest.mark.parametrize(("pitch", "angle"), [(1.2, 0.0), (1.05, 3.0), (1.6, 20.0), (5.0, 30.0)])
def test_frequencies_above_nyquist_fold_over(pitch: float, angle: float) -> None:
    size = 128
    made = pattern(size=size, pitch=pitch, angle=angle, angles=(0, 0, 0), aperture=0.3)[0].numpy()
    window = np.outer(*[np.hanning(size)] * 2)
    spectrum = np.abs(np.fft.fft2(made * window))
    spectrum[:2, :2] = spectrum[-1:, :2] = spectrum[:2, -1:] = 0
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    found = np.abs(np.fft.fftfreq(size)[[row, column]])
    f = np.array([math.sin(math.radians(angle)), math.cos(math.radians(angle))]) / pitch
    folded = np.abs((f + 0.5) % 1 - 0.5)
    # The two crossed waves are equally strong: either may be found.
    errors = [np.abs(found - each).max() for each in (folded, folded[::-1])]
    assert min(errors) < 1.1 / size


def test_each_channel_has_a_screen_of_its_own() -> None:
    made = pattern(angles=(15, 75, 0))
    assert torch.corrcoef(made.flatten(1)).abs().triu(1).max() < 0.1
    # With one angle only the phases differ.
    spectra = torch.fft.fft2(pattern(angles=(10, 10, 10), pitch=4)).abs()
    torch.testing.assert_close(spectra[0], spectra[2], atol=0.05 * spectra.max().item(), rtol=0)


def test_strength_and_tone_scale_it() -> None:
    values = {"angle": 20, "aperture": 0, "pitch": 1.4}
    full = pattern(**values)
    # Two crossed cosines of half the amplitude: σ = 1/2, here of 0.5.
    assert full[0].std().item() == pytest.approx(0.25, rel=0.03)
    torch.testing.assert_close(pattern(**values, strength=0.3), 0.3 * full, atol=1e-6, rtol=0)
    weak = values | {"strength": 0.2}
    middle = pattern(**weak)
    for level in (0.2, 0.7):
        wanted = middle * math.sin(math.pi * level)
        torch.testing.assert_close(pattern(level, **weak), wanted, atol=1e-6, rtol=0)
        shown = pattern(level, **weak, of="display")
        torch.testing.assert_close(shown, middle * 2 * level, atol=1e-6, rtol=0)
    for level in (0.0, 1.0):
        assert pattern(level).abs().max() < 1e-6
    assert pattern(0.0, of="display").abs().max() == 0
    assert pattern(1.0, of="display").min() < -0.1


def test_tones_are_kept_in_the_mean() -> None:
    for level in (0.25, 0.5, 0.75):
        made = pattern(level, size=128, angle=7, strength=0.5)
        assert made.mean((1, 2)).abs().max() < 0.004


def test_a_warped_sheet_bends_the_bands() -> None:
    values = {"angles": (0, 0, 0), "pitch": 1.05, "aperture": 0}
    flat, warped = pattern(**values), pattern(**values, warp=2)
    # Bands of a flat sheet at no angle are the same in all rows and columns but for their mean.
    assert (flat - flat.mean(1, keepdim=True) - flat.mean(2, keepdim=True)).std() < 0.01
    assert (warped - warped.mean(1, keepdim=True) - warped.mean(2, keepdim=True)).std() > 0.05


STEPS = [
    Moire(pitch=1.2, strength=0.5, warp=3, seed=1),
    Moire(pitch=3, angle=40, of="display", seed=2),
    Moire(pitch=0.7, aperture=0.1, strength=1, warp=20, seed=1 << 62),
]


def test_images_of_other_sizes_are_done_as_if_alone() -> None:
    images = [torch.rand(1, 3, 40, 33), torch.rand(1, 3, 24, 64), torch.rand(1, 3, 64, 48)]
    canvas = stack_images(images, Canvas.of(torch.zeros(3, 3, 64, 64), 1))
    together = apply_moire(canvas, STEPS)
    for image, step, made in zip(images, STEPS, together.images(), strict=True):
        alone = apply_moire(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(made, alone, rtol=0, atol=1e-5)


def test_the_seed_decides_and_values_stay_in_range() -> None:
    first = pattern(seed=1, warp=20)
    assert torch.equal(first, pattern(seed=1, warp=20))
    assert not torch.allclose(first, pattern(seed=2, warp=20), atol=0.01)
    canvas = Canvas.of(torch.rand(1, 3, 64, 64) * 3 - 1, 1)
    made = apply_moire(canvas, [Moire(pitch=0.3, strength=1, aperture=0, of="display", seed=0)])
    assert made.pixels.isfinite().all()
    assert made.pixels.min() >= 0
    assert made.pixels.max() <= 1


@pytest.mark.parametrize(
    "values", [{"pitch": 0.2}, {"strength": 1.1}, {"of": "paper"}, {"angles": (0, 0)}, {"warp": -1}]
)
def test_other_values_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Moire.model_validate({"pitch": 2, "seed": 0} | values)
