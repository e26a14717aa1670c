"""NIQE against the published implementations, and what of it can be worked out by hand.

Golden values come from BasicSR 1.4.2 (PyPI). Its authors compared its NIQE with the MATLAB release:
5.7295763 against 5.72957338 (MATLAB R2021a) for Set14's baboon, which has 5.7295739 here, and
5.62525 for its blue channel, as mmagic's tests have it. That image cannot be shipped; the photos
below are those of scikit-image.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.ndimage
import skimage.data
import torch
from scipy.special import gamma
from torch import Tensor

from redeg_cli.errors import MetricError
from redeg_cli.evaluate import niqe as module
from redeg_cli.evaluate.niqe import BLOCK, niqe, niqe_of_luma


def photo(name: str, height: int, width: int) -> Tensor:
    """Return the top left corner of a photo of scikit-image, (1, 3, H, W) in [0, 1]."""
    image = getattr(skimage.data, name)()[:height, :width]
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def reference_aggd(values: np.ndarray) -> tuple[float, float, float]:
    """Fit eq. 7 of the paper as its release does: every shape is tried."""
    shapes = np.arange(0.2, 10.001, 0.001)
    ratios = gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))
    left = np.sqrt(np.mean(values[values < 0] ** 2))
    right = np.sqrt(np.mean(values[values > 0] ** 2))
    skew = left / right
    ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
    ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
    shape = shapes[np.argmin((ratios - ratio) ** 2)]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


@pytest.mark.parametrize(
    ("name", "height", "width", "expected"),
    [
        ("coffee", 96, 192, 13.141175),
        ("coffee", 200, 300, 7.592267),
        ("rocket", 250, 400, 10.855539),
        ("chelsea", 300, 451, 2.625524),
        ("astronaut", 400, 300, 2.999984),
    ],
)
def test_photos_have_the_values_of_basicsr(
    name: str, height: int, width: int, expected: float
) -> None:
    assert niqe(photo(name, height, width)).item() == pytest.approx(expected, abs=1e-3)


def test_values_are_those_of_pyiqa(tmp_path: Path) -> None:
    archs = pytest.importorskip("pyiqa.archs.niqe_arch")
    mean, covariance = module._pristine()
    parameters = {"mu_prisparam": mean.numpy()[None], "cov_prisparam": covariance.numpy()}
    scipy.io.savemat(tmp_path / "niqe.mat", parameters)
    theirs = archs.NIQE(color_space="ycbcr", pretrained_model_path=str(tmp_path / "niqe.mat"))
    images = torch.cat([photo(name, 300, 400) for name in ("coffee", "rocket", "astronaut")])
    images = images + torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) / 100
    images = (images.clamp(0, 1) * 255).round() / 255  # no flat areas: see _normalise
    torch.testing.assert_close(niqe(images), theirs(images), atol=1e-3, rtol=0)


def test_a_batch_gives_what_its_images_give() -> None:
    images = torch.cat([photo(name, 250, 200) for name in ("coffee", "chelsea")])
    alone = torch.cat([niqe(images[:1]), niqe(images[1:])])
    torch.testing.assert_close(niqe(images), alone, rtol=1e-9, atol=0)


def test_rows_behind_the_last_block_do_not_count() -> None:
    image = photo("coffee", 2 * BLOCK + 50, BLOCK + 95)
    assert torch.equal(niqe(image), niqe(image[..., : 2 * BLOCK, :BLOCK]))


def test_damage_makes_it_worse() -> None:
    image = photo("coffee", 200, 200)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)) / 8
    noisy = (image + noise).clamp(0, 1)
    blurred = torch.nn.functional.avg_pool2d(image, 7, 1, 3)
    assert niqe(noisy) > niqe(image) + 2
    assert niqe(blurred) > niqe(image) + 2


def test_colour_images_are_looked_at_in_rounded_y() -> None:
    image = photo("coffee", 200, 100)
    rgb = (image[0].permute(1, 2, 0) * 255).round().long().numpy()
    luma = 16 + (rgb @ [65481, 128553, 24966] + 127500) // 255000
    assert torch.equal(niqe(image), niqe_of_luma(torch.from_numpy(luma)[None, None]))


def test_values_are_rounded_to_8_bits_first() -> None:
    image = photo("coffee", 200, 100)
    assert torch.equal(niqe(image), niqe(image + 0.4 / 255))


@pytest.mark.parametrize(("height", "width"), [(95, 400), (191, 191), (96, 191), (20, 20)])
def test_one_block_is_too_little(height: int, width: int) -> None:
    with pytest.raises(MetricError, match=f"{width}x{height} is too small for NIQE: wanted 96x192"):
        niqe(torch.rand(1, 3, height, width))


def test_a_flat_image_has_no_niqe_and_its_neighbour_keeps_its_own() -> None:
    image = photo("coffee", 200, 100)
    values = niqe(torch.cat([torch.full_like(image, 0.3), image]))
    assert math.isnan(values[0])
    assert values[1].item() == pytest.approx(niqe(image).item(), rel=1e-9)


def test_flat_areas_count_as_exactly_nothing() -> None:
    """Rounding, whose sign is the machine's own, must not get into the fits."""
    plane = torch.full((1, 1, 200, 200), 83.0, dtype=torch.float64)
    plane[..., 100:, :] = torch.rand(100, 200, generator=torch.Generator().manual_seed(0)) * 255
    coefficients = module._normalise(plane)
    assert torch.equal(coefficients[..., :97, :], torch.zeros(1, 1, 97, 200, dtype=torch.float64))
    assert (coefficients[..., 100:, :] != 0).all()


@pytest.mark.parametrize("sigma", [0.3, 1.0, 40.0])
@pytest.mark.parametrize("offset", [-0.4, 0.0, 0.2])
def test_the_fit_is_that_of_the_release(sigma: float, offset: float) -> None:
    rng = np.random.default_rng(3)
    blocks = rng.laplace(offset, 1, (4, 24, 24)) * sigma
    fitted = module._fit_aggd(torch.from_numpy(blocks))
    for index, block in enumerate(blocks):
        expected = reference_aggd(block.ravel())
        assert [part[index].item() for part in fitted] == pytest.approx(expected, rel=1e-9)


def test_a_block_with_values_on_one_side_gets_the_first_shape_and_no_width_there() -> None:
    values = torch.rand(1, 8, 8, dtype=torch.float64) + 1
    shape, left, right = module._fit_aggd(values)
    assert shape.item() == pytest.approx(0.2)
    assert math.isnan(left)
    scale = math.sqrt(gamma(1 / 0.2) / gamma(3 / 0.2))
    assert right.item() == pytest.approx(values.square().mean().sqrt().item() * scale)


def test_coefficients_are_those_of_equation_1() -> None:
    plane = np.random.default_rng(5).uniform(0, 255, (30, 40))
    at = np.arange(-3, 4)
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    local = scipy.ndimage.convolve(plane, window, mode="nearest")
    squares = scipy.ndimage.convolve(plane**2, window, mode="nearest")
    expected = (plane - local) / (np.sqrt(np.abs(squares - local**2)) + 1)
    got = module._normalise(torch.from_numpy(plane)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_halving_is_matlabs_imresize() -> None:
    """Weights of a cubic (a = -0.5) stretched to twice its width, edges mirrored."""

    def cubic(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    def matrix(size: int) -> np.ndarray:
        weights = np.zeros((size // 2, size))
        for row in range(size // 2):
            centre = 2 * row + 0.5  # of the new pixel, counted in old ones from 0
            for at in range(math.floor(centre - 4), math.ceil(centre + 4) + 1):
                mirrored = at % (2 * size)
                mirrored = min(mirrored, 2 * size - 1 - mirrored)
                weights[row, mirrored] += cubic((centre - at) / 2)
        return weights / weights.sum(1, keepdims=True)

    plane = np.random.default_rng(6).uniform(0, 255, (24, 36))
    expected = matrix(24) @ plane @ matrix(36).T
    got = module._halve(torch.from_numpy(plane)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-9)


def test_the_model_is_whole() -> None:
    mean, covariance = module._pristine()
    assert (mean.shape, covariance.shape) == ((36,), (36, 36))
    assert (mean.dtype, covariance.dtype) == (torch.float64, torch.float64)
    assert torch.equal(covariance, covariance.T)
    assert torch.linalg.eigvalsh(covariance).min() > 0
