"""Ω carries the degradation, not the face: a small version of `redeg evaluate transfer`.

With Ω from a face's pair, the embedded SynNet degrades another image. Its LQ must be nearer to the
true LQ (same record) than the HQ is, and nearer than with another degradation's Ω.
"""

import numpy as np
import pytest
import skimage.data
import torch

from redeg_cli.degrade.resize import to_aligned
from redeg_cli.degrade.steps import StepTable, run_steps
from redeg_cli.degrade.tone import to_luma
from redeg_cli.models import load_redegnet
from redeg_cli.omega.extract import AlignedPair, extract_omega
from redeg_cli.omega.learned import OmegaDegrader
from redeg_cli.omega.pool import Pool

NATIVE: StepTable = {"op": "resize", "of": "native", "filter": "bicubic", "antialias": True}


def blur(sigma: float) -> StepTable:
    return {"op": "blur", "sigma": sigma}


def noise(sigma: float, seed: int) -> StepTable:
    return {"op": "noise", "sigma": sigma, "seed": seed}


def shrink(times: float) -> StepTable:
    return {"op": "resize", "factor": 1 / times, "filter": "bicubic", "antialias": True}


def compress(quality: float) -> StepTable:
    return {"op": "jpeg", "quality": quality}


CHAINS: dict[str, list[StepTable]] = {
    "blur": [blur(2.0), NATIVE],
    "resampling": [shrink(3.0), NATIVE],
    "noise": [noise(0.06, 1), NATIVE],
    "jpeg": [NATIVE, compress(30)],
    "mixed": [blur(1.2), shrink(1.8), noise(0.02, 1), NATIVE, compress(60)],
}
GAINS = {"blur": 3.0, "resampling": 2.0, "jpeg": 0.0, "mixed": 1.0}
"""dB over the HQ itself."""


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    loaded = load_redegnet("redegnet-lite")
    assert isinstance(loaded, torch.nn.Module)
    return loaded


def image(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def face() -> torch.Tensor:
    return image(skimage.data.astronaut()[0:256, 100:356])


@pytest.fixture(scope="module")
def naturals() -> list[torch.Tensor]:
    return [
        image(skimage.data.coffee()[100:292, 200:392]),
        image(skimage.data.chelsea()[50:242, 100:292]),
        image(skimage.data.rocket()[200:392, 200:392]),
    ]


def degraded(
    hq: torch.Tensor, chain: list[StepTable], other_grain: bool, scale: int = 1
) -> torch.Tensor:
    """Return the native LQ."""
    steps = [
        {**step, "seed": step["seed"] + 100} if other_grain and "seed" in step else step
        for step in chain
    ]
    return (run_steps(hq, steps, scale) * 255).round() / 255


def synthesised(
    net: torch.nn.Module,
    face: torch.Tensor,
    chain: list[StepTable],
    hq: torch.Tensor,
    scale: int = 1,
) -> torch.Tensor:
    """Return the native LQ of ``hq`` by the Ω of the face."""
    lq = to_aligned(degraded(face, chain, False, scale), scale)
    pair = AlignedPair(face, lq, scale)
    omega = extract_omega(net, pair, torch.device("cpu"))  # pyright: ignore[reportArgumentType]
    pool = Pool(omega.numpy(), ("face",), np.array([scale]), "redegnet-lite", "0" * 12)
    degrader = OmegaDegrader(net, pool, scale)
    return degrader.apply(hq, [degrader.draw(0)])


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * (a - b).square().mean().log10())


def detail(x: torch.Tensor) -> float:
    luma = to_luma(x)[0, 0]
    centre, around = luma[1:-1, 1:-1], luma[:-2, 1:-1] + luma[2:, 1:-1]
    return float((4 * centre - around - luma[1:-1, :-2] - luma[1:-1, 2:]).std())


@pytest.mark.parametrize("family", GAINS)
def test_transfer_to_other_content(
    net: torch.nn.Module, face: torch.Tensor, naturals: list[torch.Tensor], family: str
) -> None:
    gains = []
    for hq in naturals:
        truth = degraded(hq, CHAINS[family], True)
        made = synthesised(net, face, CHAINS[family], hq)
        gains.append(psnr(made, truth) - psnr(hq, truth))
    assert np.mean(gains) >= GAINS[family], gains


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_grain_has_the_energy_of_the_noise(
    net: torch.nn.Module, face: torch.Tensor, naturals: list[torch.Tensor], scale: int
) -> None:
    """On the native grid: where it was added, and where a restorer sees it."""
    chain = [NATIVE, noise(0.06, 1)]
    ratios = []
    for hq in naturals:
        truth = degraded(hq, chain, True, scale)
        ratios.append(detail(synthesised(net, face, chain, hq, scale)) / detail(truth))
    assert 0.75 <= np.mean(ratios) <= 1.25, ratios


@pytest.mark.parametrize(("right", "wrong"), [("blur", "jpeg"), ("resampling", "noise")])
def test_another_omega_is_further_away(
    net: torch.nn.Module,
    face: torch.Tensor,
    naturals: list[torch.Tensor],
    right: str,
    wrong: str,
) -> None:
    for hq in naturals:
        truth = degraded(hq, CHAINS[right], True)
        good = psnr(synthesised(net, face, CHAINS[right], hq), truth)
        assert good > psnr(synthesised(net, face, CHAINS[wrong], hq), truth) + 1
