"""The block DCT against SciPy."""

import numpy as np
import pytest
import scipy.fft
import torch

from redeg_cli.nets.dct import block_dct, inverse_block_dct


def planes(height: int = 24, width: int = 40) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((2, 3, height, width), generator=generator, dtype=torch.float64) * 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_dct_of_scipy(dtype: torch.dtype) -> None:
    x = planes().to(dtype)
    made = block_dct(x)
    assert made.shape == (2, 3, 3, 5, 8, 8)
    assert made.dtype == dtype
    for row, column in ((0, 0), (2, 1), (1, 4)):
        block = x[:, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].double().numpy()
        wanted = scipy.fft.dctn(block, axes=(2, 3), norm="ortho")
        np.testing.assert_allclose(made[:, :, row, column].numpy(), wanted, atol=1e-3)


def test_the_inverse_brings_every_plane_back() -> None:
    x = planes().float()
    torch.testing.assert_close(inverse_block_dct(block_dct(x)), x, atol=1e-3, rtol=0)


def test_energy_is_kept_and_a_flat_plane_has_only_its_mean() -> None:
    x = planes()
    # The matrix has float32 precision.
    torch.testing.assert_close(block_dct(x).square().sum(), x.square().sum(), rtol=1e-6, atol=0)
    flat = block_dct(torch.full((1, 1, 8, 8), 3.0))[0, 0, 0, 0]
    assert flat[0, 0].item() == pytest.approx(24)
    assert flat.flatten()[1:].abs().max() < 1e-5
