"""Tone: known curves and mixes are found to 1 %, and nothing where there is none."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from redeg_cli.omega.peaks import View
from redeg_cli.omega.tone import KNOTS, Tone, fit_tone

IDENTITY = tuple((i - 0.5) / KNOTS for i in range(KNOTS + 2))
NO_MIX = ((0.0,) * 3,) * 3
MATRIX = torch.tensor([[0.8, 0.15, 0.05], [0.05, 0.85, 0.05], [0.1, 0.1, 0.7]])


def colours(seed: int = 0, size: int = 192) -> Tensor:
    """A picture (1, 3, S, S) of all tones, smooth, with some texture."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 3, 6, 6), generator=generator)
    smooth = F.interpolate(coarse, (size, size), mode="bicubic", align_corners=False)
    return (smooth + 0.02 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def fade(x: Tensor) -> Tensor:
    return 0.12 + 0.75 * x**1.4


def mix(x: Tensor) -> Tensor:
    return torch.einsum("dc,bchw->bdhw", MATRIX, x) + 0.04


def cast(x: Tensor) -> Tensor:
    return torch.stack([0.1 + 0.8 * x[:, 0] ** 0.8, x[:, 1] ** 1.2, 0.05 + 0.7 * x[:, 2]], 1)


@pytest.mark.parametrize("change", [fade, mix, cast])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_known_tones_are_found(change: Callable[[Tensor], Tensor], noise: float) -> None:
    hq = colours()
    generator = torch.Generator().manual_seed(5)
    lq = change(hq) + noise * torch.randn(hq.shape, generator=generator)
    tone = fit_tone([View(hq, lq)])
    assert tone is not None
    other = colours(3)
    error = (tone.apply(other) - change(other)).abs()
    assert float(error.mean()) < 0.005
    assert float(error.flatten().quantile(0.95)) < 0.01


def test_regions_add_up() -> None:
    dark, light = 0.5 * colours(1), 0.5 + 0.5 * colours(2)
    tone = fit_tone([View(part, fade(part)) for part in (dark, light)])
    assert tone is not None
    gray = torch.linspace(0.05, 0.95, 50).expand(1, 3, 1, 50)
    assert float((tone.apply(gray) - fade(gray)).abs().max()) < 0.01


def test_nothing_is_found_where_there_is_nothing() -> None:
    hq = colours()
    generator = torch.Generator().manual_seed(1)
    grain = 0.05 * torch.randn(hq.shape, generator=generator)
    blurred = F.avg_pool2d(F.pad(hq, (2,) * 4, mode="reflect"), 5, 1)
    stripes = 0.1 * torch.sin(torch.arange(192) * 0.9)
    for lq in (hq, hq + grain, blurred, hq + stripes):
        assert fit_tone([View(hq, lq)]) is None
    # Too little to tell.
    small = hq[..., :40, :40]
    assert fit_tone([View(small, fade(small))]) is None


def test_curves_never_fall_whatever_they_are_fitted_on() -> None:
    hq = colours()
    tone = fit_tone([View(hq, 0.9 - 0.3 * hq)])
    assert tone is not None
    assert all(np.diff(curve).min() >= -1e-12 for curve in tone.curves)


def test_a_few_wrong_cells_do_not_decide() -> None:
    hq = colours()
    lq = fade(hq)
    lq[..., :40, :40] = 1.0  # a twelfth; the HQ misses a reflection
    tone = fit_tone([View(hq, lq)])
    assert tone is not None
    assert float((tone.apply(hq) - fade(hq)).abs().mean()) < 0.005


def test_the_identity_and_a_matrix_are_exact() -> None:
    image = torch.rand((2, 3, 9, 7), generator=torch.Generator().manual_seed(0))
    same = Tone((IDENTITY, IDENTITY, IDENTITY), NO_MIX).apply(image)
    assert torch.allclose(same, image, atol=1e-6)
    sums = MATRIX.sum(1)
    curves = tuple(tuple(float(s) * v + 0.04 for v in IDENTITY) for s in sums)
    off = MATRIX - torch.diag(torch.diag(MATRIX))
    tone = Tone(curves, tuple(map(tuple, off.tolist())))  # pyright: ignore[reportArgumentType]
    assert torch.allclose(tone.apply(image), mix(image).clamp(0, 1), atol=1e-6)


def test_undo_is_the_inverse() -> None:
    curve = tuple(0.1 + 0.7 * max(v, 0.0) ** 1.3 for v in IDENTITY)
    tone = Tone((curve, curve, curve), ((0.0, 0.1, 0.05), (0.1, 0.0, 0.0), (0.0, 0.2, 0.0)))
    wanted = np.random.default_rng(0).uniform(0.1, 1, (20, 3)).astype(np.float32)
    seen = tone.apply(torch.from_numpy(wanted).T[None, :, :, None])[0, :, :, 0].T.numpy()
    assert np.abs(tone.undo(seen) - wanted).max() < 1e-3
