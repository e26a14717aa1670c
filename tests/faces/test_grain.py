"""Grain: as strong, as coarse and as coloured as the photo's, none where there is none."""

import cv2
import numpy as np
import pytest

from redeg_cli.faces import grain as module
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


def flattest(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The mean periodogram of the flattest fifth of the blocks, block by block."""
    window = np.outer(*2 * [np.hanning(18)[1:-1]])[..., None]
    y, x = np.mgrid[:16, :16] - 7.5
    powers = []
    for top in range(0, SIDE - 15, 8):
        for left in range(0, SIDE - 15, 8):
            part = (slice(top, top + 16), slice(left, left + 16))
            if where[part].all():
                planes = np.stack([np.ones((16, 16)), x, y], -1).reshape(256, 3)
                values = image[part].reshape(256, 3)
                rest = values - planes @ np.linalg.lstsq(planes, values, rcond=None)[0]
                spectrum = np.fft.rfft2(rest.reshape(16, 16, 3) * window, axes=(0, 1))
                powers.append((np.abs(spectrum) ** 2).mean(2))
    used = np.maximum(np.abs(np.fft.fftfreq(16) * 16)[:, None], np.arange(9)[None]) >= 2
    order = np.argsort([power[used].sum() for power in powers])
    return np.mean([powers[index] for index in order[: round(0.2 * len(powers))]], 0)


def test_the_spectrum_is_that_of_the_flattest_blocks() -> None:
    image = grainy(0.7, 1, 3).astype(np.float64)
    found = module._spectrum(image, inside() > 0.5)
    assert found is not None
    np.testing.assert_allclose(found, flattest(image, inside() > 0.5), rtol=1e-9)


def test_of_many_blocks_some_tell_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    image, where = grainy(0.7, 1, 3), np.ones((SIDE, SIDE), bool)
    every = module._spectrum(image, where)
    monkeypatch.setattr(module, "_MOST", 300)  # of 841
    some = module._spectrum(image, where)
    assert every is not None
    assert some is not None
    assert not np.array_equal(some, every)
    assert some[module._USED].mean() == pytest.approx(every[module._USED].mean(), rel=0.03)
