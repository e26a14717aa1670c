"""Low-frequency colour, gray, opacity and hidden colours, against closed forms."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from redeg_cli.degrade.tone import to_gray
from redeg_cli.restore.colour import fill_hidden, match_colour, resize_alpha


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_constant_drift_is_taken_back_and_detail_is_kept(scale: int) -> None:
    reference = 0.3 + 0.4 * noise(1, 3, 64, 80)
    detail = F.interpolate(reference, scale_factor=scale, mode="nearest")
    drift = torch.tensor([0.1, -0.05, 0.08]).view(1, 3, 1, 1)
    torch.testing.assert_close(match_colour(detail + drift, reference), detail, rtol=0, atol=1e-5)


def test_detail_finer_than_a_cell_is_the_restorers() -> None:
    reference = torch.full((1, 3, 64, 64), 0.5)
    stripes = reference.clone()
    stripes[..., ::2] += 0.1
    stripes[..., 1::2] -= 0.1
    torch.testing.assert_close(match_colour(stripes, reference), stripes, rtol=0, atol=1e-5)


def test_a_slow_drift_is_taken_back_for_the_most_part() -> None:
    reference = torch.full((1, 3, 128, 128), 0.5)
    drift = 0.2 * torch.linspace(-1, 1, 128).expand(1, 3, 128, 128)
    left = (match_colour(reference + drift, reference) - reference).abs()
    assert left[..., 16:-16].max() < 0.01
    # Within half a cell (8 pixels) of the border the nearest cell's mean is all there is.
    assert left.max() < 8 * 0.4 / 127


def test_the_match_stays_in_range_and_takes_any_size() -> None:
    out = match_colour(torch.ones(2, 3, 2, 2), torch.ones(2, 3, 1, 1))
    assert out.shape == (2, 3, 2, 2)
    out = match_colour(noise(1, 3, 33, 50), torch.ones(1, 3, 11, 17))
    assert out.max() <= 1
    with pytest.raises(ValueError, match="go together"):
        match_colour(torch.ones(1, 3, 4, 4), torch.ones(2, 3, 4, 4))


def test_gray_is_pillows_luma() -> None:
    rgb = noise(1, 3, 20, 20)
    eight = (rgb[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    expected = np.asarray(Image.fromarray(eight).convert("L"), dtype=np.float32) / 255
    gray = to_gray(torch.from_numpy(eight.astype(np.float32) / 255).permute(2, 0, 1)[None])
    assert torch.equal(gray[:, 0], gray[:, 1])
    assert torch.equal(gray[:, 0], gray[:, 2])
    assert np.abs(gray[0, 0].numpy() - expected).max() < 1 / 255


def test_opacity_is_resized_and_stays_in_range() -> None:
    alpha = torch.zeros(1, 1, 8, 8)
    alpha[..., 4:] = 1
    large = resize_alpha(alpha, 4)
    assert large.shape == (1, 1, 32, 32)
    assert large.min() == 0
    assert large.max() == 1
    assert torch.equal(large[..., :8], torch.zeros(1, 1, 32, 8))
    assert torch.equal(resize_alpha(alpha, 1), alpha)


@pytest.mark.parametrize("size", [(1, 2), (1, 37), (64, 64), (50, 3), (33, 47)])
def test_hidden_colours_come_from_visible_ones(size: tuple[int, int]) -> None:
    rgb = torch.zeros(1, 3, *size)
    alpha = torch.zeros(1, 1, *size)
    colour = torch.tensor([0.9, 0.2, 0.1]).view(1, 3, 1)
    rgb[..., 0] = colour
    alpha[..., 0] = 0.5
    expected = colour[..., None].expand(1, 3, *size)
    torch.testing.assert_close(fill_hidden(rgb, alpha), expected)


def test_visible_pixels_and_pictures_without_any_are_left_alone() -> None:
    rgb = noise(1, 3, 16, 16)
    alpha = (noise(1, 1, 16, 16) > 0.5).float()
    filled = fill_hidden(rgb, alpha)
    visible = alpha.expand_as(rgb) > 0
    assert torch.equal(filled[visible], rgb[visible])
    assert not torch.equal(filled, rgb)
    assert torch.equal(fill_hidden(rgb, torch.zeros_like(alpha)), rgb)
    assert torch.equal(fill_hidden(rgb, torch.ones_like(alpha)), rgb)
