"""The presets against the published numbers, golden records, and what a degrader promises."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from redeg_cli.degrade.base import Record
from redeg_cli.degrade.chain import (
    ChainDegrader,
    Replay,
    load_degrader,
    preset_path,
    preset_table,
    presets,
)
from redeg_cli.errors import RecipeError

GOLDEN = Path(__file__).parent / "golden_records.json"
PUBLISHED = ("bsrgan", "bsrgan-plus", "real-esrgan", "redegnet-same", "redegnet-simple")
CV2 = ["bilinear", "bicubic", "area"]
"""cv2's 1, 2 and 3, of which BSRGAN draws."""
TORCH = ["pool", "bilinear", "bicubic"]
"""PyTorch's area, bilinear and bicubic, of which Real-ESRGAN draws."""
COUNT = 4000
LEAST_CHANCE = 1e-5
"""p-value below which a law is not believed: there are some 300 tests of laws here."""

Steps = list[dict[str, Any]]


def drawn(name: str, scale: int, count: int = COUNT) -> list[Steps]:
    degrader = load_degrader(name, scale)
    return [degrader.draw(seed)["steps"] for seed in range(count)]


def ops(steps: Steps) -> str:
    """The ops in order by their first letters; j is JPEG, z a resize, p Poisson, n and s noise."""
    letters = {"blur": "b", "resize": "z", "noise": "n", "jpeg": "j", "poisson": "p"}
    letters |= {"speckle": "s", "sharpen": "u"}
    return "".join(letters[step["op"]] for step in steps)


def happens(flags: list[bool], share: float) -> bool:
    """Whether so many of these may be a share of that."""
    return stats.binomtest(sum(flags), len(flags), share).pvalue > LEAST_CHANCE


def alike(values: list[Any], options: list[Any], shares: list[float] | None = None) -> bool:
    """Whether these options come about, and as often as they should."""
    shares = shares or [1 / len(options)] * len(options)
    seen = Counter(values)
    assert set(seen) == set(options)
    expected = [len(values) * share for share in shares]
    return stats.chisquare([seen[option] for option in options], expected).pvalue > LEAST_CHANCE


def uniform(values: list[float], low: float, high: float) -> bool:
    """Whether these are uniform; ranges are kept to six digits."""
    rounding = 1e-5 * max(abs(low), abs(high))
    assert low - rounding <= min(values)
    assert max(values) <= high + rounding
    return stats.kstest(values, "uniform", (low, high - low)).pvalue > LEAST_CHANCE


def whole(steps: Steps) -> None:
    """Every quality is a whole number, as cv2 takes them."""
    assert all(isinstance(step["quality"], int) for step in steps if step["op"] == "jpeg")


def not_antialiased(steps: Steps) -> bool:
    return not any(step.get("antialias") for step in steps)


# BSRGAN ------------------------------------------------------------------------------------------


def check_bsrgan_blurs(blurs: Steps, scale: int) -> None:
    """add_blur: sizes 7 to 25; half of them turned, variances below 4 + sf, else sigma
    below 2 + 0.2 sf."""
    assert {step.get("family", "gaussian") for step in blurs} == {"gaussian"}
    assert alike([step["size"] for step in blurs], [*range(7, 26, 2)])
    turned = [step for step in blurs if "sigma_y" in step]
    assert happens(["sigma_y" in step for step in blurs], 0.5)
    assert uniform([step["sigma"] ** 2 for step in turned], 0, 4 + scale)
    assert uniform([step["sigma_y"] ** 2 for step in turned], 0, 4 + scale)
    assert uniform([step["theta"] for step in turned], 0, math.pi)
    assert uniform([step["sigma"] for step in blurs if "sigma_y" not in step], 0, 2 + 0.2 * scale)


def check_bsrgan_noise(noises: Steps) -> None:
    """Levels 2 to 25; 40 % coloured, 40 % gray, 20 % correlated at the highest level."""
    modes = [
        "mixed" if "mixing" in step else "gray" if step.get("gray") else "colour" for step in noises
    ]
    assert alike(modes, ["colour", "gray", "mixed"], [0.4, 0.4, 0.2])
    levels = [255 * step["sigma"] for step in noises if "mixing" not in step]
    assert uniform(levels, 2, 25)
    matrices = np.array([step["mixing"] for step in noises if "mixing" in step])
    covariance = matrices @ matrices.transpose(0, 2, 1) / (25 / 255) ** 2
    trace = np.einsum("nii->n", covariance)
    assert stats.kstest(trace, stats.irwinhall(3).cdf).pvalue > LEAST_CHANCE


def bsrgan_parts(steps: Steps, scale: int) -> dict[str, Any]:
    """The steps of one chain by what they are in degradation_bsrgan."""
    found: dict[str, Any] = {"blurs": [], "jpegs": [], "noises": [], "places": [], "halved": None}
    rest = list(steps)
    if rest[0]["op"] == "resize" and rest[0]["factor"] == 0.5:
        found["halved"], scale = rest.pop(0), 2
    found["scale"] = scale
    while rest:
        step = rest.pop(0)
        if step["op"] == "resize":
            kind = "D3" if step.get("of") == "native" else "D2"
            found[kind] = [step]
        elif step["op"] == "blur" and "shift" in step:
            kind = "D2"
            found[kind] = [step, rest.pop(0)]
        else:
            kind = step["op"]
            found[kind + "s" if kind != "noise" else "noises"].append(step)
        found["places"].append(kind)
    return found


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_bsrgan_is_the_released_one(scale: int) -> None:
    chains = [bsrgan_parts(steps, scale) for steps in drawn("bsrgan", scale)]
    halved = [chain["halved"] is not None for chain in chains]
    if scale == 4:
        assert happens(halved, 0.25)
    else:
        assert not any(halved)
    for inner in (2, 4) if scale == 4 else (scale,):
        check_bsrgan_chains([chain for chain in chains if chain["scale"] == inner], inner)


def check_bsrgan_chains(chains: list[dict[str, Any]], scale: int) -> None:
    for chain in chains:
        places = chain["places"]
        assert Counter(places[:-1]) - Counter({"jpeg": 1}) == Counter(
            {"blur": 2, "D2": 1, "D3": 1, "noise": 1}
        )
        assert places.index("D2") < places.index("D3")
        assert places[-1] == "jpeg"
        whole(chain["jpegs"])
    check_bsrgan_blurs([step for chain in chains for step in chain["blurs"]], scale)
    check_bsrgan_noise([step for chain in chains for step in chain["noises"]])
    assert happens([len(chain["jpegs"]) == 2 for chain in chains], 0.9)
    for jpeg in (0, -1):
        assert alike([chain["jpegs"][jpeg]["quality"] for chain in chains], [*range(30, 96)])

    resized = [chain["D2"][0] for chain in chains if len(chain["D2"]) == 1]
    blurred = [chain["D2"] for chain in chains if len(chain["D2"]) == 2]
    assert happens([len(chain["D2"]) == 1 for chain in chains], 0.75)
    assert uniform([1 / step["factor"] for step in resized], 1, 2 * scale)
    assert alike([step["filter"] for step in resized], CV2)
    assert {step["size"] for step, _ in blurred} == {25}
    assert uniform([step["sigma"] for step, _ in blurred], 0.1, 0.6 * scale)
    assert {step["shift"] for step, _ in blurred} == {(scale - 1) / 2}
    assert {step["filter"] for _, step in blurred} == {"nearest"}
    assert {round(1 / step["factor"], 9) for _, step in blurred} == {scale}

    fits = [chain["D3"][0] for chain in chains]
    assert alike([step["filter"] for step in fits], CV2)
    assert all(step.get("factor", 1) == 1 for step in fits)
    assert not_antialiased(resized + fits)

    # All orders alike, but for D2 and D3. Without the JPEG that may lack, five ops are left.
    without = [
        [kind for kind in chain["places"][:-1] if kind != "jpeg"].index("noise") for chain in chains
    ]
    assert alike(without, [*range(5)])
    first = [
        [kind for kind in chain["places"][:-1] if kind != "jpeg"].index("D2") for chain in chains
    ]
    assert alike(first, [*range(4)], [0.4, 0.3, 0.2, 0.1])
    jpegs = [chain["places"].index("jpeg") for chain in chains if len(chain["jpegs"]) == 2]
    assert alike(jpegs, [*range(6)])


def test_the_halving_of_bsrgan_is_antialiased_in_half_of_its_cases() -> None:
    halvings = [bsrgan_parts(steps, 4)["halved"] for steps in drawn("bsrgan", 4, 6000)]
    kinds = [(step["filter"], bool(step.get("antialias"))) for step in halvings if step]
    plain = [(name, False) for name in CV2]
    assert alike(kinds, [*plain, ("bicubic", True)], [1 / 6] * 3 + [1 / 2])


# BSRGAN-plus -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 4])
def test_bsrgan_plus_is_the_released_one(scale: int) -> None:
    chains = drawn("bsrgan-plus", scale)
    inner = [steps[:-2] for steps in chains]
    for steps, within in zip(chains, inner, strict=True):
        assert ops(steps).endswith("zj")
        assert steps[-2]["of"] == "native"
        assert "of" not in "".join(key for step in within for key in step)
        # "Keep" among the resizes is no step.
        assert Counter(ops(within)) - Counter("zzppss") == Counter("bbnnj")
        whole(steps)
    assert alike([steps[-2]["filter"] for steps in chains], CV2)

    every = [step for steps in inner for step in steps]
    check_bsrgan_blurs([step for step in every if step["op"] == "blur"], scale)
    check_bsrgan_noise([step for step in every if step["op"] == "noise"])
    for letter in "ps":  # each of two happens in one chain of ten
        assert alike([ops(steps).count(letter) for steps in inner], [0, 1, 2], [0.81, 0.18, 0.01])
    poisson = [step for step in every if step["op"] == "poisson"]
    assert uniform([math.log10(step["photons"]) for step in poisson], 2, 4)
    assert happens([step["gray"] for step in poisson], 0.5)
    assert all("strength" not in step for step in poisson)
    speckle = [step for step in every if step["op"] == "speckle"]
    assert uniform([255 * s["sigma"] for s in speckle if "mixing" not in s], 2, 25)
    assert happens([bool(step.get("gray")) for step in speckle], 0.4)
    assert happens(["mixing" in step for step in speckle], 0.2)
    for jpegs in (
        [step for step in every if step["op"] == "jpeg"],
        [steps[-1] for steps in chains],
    ):
        assert alike([step["quality"] for step in jpegs], [*range(30, 96)])

    resizes = [step for step in every if step["op"] == "resize"]
    assert not_antialiased(resizes + [steps[-2] for steps in chains])
    assert alike([ops(steps).count("z") for steps in inner], [0, 1, 2], [0.01, 0.18, 0.81])
    assert happens([step["factor"] > 1 for step in resizes], 2 / 9)
    assert uniform([step["factor"] for step in resizes if step["factor"] > 1], 1, 2)
    assert uniform([step["factor"] for step in resizes if step["factor"] < 1], 0.5 / scale, 1)
    assert alike([step["filter"] for step in resizes], CV2)


def test_bsrgan_plus_is_shuffled_in_half_of_the_chains() -> None:
    """Else: blur, resize, three noises, JPEG, blur, resize, three noises."""
    orders = [ops(steps[:-2]) for steps in drawn("bsrgan-plus", 4, 4000)]
    plain = ["".join(letter for letter in order if letter not in "ps") for order in orders]
    natural = {"bznjbzn", "bnjbzn", "bznjbn", "bnjbn"}
    # Of the 630 orders of bbzznnj one is natural, of the 180 without one z two, of 30 one.
    by_chance = 0.81 / 630 + 0.18 * 2 / 180 + 0.01 / 30
    assert happens([order in natural for order in plain], 0.5 + 0.5 * by_chance)
    starts = [order[0] for order in plain if order not in natural and order.count("z") == 2]
    assert alike(starts, [*"bznj"], [2 / 7, 2 / 7, 2 / 7, 1 / 7])
    # In the natural order the noises of a round come in any order, all after its resize.
    pairs = zip(orders, plain, strict=True)
    firsts = [order.split("j")[0] for order, kind in pairs if kind in natural]
    assert alike([first[-2:] for first in firsts if first[2:] in ("np", "pn")], ["np", "pn"])
    assert np.mean([first.startswith("b") for first in firsts]) > 0.99


# Real-ESRGAN -------------------------------------------------------------------------------------


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


# ReDegNet ----------------------------------------------------------------------------------------


def test_the_simple_chain_of_redegnet() -> None:
    """Steps of 0.1 in sigma and factor are drawn as ranges, with the same ends."""
    chains = drawn("redegnet-simple", 4)
    orders = [ops(steps) for steps in chains]
    assert all(order.endswith("z") for order in orders)
    for index, share in ((0, 0.8), (1, 0.8), (2, 0.9), (3, 0.9)):
        letter = "bznj"[index]
        assert happens([letter in order[:-1] for order in orders], share)
    assert all([*order[:-1]] == sorted(order[:-1], key="bznj".index) for order in orders)
    every = [step for steps in chains for step in steps[:-1]]
    by_op = {op: [step for step in every if step["op"] == op] for op in ("blur", "noise", "jpeg")}
    assert alike([step["size"] for step in by_op["blur"]], [*range(7, 32, 2)])
    assert uniform([step["sigma"] for step in by_op["blur"]], 0.3, 1.3)
    assert uniform([255 * step["sigma"] for step in by_op["noise"]], 3, 24)
    assert not any(step.get("gray") for step in by_op["noise"])
    assert alike([step["quality"] for step in by_op["jpeg"]], [*range(30, 81)])
    down = [step for step in every if step["op"] == "resize"]
    assert uniform([1 / step["factor"] for step in down], 2, 6)
    for some in (down, [steps[-1] for steps in chains]):
        assert alike([step["filter"] for step in some], ["bilinear", "bicubic", "lanczos"])
        assert not_antialiased(some)
    assert {steps[-1]["of"] for steps in chains} == {"hq"}


def test_the_shared_degradation_of_redegnet() -> None:
    chains = drawn("redegnet-same", 4)
    orders = [ops(steps) for steps in chains]
    assert {(steps[-1]["op"], steps[-1]["of"]) for steps in chains} == {("resize", "hq")}
    assert alike([steps[-1]["filter"] for steps in chains], ["bilinear", "bicubic"])

    every = [step for steps in chains for step in steps[:-1]]
    blurs = [[step for step in steps if step["op"] == "blur"] for steps in chains]
    kinds = ["".join("t" if "sigma_y" in step else "r" for step in some) for some in blurs]
    assert alike(kinds, ["r", "t", "rt", ""], [0.25, 0.35, 0.2, 0.2])
    both = [step for some in blurs for step in some]
    assert alike([step["size"] for step in both], [*range(5, 18, 2)])
    turned = [step for step in both if "sigma_y" in step]
    assert uniform([step["sigma"] for step in both if "sigma_y" not in step], 0.1, 2.8)
    assert uniform([step["sigma"] for step in turned], 0.5, 8)
    assert uniform([step["sigma_y"] for step in turned], 0.5, 8)
    assert uniform([step["theta"] for step in turned], 0, math.pi)

    assert all(order[:-1].count("z") == 1 for order in orders)
    down = [step for step in every if step["op"] == "resize"]
    assert alike(
        [step["filter"] for step in down], ["bicubic", "bilinear", "nearest"], [0.5, 0.4, 0.1]
    )
    wide = [step for step in down if step["filter"] != "nearest"]
    assert uniform([1 / step["factor"] for step in wide], 2, 6)
    sampled = [round(1 / step["factor"], 4) for step in down if step["filter"] == "nearest"]
    assert alike(sampled, [2, 4, 6])

    noises = [step for step in every if step["op"] == "noise"]
    assert happens(["n" in order for order in orders], 0.7)
    assert uniform([255 * step["sigma"] for step in noises], 1, 19)
    assert alike([order.count("j") for order in orders], [0, 1, 2], [0.15, 0.5, 0.35])
    assert happens([order[-2] == "j" and order[:-2].count("j") == 1 for order in orders], 0.35)
    jpegs = [step for step in every if step["op"] == "jpeg"]
    assert alike([step["quality"] for step in jpegs], [*range(30, 86)])


# Every preset ------------------------------------------------------------------------------------


def same(made: Any, wanted: Any) -> None:
    """Equal, floats to five digits: a matrix may be rounded elsewhere on another machine."""
    if isinstance(wanted, dict):
        assert [*made] == [*wanted]
        for key in wanted:
            same(made[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(made) == len(wanted)
        for one, other in zip(made, wanted, strict=True):
            same(one, other)
    elif isinstance(wanted, float):
        assert made == pytest.approx(wanted, rel=1e-5, abs=1e-9)
    else:
        assert made == wanted


@pytest.mark.parametrize("name", presets())
def test_a_seed_always_draws_these_records(name: str) -> None:
    """After a wanted change: ``python tests/degrade/test_chain.py``."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert [*golden[name]] == ["2", "4"]
    for scale, records in golden[name].items():
        for seed, record in records.items():
            same(load_degrader(name, int(scale)).draw(int(seed)), record)


@pytest.mark.parametrize("name", presets())
def test_a_draw_hangs_on_its_seed_alone(name: str) -> None:
    degrader = load_degrader(name, 2)
    records = [degrader.draw(seed) for seed in range(20)]
    np.random.default_rng().random()
    torch.rand(1)
    assert [degrader.draw(seed) for seed in reversed(range(20))] == records[::-1]
    assert [load_degrader(name, 2).draw(seed) for seed in range(20)] == records
    # Seeds side by side give records that are not.
    texts = [json.dumps(record["steps"], sort_keys=True) for record in records]
    assert len(set(texts)) == 20
    for record in records:
        assert json.loads(json.dumps(record)) == record
        assert (record["degrader"], record["scale"]) == (name, 2)


def photo() -> torch.Tensor:
    """A gradient with an edge and a little texture, (1, 3, 96, 96), without black or white."""
    generator = torch.Generator().manual_seed(0)
    row, column = torch.arange(96.0)[:, None] / 120, torch.arange(96.0) / 160
    picture = 0.1 + torch.stack([row + column / 4, column + row / 4, (row + column) / 2])
    picture[:, 30:50, 40:] *= 0.6
    return (picture + 0.02 * torch.rand((3, 96, 96), generator=generator))[None].clamp(0.02, 0.98)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", presets())
def test_every_preset_makes_native_lqs(name: str, scale: int) -> None:
    degrader = load_degrader(name, scale)
    side = 64 - 64 % scale
    hq = photo()[..., :side, :side].repeat(3, 1, 1, 1)
    lq = degrader.apply(hq, [degrader.draw(seed) for seed in range(3)])
    assert lq.shape == (3, 3, side // scale, side // scale)
    assert lq.dtype == torch.float32
    assert lq.isfinite().all()
    assert lq.min() >= 0
    assert lq.max() <= 1
    assert lq.std() > 0.005
    assert not torch.equal(lq[0], lq[1])


# Reading degraders -------------------------------------------------------------------------------

JPEG = {"steps": [{"op": "jpeg", "quality": [30, 95]}]}


def test_a_degrader_is_a_preset_a_file_or_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "my chain.toml"
    path.write_text("[[steps]]\nop = 'jpeg'\nquality = [30, 95]\n", encoding="utf-8")
    read = [load_degrader(what, 2) for what in (path, str(path), JPEG)]
    assert [degrader.name for degrader in read] == ["my chain.toml", "my chain.toml", "chain"]
    assert len({json.dumps(degrader.draw(3)["steps"]) for degrader in read}) == 1
    assert len({degrader.digest for degrader in read}) == 1
    assert load_degrader("bsrgan", 2).name == "bsrgan"
    assert (
        load_degrader(preset_path("bsrgan"), 2).draw(1)["steps"]
        == (load_degrader("bsrgan", 2).draw(1)["steps"])
    )


def test_the_digest_is_that_of_all_that_is_read() -> None:
    one = ChainDegrader({"steps": [{"preset": "bsrgan"}]}, 2)
    other = ChainDegrader({"steps": [{"preset": "mild"}]}, 2)
    longer = ChainDegrader({"steps": [{"op": "jpeg", "quality": [30, 94]}]}, 2)
    reordered = ChainDegrader({"steps": [{"quality": [30, 95], "op": "jpeg"}]}, 4)
    digests = [each.digest for each in (one, other, longer, reordered)]
    assert len(set(digests)) == 4
    assert ChainDegrader(JPEG, 2).digest == reordered.digest
    alone = ChainDegrader(preset_table("bsrgan"), 2)
    assert one.digest != alone.digest


def test_a_preset_within_a_chain_is_that_preset() -> None:
    tables = {
        "steps": [{"use": "main"}],
        # BSRGAN has a list of this name too.
        "chains": {"main": [{"preset": "bsrgan"}]},
    }
    assert ChainDegrader(tables, 4).draw(5)["steps"] == load_degrader("bsrgan", 4).draw(5)["steps"]


def test_a_replay_applies_what_others_drew_and_draws_nothing() -> None:
    degrader = load_degrader("bsrgan", 2)
    record: Record = json.loads(json.dumps(degrader.draw(4)))
    hq = photo()
    assert torch.equal(Replay(2).apply(hq, [record]), degrader.apply(hq, [degrader.draw(4)]))
    with pytest.raises(RuntimeError, match="no record to draw for seed 4"):
        Replay(2).draw(4)


def test_the_presets_are_those_of_the_folder() -> None:
    assert set(PUBLISHED) < set(presets())
    for name in presets():
        assert preset_path(name).is_file()
        table = preset_table(name)
        assert table["description"].strip()
        assert table["source"].strip()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "mine: the key 'steps' is missing"),
        ({"step": []}, "mine: unknown key 'step' (did you mean 'steps'?)"),
        ({**JPEG, "chain": {}}, "mine: unknown key 'chain' (did you mean 'chains'?)"),
        ({**JPEG, "chains": []}, "mine: chains: expected a table of lists, got []"),
        ({**JPEG, "chains": {"a": {}}}, "mine: chains.a: expected a list of steps, got {}"),
        # A list that nothing uses is read all the same.
        (
            {**JPEG, "chains": {"a": [{"op": "jpg"}]}},
            "mine: chains.a[0]: unknown op 'jpg' (did you mean 'jpeg'?)",
        ),
        ({"steps": [{"op": "jpeg"}]}, "mine: steps[0] (jpeg): 'quality': Field required"),
        (
            {"steps": [{"preset": "bsrgn"}]},
            "mine: steps[0]: no preset 'bsrgn' (did you mean 'bsrgan'?): there are ",
        ),
        ({"steps": [{"preset": 3}]}, "mine: steps[0]: no preset 3: there are "),
    ],
)
def test_a_wrong_table_is_refused_by_name(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        ChainDegrader(table, 2, "mine")
    assert str(caught.value).startswith(message)


def test_a_degrader_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no degrader 'bsrgn' \(did you mean 'bsrgan'\?\): give"):
        load_degrader("bsrgn", 2)
    with pytest.raises(RecipeError, match=r"nothing\.toml does not exist"):
        load_degrader(tmp_path / "nothing.toml", 2)
    path = tmp_path / "wrong.toml"
    path.write_text("[[steps]]\nop = 'jpeg'\nqualty = 3\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"wrong\.toml: steps\[0\] \(jpeg\): unknown key 'qualt"):
        load_degrader(path, 2)
    with pytest.raises(RecipeError, match="no preset 'bsrgn'"):
        preset_path("bsrgn")


if __name__ == "__main__":
    made = {
        name: {
            str(scale): {str(seed): load_degrader(name, scale).draw(seed) for seed in (1, 2)}
            for scale in (2, 4)
        }
        for name in presets()
    }
    GOLDEN.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
