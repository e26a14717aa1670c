"""Tape noise and dropouts against what their fields promise, on flat gray."""

import math

import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.tape import Dropouts, TapeNoise, apply_dropouts, apply_tape_noise
from redeg_cli.degrade.tone import to_luma


def gray(height: int = 200, width: int = 200, level: float = 0.5) -> torch.Tensor:
    return torch.full((1, 3, height, width), level)


def noised(image: torch.Tensor, **fields: float) -> torch.Tensor:
    step = TapeNoise.model_validate({"seed": 5, **fields})
    return apply_tape_noise(Canvas.of(image, 1), [step]).pixels


def dropped(image: torch.Tensor, **fields: float) -> torch.Tensor:
    step = Dropouts.model_validate({"seed": 5, **fields})
    return apply_dropouts(Canvas.of(image, 1), [step]).pixels


def test_luma_noise_is_gray() -> None:
    out = noised(gray(), luma=0.05, chroma=0, luma_sigma=0)
    assert (out - to_luma(out)).abs().max() < 1e-6
    assert out[:, 0].std().item() == pytest.approx(0.05, rel=0.02)


def test_chroma_noise_leaves_the_luma() -> None:
    out = noised(gray(), luma=0, chroma=0.05, chroma_sigma=3)
    assert (to_luma(out) - 0.5).abs().max() < 1e-6
    for channel in (0, 2):
        assert (out[:, channel] - 0.5).std().item() == pytest.approx(0.05, rel=0.04)
    both = ((out[:, 0] - 0.5) * (out[:, 2] - 0.5)).mean() / 0.05**2
    assert abs(both.item()) < 0.05


@pytest.mark.parametrize("sigma", [0.5, 4.0])
def test_noise_is_correlated_along_the_rows_alone(sigma: float) -> None:
    plane = noised(gray(), luma=0, chroma=0.05, chroma_sigma=sigma)[0, 0] - 0.5
    across = (plane[1:] * plane[:-1]).mean() / 0.05**2
    along = (plane[:, 2:] * plane[:, :-2]).mean() / 0.05**2
    assert abs(across.item()) < 0.06
    assert along.item() == pytest.approx(math.exp(-1 / sigma**2), abs=0.06)


def test_the_seed_decides_and_not_the_picture() -> None:
    first = noised(gray(30, 40), luma=0.05, chroma=0.02) - 0.5
    again = noised(gray(30, 40, 0.4), luma=0.05, chroma=0.02) - 0.4
    torch.testing.assert_close(first, again, atol=1e-6, rtol=0)
    other = noised(gray(30, 40), luma=0.05, chroma=0.02, seed=6) - 0.5
    assert (first - other).std() > 0.05


def test_a_share_of_the_rows_drops_out() -> None:
    hit = (dropped(gray(2000, 60), rows=0.2, length=30) > 0.5001).any(3)[0, 0]
    assert hit.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert torch.equal(dropped(gray(), rows=0, length=30), gray())


def test_a_dropout_begins_white_and_fades_exponentially() -> None:
    out = dropped(gray(400, 400), rows=0.5, length=20)[0, 0]
    cover = (out - 0.5) / 0.5
    rows = cover.any(1).nonzero()[:, 0]
    starts = (cover > 0).float().argmax(1)
    seen = 0
    for row in rows.tolist():
        start = int(starts[row])
        tail = cover[row, start : start + 9]
        assert tail.diff().le(0).all()
        if len(tail) == 9 and tail[8] > 0.05:
            ratios = tail[1:] / tail[:-1]
            assert ratios.std() < 0.01 * ratios.mean()
            assert tail[0] >= ratios.mean() - 0.01  # less than one pixel behind the beginning
            seen += 1
    assert seen > 50


def test_dropouts_begin_anywhere_and_are_as_long_as_asked() -> None:
    cover = dropped(gray(4000, 100, 0.0), rows=1, length=10)[0, 0]
    starts = (cover > 0).float().argmax(1).float()
    assert starts.mean().item() == pytest.approx(50, abs=2)
    early = cover[starts < 20]
    # The area under exp(-x / length), a little cut by the picture's edge.
    assert early.sum(1).mean().item() == pytest.approx(10, rel=0.1)


def test_each_image_as_if_alone() -> None:
    whole = torch.rand(1, 3, 40, 51, generator=torch.Generator().manual_seed(1))
    images = [whole, whole[:, :, :21, :30], whole[:, :, :1, :1]]
    noises = [
        TapeNoise(luma=0.1, chroma=0.1, seed=1),
        TapeNoise(luma=0.1, chroma=0.2, luma_sigma=3, chroma_sigma=0, seed=2),
        TapeNoise(luma=0, chroma=0.1, chroma_sigma=32, seed=3),
    ]
    drops = [Dropouts(rows=0.5, length=9.0 * i + 1, seed=i) for i in range(3)]
    for apply, steps in ((apply_tape_noise, noises), (apply_dropouts, drops)):
        together = apply(stack_images(images, Canvas.of(whole, 1)), steps)
        for image, step, out in zip(images, steps, together.images(), strict=True):
            alone = apply(Canvas.of(image, 1), [step]).pixels
            torch.testing.assert_close(out, alone, atol=1e-6, rtol=0)


def test_extremes_stay_in_range() -> None:
    image = (torch.rand(1, 3, 33, 17, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    for out in (
        noised(image, luma=0.5, chroma=0.5, luma_sigma=4, chroma_sigma=32),
        dropped(image, rows=1, length=512),
        dropped(image, rows=1, length=1e-6),
    ):
        assert out.isfinite().all()
        assert out.min() >= 0
        assert out.max() <= 1


@pytest.mark.parametrize("wrong", [{"luma": -0.1}, {"chroma": 0.6}, {"chroma_sigma": 33}])
def test_other_noise_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        TapeNoise.model_validate({"luma": 0.1, "chroma": 0.1, "seed": 1, **wrong})


@pytest.mark.parametrize("wrong", [{"rows": 1.1}, {"length": 0}, {"colour": 1}])
def test_other_dropouts_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Dropouts.model_validate({"rows": 0.1, "length": 9, "seed": 1, **wrong})
