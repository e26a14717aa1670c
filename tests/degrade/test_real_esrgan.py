"""Real-ESRGAN as drawn against the published options' numbers, written out here."""

import math
from typing import Any

import numpy as np
import pytest
from laws import Steps, alike, drawn, happens, not_antialiased, uniform

TORCH = ["pool", "bilinear", "bicubic"]
"""PyTorch's area, bilinear and bicubic."""


def real_esrgan_parts(steps: Steps) -> dict[str, Any]:
    """The steps of one chain by what they are in realesrgan_model.py."""
    rest = list(steps)
    found: dict[str, Any] = {"sharpen": rest.pop(0)}
    for stage in (1, 2):
        blurred = stage == 1 or rest[0]["op"] == "blur"
        found[f"blur {stage}"] = rest.pop(0) if blurred else None
        # "Keep" is no step in the first stage, but one to the native size in the second.
        resized = stage == 2 or rest[0]["op"] == "resize"
        found[f"resize {stage}"] = rest.pop(0) if resized else None
        found[f"noise {stage}"] = rest.pop(0)
        if stage == 1:
            found["jpeg 1"] = rest.pop(0)
    found["jpeg first"] = rest[0]["op"] == "jpeg"
    found["jpeg 2"] = rest.pop(0 if found["jpeg first"] else -1)
    found["fit"] = rest.pop(0)
    found["sinc"] = rest.pop(0) if rest else None
    assert not rest
    assert found["resize 2"]["op"] == found["fit"]["op"] == "resize"
    assert found["jpeg 1"]["op"] == found["jpeg 2"]["op"] == "jpeg"
    assert found["sharpen"] == {"op": "sharpen"}  # weight 0.5, radius 51, threshold 10
    return found


@pytest.fixture(scope="module")
def real_esrgan() -> list[dict[str, Any]]:
    return [real_esrgan_parts(steps) for steps in drawn("real-esrgan", 4, 6000)]


@pytest.mark.parametrize(("stage", "sigma"), [(1, 3.0), (2, 1.5)])
def test_kernels_of_real_esrgan(
    real_esrgan: list[dict[str, Any]], stage: int, sigma: float
) -> None:
    blurs = [chain[f"blur {stage}"] for chain in real_esrgan]
    if stage == 2:
        assert happens([blur is not None for blur in blurs], 0.8)
    blurs = [blur for blur in blurs if blur]
    kinds = [
        blur.get("family", "gaussian") + (" turned" if "sigma_y" in blur else "") for blur in blurs
    ]
    shares = {
        "gaussian": 0.45,
        "gaussian turned": 0.25,
        "generalised": 0.12,
        "generalised turned": 0.03,
        "plateau": 0.12,
        "plateau turned": 0.03,
    }
    assert alike(kinds, [*shares, "sinc"], [0.9 * share for share in shares.values()] + [0.1])
    assert alike([blur["size"] for blur in blurs], [*range(7, 22, 2)])

    sincs = [blur for blur in blurs if blur.get("family") == "sinc"]
    assert alike([blur["size"] for blur in sincs], [*range(7, 22, 2)])
    assert uniform([blur["cutoff"] for blur in sincs if blur["size"] < 13], math.pi / 3, math.pi)
    assert uniform([blur["cutoff"] for blur in sincs if blur["size"] >= 13], math.pi / 5, math.pi)

    others = [blur for blur in blurs if blur.get("family") != "sinc"]
    turned = [blur for blur in others if "sigma_y" in blur]
    assert uniform([blur["sigma"] for blur in others], 0.2, sigma)
    assert uniform([blur["sigma_y"] for blur in turned], 0.2, sigma)
    assert uniform([blur["theta"] for blur in turned], -math.pi, math.pi)

    betas = [blur["beta"] for blur in others if blur.get("family") == "generalised"]
    assert happens([beta < 1 for beta in betas], 0.5)
    assert uniform([beta for beta in betas if beta < 1], 0.5, 1)
    assert uniform([beta for beta in betas if beta > 1], 1, 4)
    betas = [blur["beta"] for blur in others if blur.get("family") == "plateau"]
    assert happens([beta == 1 for beta in betas], 0.5)
    assert uniform([beta for beta in betas if beta != 1], 1, 2)


@pytest.mark.parametrize(
    ("stage", "of", "shares", "up", "down"),
    [
        (1, "current", [0.2, 0.7, 0.1], 1.5, 0.15),
        (2, "native", [0.3, 0.4, 0.3], 1.2, 0.3),
    ],
)
def test_resizes_of_real_esrgan(
    real_esrgan: list[dict[str, Any]],
    stage: int,
    of: str,
    shares: list[float],
    up: float,
    down: float,
) -> None:
    all_of_them = [chain[f"resize {stage}"] for chain in real_esrgan]
    factors = [step.get("factor", 1) if step else 1 for step in all_of_them]
    assert alike([int(np.sign(factor - 1)) for factor in factors], [1, -1, 0], shares)
    assert uniform([factor for factor in factors if factor > 1], 1, up)
    assert uniform([factor for factor in factors if factor < 1], down, 1)
    resizes = [step for step in all_of_them if step]
    assert {step.get("of", "current") for step in resizes} == {of}
    assert not_antialiased(resizes)
    assert alike([step["filter"] for step in resizes], TORCH)


@pytest.mark.parametrize(("stage", "sigma", "strength"), [(1, 30, 3.0), (2, 25, 2.5)])
def test_noise_of_real_esrgan(
    real_esrgan: list[dict[str, Any]], stage: int, sigma: float, strength: float
) -> None:
    noises = [chain[f"noise {stage}"] for chain in real_esrgan]
    gaussian = [step for step in noises if step["op"] == "noise"]
    poisson = [step for step in noises if step["op"] == "poisson"]
    assert len(gaussian) + len(poisson) == len(noises)
    assert happens([step["op"] == "noise" for step in noises], 0.5)
    assert uniform([255 * step["sigma"] for step in gaussian], 1, sigma)
    assert uniform([step["strength"] for step in poisson], 0.05, strength)
    assert {step["photons"] for step in poisson} == {256}
    for some in (gaussian, poisson):
        assert happens([step["gray"] for step in some], 0.4)


def test_the_end_of_real_esrgan(real_esrgan: list[dict[str, Any]]) -> None:
    for number in (1, 2):
        assert uniform([chain[f"jpeg {number}"]["quality"] for chain in real_esrgan], 30, 95)
    assert happens([chain["jpeg first"] for chain in real_esrgan], 0.5)
    fits = [chain["fit"] for chain in real_esrgan]
    assert all((step["of"], step.get("factor", 1)) == ("native", 1) for step in fits)
    assert alike([step["filter"] for step in fits], TORCH)
    assert happens([chain["sinc"] is not None for chain in real_esrgan], 0.8)
    sincs = [chain["sinc"] for chain in real_esrgan if chain["sinc"]]
    assert {step["family"] for step in sincs} == {"sinc"}
    assert alike([step["size"] for step in sincs], [*range(7, 22, 2)])
    assert uniform([step["cutoff"] for step in sincs], math.pi / 3, math.pi)
