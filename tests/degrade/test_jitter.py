"""Line jitter: how far each row has moved is measured on a soft edge."""

import math

import pytest
import torch
from pydantic import ValidationError

from redeg_cli.degrade.canvas import Canvas, stack_images
from redeg_cli.degrade.jitter import LineJitter, apply_line_jitter


def jitter(image: torch.Tensor, **fields: float) -> torch.Tensor:
    step = LineJitter.model_validate(fields)
    return apply_line_jitter(Canvas.of(image, 1), [step]).pixels


def displacements(height: int, **fields: float) -> torch.Tensor:
    """Return how far each row of a picture moved to the right, read off a ramp."""
    ramp = torch.linspace(0, 1, 161).expand(1, 3, height, 161)
    out = jitter(ramp, **fields)
    return (ramp - out)[0, 0, :, 80] * 160


def test_rows_move_by_a_normal_distribution() -> None:
    right = displacements(4000, sigma=3.0, seed=5)
    assert right.mean().item() == pytest.approx(0, abs=0.2)
    assert right.std().item() == pytest.approx(3.0, rel=0.04)
    inside = (right.abs() < 3.0).float().mean().item()
    assert inside == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.03)
    assert (right[1:] * right[:-1]).mean().item() == pytest.approx(0, abs=0.5)


def test_smooth_waves_keep_the_deviation_and_go_together() -> None:
    right = displacements(6000, sigma=2.0, smoothness=4.0, seed=5)
    assert right.std().item() == pytest.approx(2.0, rel=0.1)
    for distance in (2, 6):
        expected = 4 * math.exp(-((distance / 4) ** 2) / 4)
        products = (right[distance:] * right[:-distance]).mean().item()
        assert products == pytest.approx(expected, abs=0.5)


def test_a_row_moves_as_a_whole() -> None:
    ramp = torch.linspace(0, 1, 161).expand(1, 3, 20, 161)
    right = (ramp - jitter(ramp, sigma=2, seed=1))[..., 20:-20] * 160
    assert right.std(3).max() < 0.001
    assert right[0, 0, :, 0].std() > 1
    assert torch.equal(right[:, 0], right[:, 1])


def test_the_seed_decides() -> None:
    first, again, other = (displacements(30, sigma=1, smoothness=2, seed=s) for s in (8, 8, 9))
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.3
    torch.testing.assert_close(displacements(12, sigma=1, smoothness=2, seed=8), first[:12])


def test_no_sigma_moves_nothing() -> None:
    image = torch.rand(1, 3, 8, 9, generator=torch.Generator().manual_seed(1))
    assert torch.equal(jitter(image, sigma=0, smoothness=3, seed=1), image)


def test_each_image_as_if_alone() -> None:
    whole = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(1))
    images = [whole, whole[:, :, :21, :30], whole[:, :, :1, :1]]
    steps = [
        LineJitter(sigma=2, seed=3),
        LineJitter(sigma=1, smoothness=5, seed=4),
        LineJitter(sigma=3, smoothness=0.7, seed=5),
    ]
    together = apply_line_jitter(stack_images(images, Canvas.of(whole, 1)), steps)
    for image, step, out in zip(images, steps, together.images(), strict=True):
        alone = apply_line_jitter(Canvas.of(image, 1), [step]).pixels
        torch.testing.assert_close(out, alone, atol=1e-5, rtol=0)


def test_extremes_stay_in_range() -> None:
    image = (torch.rand(1, 3, 33, 17, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    out = jitter(image, sigma=16, smoothness=32, seed=(1 << 63) - 1)
    assert out.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("wrong", [{"sigma": 17}, {"sigma": 1, "smoothness": -1}, {"seed": -1}])
def test_other_values_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        LineJitter.model_validate({"sigma": 1, "seed": 1, **wrong})
