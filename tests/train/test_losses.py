"""Losses in closed form."""

import math

import pytest
import torch

from redeg_cli.train.losses import gradient_l1, jpeg_parameters_loss, pixel_l1


def ramp(slope_x: float, slope_y: float) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(9.0), indexing="ij")
    return (slope_x * x + slope_y * y).expand(2, 3, 6, 9)


def test_pixel_and_gradient_distances() -> None:
    assert pixel_l1(ramp(0, 0) + 0.25, ramp(0, 0)).item() == pytest.approx(0.25)
    # A shift of the tone is no gradient; a ramp is its slope, in both directions.
    assert gradient_l1(ramp(0.1, 0) + 0.3, ramp(0.1, 0)).item() == pytest.approx(0, abs=1e-6)
    assert gradient_l1(ramp(0.1, -0.2), ramp(0, 0)).item() == pytest.approx(0.3)


def stage(logit: float, quality: float, chroma: float) -> list[float]:
    return [logit, quality, chroma]


def test_the_jpeg_loss_is_the_sum_of_its_parts() -> None:
    logits = torch.tensor([[stage(2.0, 0.5, 1.0), stage(-1.0, 0.9, 5.0)]])
    truth = torch.tensor([[stage(1.0, 0.3, 0.0), stage(0.0, 0.0, 0.0)]])
    gate = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    wanted = gate + 0.2 + 0.2 * math.log1p(math.exp(1))
    assert jpeg_parameters_loss(logits, truth).item() == pytest.approx(wanted, rel=1e-5)


def test_quality_and_chroma_do_not_count_without_jpeg() -> None:
    truth = torch.zeros(3, 2, 3)
    low, high = torch.zeros(3, 2, 3), torch.zeros(3, 2, 3)
    high[..., 1:] = 7.0
    assert jpeg_parameters_loss(low, truth) == jpeg_parameters_loss(high, truth)
    assert jpeg_parameters_loss(low, truth).item() == pytest.approx(math.log(2))


def test_a_sure_and_right_answer_costs_nothing() -> None:
    truth = torch.tensor([[stage(1.0, -0.4, 1.0), stage(0.0, 0.0, 0.0)]])
    logits = torch.tensor([[stage(30.0, -0.4, 30.0), stage(-30.0, 2.0, 2.0)]])
    assert jpeg_parameters_loss(logits, truth).item() == pytest.approx(0, abs=1e-6)
