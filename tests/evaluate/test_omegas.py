"""What Ω knows, on Ωs that were made to know it."""

import math

import pytest
import torch

from redeg_cli.evaluate.omegas import describe_parameters, probe_content, rank_correlation


def noise(seed: int, rows: int = 60) -> torch.Tensor:
    return torch.randn((rows, 512), generator=torch.Generator().manual_seed(seed))


def test_a_leak_of_content_is_found() -> None:
    faces, naturals = noise(0), noise(1)
    leak = torch.zeros(512)
    leak[:40] = 1.0  # a direction, not a coordinate
    assert probe_content(faces + leak, naturals - leak).mean() > 0.95


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_a_leak_the_probe_is_at_chance(seed: int) -> None:
    shared = 5 * noise(seed + 10)  # the degradation, common to the two of a row
    right = probe_content(shared + noise(seed), shared + noise(seed + 20))
    assert right.shape == (120,)
    assert 0.35 < right.mean() < 0.65


def test_a_constant_omega_is_exactly_at_chance() -> None:
    same = torch.ones(30, 512)
    assert probe_content(same, same).mean() == 0.5


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="9 pairs are too few"):
        probe_content(noise(0, 9), noise(1, 9))


def records(count: int) -> list[dict]:
    widths = torch.rand(count, generator=torch.Generator().manual_seed(0)).tolist()
    return [{"steps": [{"op": "blur", "sigma": 0.5 + 3 * width}]} for width in widths]


def test_rank_correlation_of_an_omega_that_is_the_parameter() -> None:
    drawn = records(40)
    sigma = torch.tensor([record["steps"][0]["sigma"] for record in drawn])
    told = torch.zeros(40, 512)
    told[:, 7] = sigma.exp()  # ranks do not mind a curve much
    assert rank_correlation(told, told, drawn) > 0.8
    straight = torch.zeros(40, 512)
    straight[:, 7] = sigma
    assert rank_correlation(straight, straight, drawn) == pytest.approx(1, abs=1e-6)
    assert abs(rank_correlation(noise(1, 40), noise(2, 40), drawn)) < 0.15
    same = torch.ones(40, 512)
    assert math.isnan(rank_correlation(same, same, drawn))


def test_parameters_of_a_record() -> None:
    steps = [
        {"op": "blur", "sigma": 3.0},
        {"op": "blur", "sigma": 2.0, "sigma_y": 8.0, "theta": 1.0},
        {"op": "resize", "of": "hq", "factor": 0.25},
        {"op": "noise", "sigma": 7 / 255, "gray": True},
        {"op": "resize", "of": "native"},
        {"op": "jpeg", "quality": 40, "subsample": True},
    ]
    assert describe_parameters({"steps": steps}) == pytest.approx((5.0, 2.0, 3.0, 1.0, 60.0, 1.0))
    shot = {"steps": [{"op": "poisson", "photons": 0.5 * (255 / 7) ** 2, "gray": False}]}
    assert describe_parameters(shot) == pytest.approx((0, 0, 3, 0, 0, 0))
    assert describe_parameters({"steps": []}) == (0.0,) * 6
