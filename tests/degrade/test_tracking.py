"""Tracking errors: where the band lies, how far its rows go, how much snow lies on it."""

import math

import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.tracking import Tracking, apply_tracking


def track(image: torch.Tensor, **fields: float) -> torch.Tensor:
    default = {"centre": 0.5, "height": 0.4, "shift": 0, "snow": 0, "seed": 5}
    step = Tracking.model_validate({**default, **fields})
    return apply_tracking(Canvas.of(image, 1), [step]).pixels


def displacements(rows: int, **fields: float) -> torch.Tensor:
    ramp = torch.linspace(0, 1, 401).expand(1, 3, rows, 401)
    return (ramp - track(ramp, **fields))[0, 0, :, 200] * 400


def test_rows_are_torn_by_a_raised_cosine() -> None:
    """On average over seeds: single rows differ by a fifth."""
    right = torch.stack([displacements(100, shift=20, seed=seed) for seed in range(200)])
    rows = (torch.arange(100) + 0.5) / 100
    profile = (1 + torch.cos(math.pi * ((rows - 0.5) / 0.2).clamp(-1, 1))) / 2
    assert (right.mean(0) - 20 * profile).abs().max() < 1.2  # 4 standard errors
    assert (right.std(0) - 4 * profile).abs().max() < 1
    assert (right[:, profile == 0] == 0).all()


def test_head_switching_is_at_the_bottom() -> None:
    right = displacements(100, centre=1, height=0.1, shift=-30)
    assert (right[:95] == 0).all()
    assert right[95:].abs().min() > 0
    assert right[98:].mean() < -15


@pytest.mark.parametrize("snow", [0.1, 0.5])
def test_a_share_of_the_pixels_is_snow(snow: float) -> None:
    black = torch.zeros(1, 3, 300, 300)
    out = track(black, snow=snow, height=1)[0, 0]
    assert (out[140:160] > 0).float().mean().item() == pytest.approx(snow, abs=0.04)
    assert (out[140:160] == 1).float().mean().item() == pytest.approx(snow / 2, abs=0.03)
    quarter = (out[65:85] > 0).float().mean().item()  # half way up the cosine
    assert quarter == pytest.approx(snow / 2, abs=0.04)
    assert torch.equal(track(black, snow=snow, height=0.2)[:, :, :119], black[:, :, :119])


def test_beyond_the_band_there_is_no_flake_however_rare() -> None:
    black = torch.zeros(1, 3, 512, 512)
    assert track(black, height=0.1, snow=0, seed=0).max() == 0
    assert track(black, height=0.1, snow=0.2, seed=0)[:, :, 300:].max() == 0


def test_flakes_are_wider_than_high() -> None:
    out = track(torch.zeros(1, 3, 300, 300), snow=0.3, height=1)[0, 0, 100:200]
    white = out - out.mean()
    power = white.square().mean()
    along = (white[:, 3:] * white[:, :-3]).mean() / power
    across = (white[1:] * white[:-1]).mean() / power
    assert along > 0.4
    assert abs(across) < 0.06


def test_the_seed_decides() -> None:
    image = torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(1))
    fields = {"shift": 5, "snow": 0.3}
    first = track(image, **fields)
    assert torch.equal(first, track(image, **fields))
    assert (first - track(image, **fields, seed=6)).abs().mean() > 0.02


def test_each_image_as_if_alone() -> None:
    whole = torch.rand(1, 3, 40, 51, generator=torch.Generator().manual_seed(1))
    images = [whole, whole[:, :, :21, :30], whole[:, :, :1, :1]]
    steps = [
        Tracking(centre=c, height=0.5, shift=9, snow=0.4, seed=int(9 * c)) for c in (0.2, 0.5, 1)
    ]
    together = apply_tracking(stack_images(images, Canvas.of(whole, 1)), steps)
    for image, step, out in zip(images, steps, together.images(), strict=True):
        alone = apply_tracking(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(out, alone, atol=1e-5, rtol=0)


def test_extremes_stay_in_range() -> None:
    image = (torch.rand(1, 3, 33, 17, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    for height in (1e-6, 1):
        out = track(image, height=height, shift=64, snow=1)
        assert out.isfinite().all()
        assert out.min() >= 0
        assert out.max() <= 1


@pytest.mark.parametrize("wrong", [{"centre": 1.1}, {"height": 0}, {"shift": 65}, {"snow": -1}])
def test_other_values_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        track(torch.zeros(1, 3, 2, 2), **wrong)
