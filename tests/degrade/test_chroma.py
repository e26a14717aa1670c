"""Chroma bleed against closed forms on an edge of colour, and OpenCV and SciPy on photographs."""

import math

import numpy as np
import pytest
import skimage.data
import torch
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.chroma import ChromaBleed, apply_chroma_bleed
from redeg_cli.degrade.tone import to_luma

WHERE = 32
"""The first column to the right of the edge."""


def bleed(image: torch.Tensor, **fields: float) -> torch.Tensor:
    step = ChromaBleed.model_validate(fields)
    return apply_chroma_bleed(Canvas.of(image, 1), [step]).pixels


def coloured(luma: torch.Tensor, red: torch.Tensor, blue: torch.Tensor) -> torch.Tensor:
    """Return RGB with the given BT.601 luma, R - Y and B - Y, each (H, W)."""
    green = -(0.299 * red + 0.114 * blue) / 0.587
    return torch.stack([luma + red, luma + green, luma + blue])[None]


def edge(height: int = 64) -> torch.Tensor:
    """A colour edge (of 0.3 in R - Y, -0.2 in B - Y) on a luma of stripes, all inside [0, 1]."""
    right = (torch.arange(64) >= WHERE).float().expand(height, 64)
    stripes = 0.5 + 0.1 * (torch.arange(64) % 3).float().expand(height, 64)
    return coloured(stripes, 0.3 * right, -0.2 * right)


def photo(size: int = 64) -> torch.Tensor:
    """A photograph in weak colours: no bled colour leaves [0, 1]."""
    rgb = skimage.data.astronaut()[60 : 60 + size, 180 : 180 + size]
    return 0.3 + 0.4 * torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize(("sigma", "shift", "lines"), [(4, 2.5, 1), (0, -7, 0), (9.5, 0, 8)])
def test_the_luma_stays(sigma: float, shift: float, lines: int) -> None:
    for image in (edge(), photo()):
        out = bleed(image, sigma=sigma, shift=shift, lines=lines)
        assert (out - image).abs().max() > 0.02
        assert (to_luma(out) - to_luma(image)).abs().max() < 1e-5


@pytest.mark.parametrize("sigma", [0.7, 2.0, 5.0])
@pytest.mark.parametrize("shift", [0.0, 3.0, -2.5])
def test_an_edge_becomes_the_error_function_shifted(sigma: float, shift: float) -> None:
    out = bleed(edge(), sigma=sigma, shift=shift)
    behind = np.arange(64) - (WHERE - 0.5) - shift
    expected = 0.5 + 0.5 * erf(behind / (sigma * math.sqrt(2)))
    for channel, height in ((0, 0.3), (2, -0.2)):
        difference = (out[0, channel] - to_luma(out)[0, 0]).numpy() / height
        # The kernels are cut at 3.5 sigma.
        assert np.abs(difference - expected).max() < 1e-3


def test_without_blur_the_colour_is_moved_as_it_is() -> None:
    image = photo()
    out = bleed(image, sigma=0, shift=5)
    chroma, before = out - to_luma(out), image - to_luma(image)
    torch.testing.assert_close(chroma[..., 5:], before[..., :-5], atol=1e-5, rtol=0)
    torch.testing.assert_close(chroma[..., :5], before[..., :1].expand(-1, -1, -1, 5))


def test_the_blur_is_scipys() -> None:
    image = photo()
    out = bleed(image, sigma=3)
    before = (image - to_luma(image)).numpy()
    expected = gaussian_filter1d(before, 3.0, axis=3, mode="nearest")
    # SciPy samples the Gaussian where ours is integrated over pixels: 1/12 more variance.
    assert np.abs((out - to_luma(out)).numpy() - expected).max() < 0.001
    assert np.abs(before - expected).max() > 0.03


def test_lines_average_the_chroma_of_the_rows_above() -> None:
    image = photo()
    out = bleed(image, sigma=0, lines=2)
    before = image - to_luma(image)
    expected = (before[:, :, 2:] + before[:, :, 1:-1] + before[:, :, :-2]) / 3
    torch.testing.assert_close((out - to_luma(out))[:, :, 2:], expected, atol=1e-5, rtol=0)
    first, second = before[:, :, 0], before[:, :, 1]  # the first row goes on above the picture
    torch.testing.assert_close((out - to_luma(out))[:, :, 0], first, atol=1e-5, rtol=0)
    expected = (2 * first + second) / 3
    torch.testing.assert_close((out - to_luma(out))[:, :, 1], expected, atol=1e-5, rtol=0)


def test_nothing_to_do_changes_nothing() -> None:
    image = photo()
    torch.testing.assert_close(bleed(image, sigma=0), image, atol=1e-6, rtol=0)


def test_gray_stays_gray() -> None:
    gray = to_luma(photo()).expand(-1, 3, -1, -1)
    torch.testing.assert_close(bleed(gray, sigma=5, shift=4, lines=3), gray, atol=1e-6, rtol=0)


def test_each_image_as_if_alone() -> None:
    whole = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(1))
    images = [whole, whole[:, :, :21, :30], whole[:, :, 3:, :7], whole[:, :, :1, :1]]
    steps = [
        ChromaBleed(sigma=2.0, shift=3.5),
        ChromaBleed(sigma=9.0, shift=-4, lines=3),
        ChromaBleed(sigma=0, shift=12, lines=1),
        ChromaBleed(sigma=4),
    ]
    together = apply_chroma_bleed(stack_images(images, Canvas.of(whole, 1)), steps)
    for image, step, out in zip(images, steps, together.images(), strict=True):
        alone = apply_chroma_bleed(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(out, alone, atol=1e-6, rtol=0)


def test_extremes_stay_in_range() -> None:
    image = (torch.rand(2, 3, 17, 33, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    steps = [ChromaBleed(sigma=32, shift=32, lines=8), ChromaBleed(sigma=0, shift=-32)]
    out = apply_chroma_bleed(Canvas.of(image, 1), steps).pixels
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("wrong", [{"sigma": -1}, {"sigma": 1, "shift": 33}, {"lines": 1}])
def test_other_values_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ChromaBleed.model_validate(wrong)
