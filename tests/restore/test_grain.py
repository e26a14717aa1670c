"""Film grain on a restored photo: its law, what it leaves alone, and that nobody sees the seams."""

import numpy as np
import pytest

from redeg_cli.io.images import Photo
from redeg_cli.restore import grain as grain_module
from redeg_cli.restore.grain import LENGTH, add_grain


def flat(value: float, height: int = 300, width: int = 400) -> Photo:
    return Photo(np.full((height, width, 3), value, np.float32))


def noise(photo: Photo, levels: float, seed: int = 3) -> np.ndarray:
    """Return what ``add_grain`` adds, (H, W, 3) in levels of 255."""
    return (add_grain(photo, levels, seed).rgb.astype(np.float64) - photo.rgb) * 255


@pytest.mark.parametrize(("value", "share"), [(0.5, 1.0), (0.1, 0.6), (0.9, 0.6), (0, 0), (1, 0)])
def test_the_deviation_is_the_one_asked_for_and_falls_to_nothing(
    value: float, share: float
) -> None:
    added = noise(flat(value), 4.0)
    assert added.std() == pytest.approx(4 * share, rel=0.05, abs=1e-6)
    assert abs(added.mean()) < 0.1


def test_neighbours_are_alike_as_far_as_the_length_says() -> None:
    added = noise(flat(0.5), 4.0)[..., 0]
    for step in (1, 2, 4):
        wanted = np.exp(-((step / LENGTH) ** 2))
        for a, b in ((added[step:], added[:-step]), (added[:, step:], added[:, :-step])):
            assert (a * b).mean() / added.var() == pytest.approx(wanted, abs=0.03)


def test_it_is_gray() -> None:
    added = noise(flat(0.5), 4.0)
    np.testing.assert_allclose(added[..., 0], added[..., 1], atol=1e-4)
    np.testing.assert_allclose(added[..., 0], added[..., 2], atol=1e-4)


def test_the_seed_decides_it() -> None:
    photo = flat(0.5)
    np.testing.assert_array_equal(noise(photo, 4.0), noise(photo, 4.0))
    assert abs(np.corrcoef(noise(photo, 4.0).ravel(), noise(photo, 4.0, 4).ravel())[0, 1]) < 0.02


def test_none_is_none_and_the_photo_is_not_changed() -> None:
    photo = flat(0.5)
    assert add_grain(photo, 0.0, 3) is photo
    add_grain(photo, 9.0, 3)
    assert (photo.rgb == 0.5).all()


def test_what_is_not_colour_is_kept() -> None:
    alpha = np.linspace(0, 1, 40 * 50, dtype=np.float32).reshape(40, 50)
    photo = Photo(flat(0.5, 40, 50).rgb, alpha=alpha, gray=True, bit_depth=16)
    made = add_grain(photo, 4.0, 3)
    assert made.alpha is alpha
    assert (made.gray, made.bit_depth) == (True, 16)


def test_strips_have_grain_of_their_own_and_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grain_module, "_ROWS", 50)
    added = noise(flat(0.5), 4.0)[..., 0]
    rows = added.std(1)
    assert np.abs(rows[49::50] - 4).max() < 0.8  # the last rows of the strips
    assert np.abs(rows[50::50] - 4).max() < 0.8  # the first ones
    assert abs(np.corrcoef(added[:50].ravel(), added[50:100].ravel())[0, 1]) < 0.03
