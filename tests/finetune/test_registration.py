"""Shifts are found to a fraction of a pixel, through blur, noise, dots and other colours."""

import cv2
import numpy as np
import pytest
import skimage.data

from redeg_cli.finetune.registration import find_shift, similarity_of

SCALE = 2
PHOTO = skimage.data.astronaut()[100:420, 60:420].astype(np.float32) / 255


def shifted(dx: float, dy: float) -> np.ndarray:
    """The middle of a picture, moved by fractions of a pixel."""
    matrix = np.array([[1.0, 0, dx - 60], [0, 1.0, dy - 60]])
    return cv2.warpAffine(PHOTO, matrix, (240, 200), flags=cv2.INTER_CUBIC).clip(0, 1)


def degraded(kind: str) -> np.ndarray:
    """The middle as a photo at half the size, aligned."""
    image = shifted(0, 0)
    random = np.random.default_rng(0)
    if kind == "dots":
        y, x = np.mgrid[:200, :240]
        screen = 0.5 + 0.25 * (np.cos(2 * np.pi * x / 7) + np.cos(2 * np.pi * y / 7))
        return np.repeat((image.mean(-1) > screen)[..., None], 3, -1).astype(np.float32)
    if kind == "tone":
        image = (0.3 + 0.5 * image**1.8) * np.array([1.0, 0.9, 0.7], np.float32)
    small = cv2.resize(image, (120, 100), interpolation=cv2.INTER_AREA)
    if kind == "blur":
        small = cv2.GaussianBlur(small, (0, 0), 1.5)
    if kind == "noise":
        small = small + random.normal(0, 0.1, small.shape)
    return cv2.resize(small.astype(np.float32), (240, 200), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("kind", ["clean", "blur", "noise", "tone", "dots"])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.4, -5.7), (-8.0, 2.5)])
def test_the_shift_is_found_to_half_a_photo_pixel(kind: str, shift: tuple[float, float]) -> None:
    photo = degraded(kind)
    found = find_shift(shifted(-shift[0], -shift[1]), photo, SCALE, 16)
    assert np.abs(np.array(found) - shift).max() < 0.25 * SCALE


def test_no_further_than_asked() -> None:
    found = find_shift(shifted(-12, 0), degraded("clean"), SCALE, 4)
    assert max(map(abs, found)) <= 4.5


def test_likeness() -> None:
    photo = degraded("blur")
    assert similarity_of(photo, photo, SCALE) == pytest.approx(1)
    assert similarity_of(1 - photo, photo, SCALE) == pytest.approx(-1, abs=1e-3)
    assert similarity_of(shifted(0, 0), photo, SCALE) > 0.8
    assert similarity_of(degraded("noise"), shifted(0, 0), SCALE) > 0.8
    assert similarity_of(shifted(0, 0)[:, ::-1], photo, SCALE) < 0.5
    assert similarity_of(np.full_like(photo, 0.5), photo, SCALE) == pytest.approx(0, abs=1e-6)
