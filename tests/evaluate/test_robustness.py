"""Robustness: networks that fail in a known way are caught, a sound one passes."""

import math
from typing import Any

import pytest
import torch
from degraded import REDEGNET
from torch import Tensor, nn

from redeg_cli.evaluate import robustness
from redeg_cli.evaluate.robustness import checkerboard, extreme_omegas, try_robustness
from redeg_cli.nets.lite import ReDegNetLite

CPU = torch.device("cpu")
OMEGAS = torch.randn((3, 512), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "SIZES", ((8, 8), (17, 31), (40, 40)))
    monkeypatch.setattr(robustness, "_SIDE", 32)


class Made(nn.Module):
    """Answers with what a function makes of the HQ and Ω."""

    multiple = 1

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make

    def synthesise(self, hq: Tensor, omega: Tensor, **options: Any) -> Tensor:
        del options
        return self.make(hq, omega)


def test_a_sound_network_passes() -> None:
    torch.manual_seed(0)
    found = try_robustness(ReDegNetLite(**REDEGNET).eval(), OMEGAS, 1, CPU)
    assert found.failures == ()
    # 7 Ωs: two sizes and three constants each, the large one for two of them.
    assert found.tried == 7 * 5 + 2
    assert found.checkerboard < 6


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_other_scales(scale: int) -> None:
    torch.manual_seed(0)
    found = try_robustness(ReDegNetLite(**REDEGNET).eval(), OMEGAS[:2], scale, CPU)
    assert found.failures == ()


def refuse_small(hq: Tensor, omega: Tensor) -> Tensor:
    del omega
    if min(hq.shape[2:]) < 16:
        raise RuntimeError("too\nsmall")
    return hq


@pytest.mark.parametrize(
    ("make", "count", "message"),
    [
        (refuse_small, 7, "8x8, Ω 0: RuntimeError: too small"),
        (lambda hq, omega: hq / omega.abs().sum(), 5, "8x8, zero: NaN or infinity"),
        (lambda hq, _: hq * 1.5, 7 * 2 + 2 + 7, "8x8, Ω 0: values from 0 to 1.5"),
    ],
)
def test_faults_are_named(make: Any, count: int, message: str) -> None:
    found = try_robustness(Made(make), OMEGAS, 1, CPU)
    assert found.failures[0] == message if "zero" not in message else message in found.failures
    assert len(found.failures) == count


@pytest.mark.parametrize("period", [2, 4])
def test_a_checkerboard_is_seen(period: int) -> None:
    x = torch.arange(32)
    wave = torch.cos(2 * math.pi / period * x) * torch.cos(2 * math.pi / period * x)[:, None]
    found = try_robustness(Made(lambda hq, _: 0.5 * hq + 0.2 + wave_of(wave, hq)), OMEGAS, 1, CPU)
    assert found.checkerboard > 20


def wave_of(wave: Tensor, hq: Tensor) -> Tensor:
    return 0.01 * wave[: hq.shape[2], : hq.shape[3]] if hq.shape[2] == 32 else 0 * hq


def test_noise_and_flat_pictures_have_no_checkerboard() -> None:
    noise = torch.randn((24, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    assert checkerboard(0.1 * noise) < 3
    assert checkerboard(torch.full((4, 3, 32, 32), 0.3)) == pytest.approx(0, abs=1e-6)
    # Another period than a network's grid has is texture.
    texture = torch.cos(2 * math.pi / 5 * torch.arange(60.0)).expand(1, 3, 60, 60)
    assert checkerboard(texture) < 3


def test_extreme_omegas() -> None:
    found = extreme_omegas(OMEGAS)
    torch.testing.assert_close(found["the mean of two Ωs"], OMEGAS[:2].mean(0))
    torch.testing.assert_close(found["2 Ω"], 2 * OMEGAS[0])
    assert found["zero"].abs().sum() == 0
