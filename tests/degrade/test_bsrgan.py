"""BSRGAN and BSRGAN-plus as drawn against the published code's numbers, written out here."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from laws import LEAST_CHANCE, Steps, alike, drawn, happens, not_antialiased, ops, uniform
from scipy import stats

CV2 = ["bilinear", "bicubic", "area"]
"""cv2's 1, 2 and 3."""


def whole(steps: Steps) -> None:
    """Every quality is a whole number, as cv2 takes them."""
    assert all(isinstance(step["quality"], int) for step in steps if step["op"] == "jpeg")


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


@pytest.mark.parametrize("scale", [1, 4])
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
    halvings = [bsrgan_parts(steps, 4)["halved"] for steps in drawn("bsrgan", 4)]
    kinds = [(step["filter"], bool(step.get("antialias"))) for step in halvings if step]
    plain = [(name, False) for name in CV2]
    assert alike(kinds, [*plain, ("bicubic", True)], [1 / 6] * 3 + [1 / 2])


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
    orders = [ops(steps[:-2]) for steps in drawn("bsrgan-plus", 4)]
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
