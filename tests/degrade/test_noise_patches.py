"""Noise found where it is known to be, and left where it is none."""

import numpy as np
import pytest
import skimage.data
from scipy.ndimage import gaussian_filter

from redeg_cli.degrade.noise_patches import Found, Rules, find_noise
from redeg_cli.errors import InputError

RNG = np.random.default_rng


def levels(image: np.ndarray) -> np.ndarray:
    return np.rint(image.clip(0, 255)).astype(np.float32) / 255


def noisy(sigma: float, size: int = 256, blur: float = 0.0, level: float = 120) -> np.ndarray:
    noise = RNG(0).standard_normal((size, size, 3))
    if blur:
        noise = gaussian_filter(noise, (blur, blur, 0))
        noise /= noise.std()
    return levels(level + sigma * noise)


def by_hand(image: np.ndarray, rules: Rules) -> int:
    """Return how many patches meet eqs. 4 to 6, one after the other."""
    luma = image @ np.array([0.299, 0.587, 0.114]) * 255
    found = 0
    for y in range(0, luma.shape[0] - rules.p + 1, rules.stride):
        for x in range(0, luma.shape[1] - rules.p + 1, rules.stride):
            p = luma[y : y + rules.p, x : x + rules.p]
            parts = p.reshape(rules.p // rules.q, rules.q, -1, rules.q).swapaxes(1, 2)
            means, variances = parts.mean((2, 3)), parts.var((2, 3))
            found += bool(
                (np.abs(means - p.mean()) <= rules.mu * p.mean()).all()
                and (np.abs(variances - p.var()) <= rules.gamma * p.var()).all()
                and p.var() >= rules.phi
            )
    return found


def passed(found: Found) -> int:
    """Return how many patches the equations let through."""
    return found.looked_at - sum(found.rejected[reason] for reason in ("flat", "mean", "variance"))


@pytest.mark.parametrize("rules", [Rules(stride=16), Rules(p=24, q=12, gamma=0.4, stride=12)])
def test_the_equations_are_those_of_the_paper(rules: Rules) -> None:
    photo = skimage.data.astronaut()[:160, :200].astype(np.float32)
    image = levels(photo * 0.7 + 30 + 6 * RNG(1).standard_normal(photo.shape))
    image[:100, :100] = noisy(6, 100)
    found = find_noise(image, rules)
    assert passed(found) == by_hand(image, rules) > 0
    assert found.looked_at == sum(found.rejected.values()) + len(found.patches)


@pytest.mark.parametrize(("sigma", "blur"), [(3.0, 0.0), (10.0, 0.0), (10.0, 0.5)])
def test_the_deviation_is_right_to_5_percent_and_the_spectrum_to_1_db(
    sigma: float, blur: float
) -> None:
    image = noisy(sigma, 384, blur)
    patches = find_noise(image, Rules()).patches * 255
    assert len(patches) >= 10
    assert patches.std() == pytest.approx(sigma, rel=0.05)
    truth = (255 * image - 120)[:384, :384].reshape(12, 32, 12, 32, 3).swapaxes(1, 2)
    known, found = (
        np.square(np.abs(np.fft.fft2(each, axes=(1, 2)))).mean((0, 3))
        for each in (truth.reshape(-1, 32, 32, 3), patches)
    )
    axis = np.abs(np.fft.fftfreq(32))
    radius = np.hypot(axis[:, None], axis)
    for low in (0.06, 0.15, 0.25, 0.35, 0.45):
        band = (radius >= low) & (radius < low + 0.1)
        assert abs(10 * np.log10(found[band].mean() / known[band].mean())) < 1


def test_shading_is_no_noise() -> None:
    y, x = np.meshgrid(*[np.linspace(-1, 1, 256)] * 2, indexing="ij")
    shade = (12 * y + 8 * x * x)[..., None]
    noise = 5 * RNG(0).standard_normal((256, 256, 3))
    patches = find_noise(levels(130 + shade + noise), Rules()).patches * 255
    assert len(patches) > 3
    assert patches.std() == pytest.approx(5, rel=0.05)
    np.testing.assert_allclose(patches.mean((1, 2)), 0, atol=1e-3)


def test_a_texture_as_even_as_noise_is_left_out() -> None:
    image = noisy(3, 256)
    texture = 120 + 15 * RNG(1).standard_normal((256, 128, 3))
    image[:, 128:] = levels(texture)
    found = find_noise(image, Rules())
    assert found.rejected["texture"] > 0
    assert len(found.patches) > 0
    assert found.places[:, 1].max() + 32 <= 128 + 2
    assert (found.patches * 255).std() == pytest.approx(3, rel=0.05)


def test_saturated_patches_are_left_out() -> None:
    found = find_noise(noisy(8, 128, level=250), Rules(mu=1, gamma=5))
    assert found.rejected["clipped"] == found.looked_at
    assert len(found.patches) == 0


def test_flat_images_are_rejected_by_eq_6() -> None:
    found = find_noise(np.full((64, 64, 3), 0.5, np.float32), Rules())
    assert found.rejected["flat"] == found.looked_at > 0


def test_patches_do_not_overlap_and_are_as_many_as_allowed() -> None:
    image = noisy(6, 256)
    rules = Rules(mu=1, gamma=1)
    every = find_noise(image, rules)
    for row, place in enumerate(every.places):
        away = np.abs(np.delete(every.places, row, 0) - place).max(1)
        assert away.min() >= 32
    few = find_noise(image, Rules(mu=1, gamma=1, limit=3))
    assert np.array_equal(few.places, every.places[:3])
    assert few.rejected["surplus"] > 0
    y, x = few.places[0]
    cut = image[y : y + 32, x : x + 32]
    np.testing.assert_allclose(few.levels[0], cut.mean((0, 1)), atol=1e-5)
    assert np.corrcoef(few.patches[0].ravel(), cut.ravel())[0, 1] > 0.98


def test_wrong_sizes_are_told() -> None:
    with pytest.raises(InputError, match="20x40 px is smaller than a patch of 32x32"):
        find_noise(np.zeros((40, 20, 3), np.float32), Rules())
    with pytest.raises(InputError, match="cannot be cut into parts of 7"):
        Rules(q=7)
