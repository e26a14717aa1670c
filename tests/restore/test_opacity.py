"""Opacity and hidden colours, against closed forms."""

import pytest
import torch

from redeg_cli.restore.opacity import fill_hidden, resize_alpha


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


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
