"""Grain: as strong, as coarse and as coloured as the photo's, none where there is none."""

import cv2
import numpy as np
import pytest

from redeg_cli.faces.grain import missing_grain
from redeg_cli.faces.paste import face_mask

SIDE = 240


def inside() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[40:200, 40:200] = face_mask(160)
    return mask


def grainy(sigma: float, seed: int, channels: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (SIDE, SIDE, channels)).astype(np.float32)
    if sigma:
        noise = cv2.GaussianBlur(noise, (0, 0), sigma).reshape(noise.shape)
    noise = noise / noise.std() * 0.04
    return np.repeat(noise, 3 // channels, -1) + 0.5


def neighbours(grain: np.ndarray) -> float:
    return float((grain[:, 1:, 0] * grain[:, :-1, 0]).mean() / (grain[..., 0] ** 2).mean())


FLAT = np.full((SIDE, SIDE, 3), 0.5, np.float32)


@pytest.mark.parametrize(("sigma", "low"), [(0.0, 0.85), (0.7, 0.7)])
def test_strength_and_coarseness(sigma: float, low: float) -> None:
    photo = grainy(sigma, 1)
    grain = missing_grain(FLAT, photo, inside(), 0)
    assert grain is not None
    assert low < grain[inside() > 0.5].std() / 0.04 < 1.1
    assert neighbours(grain) == pytest.approx(neighbours(photo - 0.5), abs=0.2)
    assert np.ptp(grain, axis=-1).max() < 1e-6


def test_coloured_grain_has_colours() -> None:
    grain = missing_grain(FLAT, grainy(0, 1, 3), inside(), 0)
    assert grain is not None
    assert grain.std((0, 1)) == pytest.approx(np.full(3, 0.04), rel=0.25)
    assert abs(np.corrcoef(grain[..., 0].ravel(), grain[..., 2].ravel())[0, 1]) < 0.1


def test_what_the_face_has_is_not_added_again() -> None:
    photo = grainy(0, 1)
    grain = missing_grain(grainy(0, 2), photo, inside(), 0)
    assert grain is not None
    assert grain.std() < 0.02


def test_a_clean_photo_gets_none() -> None:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    clean = np.stack([0.3 + 0.4 * x, 0.5 + 0.2 * y, 0.5 + 0 * x], -1).astype(np.float32)
    grain = missing_grain(clean, clean, inside(), 0)
    assert grain is not None
    assert not grain.any()
    grain = missing_grain(FLAT, clean, inside(), 0)
    assert grain is not None
    assert np.abs(grain).max() < 2 / 255


def test_texture_around_the_face_is_no_grain() -> None:
    """Only what lies inside the face as well counts."""
    photo = grainy(0, 1)
    photo[inside() > 0] = 0.5
    grain = missing_grain(FLAT, photo, inside(), 0)
    assert grain is not None
    assert grain.std() < 0.005


def test_the_seed_decides_and_tiny_places_have_none() -> None:
    photo = grainy(0, 1)
    first, again, other = (missing_grain(FLAT, photo, inside(), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first is not None
    assert other is not None
    assert np.abs(first - other).max() > 0.01
    tiny = (slice(0, 30), slice(0, 30))
    assert missing_grain(FLAT[tiny], photo[tiny], face_mask(30), 0) is None
